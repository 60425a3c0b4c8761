package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (s *Site) planRoutes() []route {
	return []route{
		{pattern: "GET /plan", nav: "Plan", may: anyRole, do: s.plan},
		{pattern: "POST /events/{event}/tasks", may: anyRole, do: s.tickOff},
	}
}

// planPage is when each event's people are blocked and deleted, as it stands today or
// will stand on a day.
type planPage struct {
	AsOf    attendees.Date
	Ahead   bool   // AsOf is not today
	Hash    string // of the plan, as the commands name it
	Jumps   []jump
	Next    []figure
	Overdue []planned
	More    int // are overdue besides
	Events  []planned
	Months  []month
	Tasks   []task
	Holds   []hold
	Moved   []moved
	Officer bool

	Newer, Older, NewerSays, OlderSays string
}

type jump struct{ Says, Path string }

type figure struct{ Says, What string }

// planned is one event in the plan.
type planned struct {
	ID              attendees.EventID
	Name            string
	People          int
	Ends, Block     attendees.Date
	Delete          attendees.Date
	Rule, Statute   string
	Badge           badge
	Life            lifeLine
	Held, WholeHeld bool
	Due             string // what should have been done, and since when; ahead: what will have been
}

// month is a leaf of the calendar.
type month struct {
	Name string
	Days []dayOf
	More int // besides
}

type dayOf struct {
	On    attendees.Date
	Class string // sealed or gone
	What  string
	Name  string
}

type task struct {
	postgres.Task
	Name string
}

type hold struct {
	postgres.Hold
	Name string
}

type moved struct {
	Name                                   string
	Block, WantBlock, Delete, WantedDelete attendees.Date
}

// mostNamed bounds how many events a leaf of the calendar names, and the list of what is
// overdue: the list of all has the others.
const mostNamed = 12

// calendarMonths is how far the calendar looks: what is planned for a year is worth a
// leaf each month, later is a line in the list.
const calendarMonths = 12

// plan shows the plan. Organisers see their own events, everybody else all.
func (s *Site) plan(w http.ResponseWriter, r *http.Request) error {
	now := s.Now()
	today := attendees.DateOf(now.UTC())
	p := planPage{AsOf: today, NewerSays: "Previous page", OlderSays: "Next page"}
	store := s.Store
	if text := r.URL.Query().Get("as_of"); text != "" {
		on, err := attendees.ParseDate(text)
		if err != nil {
			return refused("The day of a plan looks like 2027-06-14.")
		}
		if on != today {
			p.AsOf, p.Ahead = on, true
			now = time.Date(on.Year, on.Month, on.Day, 12, 0, 0, 0, time.UTC)
			store = s.Store.At(func() time.Time { return now })
		}
	}
	people, _, err := s.people.of(r.Context(), struct{}{}, struct{}{})
	if err != nil {
		return err
	}
	plan, err := store.PlanOf(r.Context(), people)
	if err != nil {
		return err
	}
	p.Hash, p.Jumps = plan.Hash(), jumps(today)
	user := asked(r).user
	for _, e := range plan.Events {
		if sees(user, e.ID) {
			p.add(e, s.Store.Policy(), now)
		}
	}
	p.settle()
	p.Events, p.Newer, p.Older = pageOf(p.Events, r.URL.Query(), paths{}.PlanBy)
	if p.Tasks, err = s.tasks(r.Context(), user); err != nil {
		return err
	}
	if p.Officer = user.Has(attendees.Officer); p.Officer {
		for _, e := range plan.Events {
			for _, h := range e.Held {
				p.Holds = append(p.Holds, hold{h, e.Name})
			}
		}
	}
	return s.show(w, r, "plan.html", "Plan", p)
}

// jumps are the days that the slider stops at.
func jumps(today attendees.Date) []jump {
	var all []jump
	for _, j := range []struct {
		says   string
		months int
	}{{"In a month", 1}, {"In half a year", 6}, {"In a year", 12}, {"In three years", 36}, {"In seven years", 84}} {
		all = append(all, jump{j.says, paths{}.PlanAsOf(today.AddMonths(j.months))})
	}
	return all
}

func (p *planPage) add(e postgres.Planned, policy *attendees.Policy, now time.Time) {
	today := e.Today(now)
	d := planned{
		ID: e.ID, Name: e.Name, People: e.People, Ends: e.EndsOn.Date, Block: e.BlockOn.Date, Delete: e.DeleteOn.Date, Rule: e.Rule,
		Badge: badgeOf(e.Event, now), Life: lifeOf(e.Event, now, false), Held: len(e.Held) > 0,
		WholeHeld: slices.ContainsFunc(e.Held, func(h postgres.Hold) bool { return h.Attendee == "" }),
	}
	if rule, ok := policy.RuleNamed(e.Rule); ok {
		d.Statute = rule.Statute
	}
	switch {
	case e.People == 0 && e.State == attendees.Active && !today.Before(d.Block):
		d.Badge = badge{"over", "nobody is held"}
	case !today.Before(d.Delete) && !d.WholeHeld:
		d.Due = "to be deleted since " + longDate(d.Delete)
		if p.Ahead {
			d.Due, d.Badge = "deleted on "+longDate(d.Delete), badge{"over", "deleted by then"}
		}
	case !today.Before(d.Block) && e.BlockedAt == nil:
		d.Due = "to be blocked since " + longDate(d.Block)
		if p.Ahead {
			d.Due, d.Badge = "blocked on "+longDate(d.Block), badge{"over", "blocked by then"}
		}
	}
	if d.WholeHeld && !today.Before(d.Delete) {
		d.Badge = badge{"soon", "kept by a hold"}
	}
	p.Events = append(p.Events, d)
	if e.Pending() {
		p.Moved = append(p.Moved, moved{e.Name, e.AcceptedBlockOn.Date, e.PlannedBlockOn.Date, e.AcceptedDeleteOn.Date, e.PlannedDeleteOn.Date})
	}
}

// settle puts the plan's events into their order, by what comes next, and onto the
// calendar's leaves.
func (p *planPage) settle() {
	slices.SortStableFunc(p.Events, func(x, y planned) int {
		return p.next(x).Compare(p.next(y))
	})
	var days []dayOf
	for _, e := range p.Events {
		if e.Due != "" {
			p.Overdue = append(p.Overdue, e)
		}
		days = append(days, dayOf{e.Block, "sealed", "blocked", e.Name}, dayOf{e.Delete, "gone", "deleted", e.Name})
	}
	p.More = max(len(p.Overdue)-mostNamed, 0)
	p.Overdue = p.Overdue[:len(p.Overdue)-p.More]
	slices.SortStableFunc(days, func(x, y dayOf) int { return x.On.Compare(y.On) })
	days = slices.DeleteFunc(days, func(d dayOf) bool { return d.On.Before(p.AsOf) })
	for _, kind := range []string{"blocked", "deleted"} {
		if i := slices.IndexFunc(days, func(d dayOf) bool { return d.What == kind }); i >= 0 {
			p.Next = append(p.Next, figure{shortDate(days[i].On), "next " + map[string]string{"blocked": "blocking", "deleted": "deletion"}[kind] + ": " + days[i].Name})
		}
	}
	first := attendees.Date{Year: p.AsOf.Year, Month: p.AsOf.Month, Day: 1}
	for i := range calendarMonths {
		begins, ends := first.AddMonths(i), first.AddMonths(i+1)
		m := month{Name: begins.Month.String() + " " + strconv.Itoa(begins.Year)}
		for _, d := range days {
			if !d.On.Before(begins) && d.On.Before(ends) {
				m.Days = append(m.Days, d)
			}
		}
		m.More = max(len(m.Days)-mostNamed, 0)
		m.Days = m.Days[:len(m.Days)-m.More]
		p.Months = append(p.Months, m)
	}
}

// next is the day of an event that the plan is ordered by.
func (p *planPage) next(e planned) attendees.Date {
	if e.Block.Before(p.AsOf) {
		return e.Delete
	}
	return e.Block
}

// tasks are what people have to do about events that the user sees; most are about
// deleted ones, which have left the plan.
func (s *Site) tasks(ctx context.Context, user postgres.User) ([]task, error) {
	open, err := s.Store.Tasks(ctx)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	var ids []attendees.EventID
	for _, t := range open {
		ids = append(ids, t.Event)
	}
	events, err := s.Store.KnownEvents(ctx, ids)
	if err != nil {
		return nil, err
	}
	var tasks []task
	for _, t := range open {
		if sees(user, t.Event) {
			tasks = append(tasks, task{t, events[t.Event].Name})
		}
	}
	return tasks, nil
}

// tickOff notes that a task of the event is done.
func (s *Site) tickOff(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("task")))
	if err != nil {
		return refused("The form names no task.")
	}
	a := asked(r)
	tasks, err := s.Store.Tasks(r.Context())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(tasks, func(t postgres.Task) bool { return t.ID == id && t.Event == a.event.ID }) {
		return refused("That task is done already, or belongs to another event.")
	}
	if err := s.Store.FinishTask(r.Context(), id, a.user.Email.Reveal()); err != nil {
		return err
	}
	http.Redirect(w, r, paths{}.Plan(), http.StatusSeeOther)
	return nil
}
