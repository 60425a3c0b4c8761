package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (s *Site) eventRoutes() []route {
	return []route{
		{pattern: "GET /events", nav: "Events", may: anyRole, do: s.events},
		{pattern: "GET /events/{event}", may: anyRole, do: s.event},
		{pattern: "POST /events/{event}/pull", may: organisers, do: s.ofOpen(s.pull)},
		{pattern: "GET /events/{event}/pull", may: organisers, do: s.ofOpen(s.pulling)},
	}
}

// perPage is how many events, or lists that left, one page shows.
const perPage = 50

// Phases of an event, as the list of events tells them apart.
const (
	coming  = "coming"
	ongoing = "running"
	over    = "over"
	blocked = "blocked"
	deleted = "deleted"
)

// eventsPage lists events.
type eventsPage struct {
	Counts  string // how many are in which phase
	Soon    []soon
	Query   string
	Phase   string
	Phases  []string
	Columns []column
	Events  []listed
	Found   string // how many match, where somebody searched
	Any     bool   // there are events at all
	Newer   string
	Older   string

	NewerSays, OlderSays string
}

// column is a table's heading that sorts.
type column struct {
	Title, Path string
	Sort        string // ascending or descending, where the table is sorted by it
	Number      bool
}

// soon is an event whose people are blocked within two weeks.
type soon struct {
	ID      attendees.EventID
	Name    string
	When    string
	Missing int
	May     bool // the user takes its lists
}

type listed struct {
	ID                attendees.EventID
	Name, Dates       string
	Attending, Agreed string
	Missing           string // how many have not agreed
	Forms             string
	Life              lifeLine
	Badge             badge
	Words             string
	Held              bool
	Pulled            pulledShown
}

// pulledShown is an event's last pull, in words.
type pulledShown struct {
	Says  string
	Badge badge // its health; empty: all is well
}

// soonDays is when an event's blocking is told of at the top: two weeks in which the
// lists that are still needed can be taken.
const soonDays = 14

func phaseOf(e postgres.Summary, now time.Time) string {
	today := e.Today(now)
	switch {
	case e.State == attendees.Deleted:
		return deleted
	case !e.Open(now):
		return blocked
	case e.EndsOn.Before(today):
		return over
	case e.StartsAt != nil && !e.StartsAt.After(now):
		return ongoing
	}
	return coming
}

// seenBy are the events that the user sees, as Summaries takes them: nil, all.
func seenBy(u postgres.User) []attendees.EventID {
	if u.Has(attendees.Operator) || u.Has(attendees.Officer) || len(u.Events) == 0 {
		return nil
	}
	return u.Events
}

func (s *Site) events(w http.ResponseWriter, r *http.Request) error {
	now, user, q := s.Now(), asked(r).user, r.URL.Query()
	all, err := s.Store.Summaries(r.Context(), seenBy(user))
	if err != nil {
		return err
	}
	p := eventsPage{
		Query: q.Get("q"), Phase: q.Get("state"), Phases: []string{coming, ongoing, over, blocked, deleted}, Any: len(all) > 0,
		NewerSays: "Previous page", OlderSays: "Next page",
	}
	if !slices.Contains(p.Phases, p.Phase) {
		p.Phase = ""
	}
	p.tell(all, user, now)
	words := strings.Fields(strings.ToLower(p.Query))
	found := slices.DeleteFunc(slices.Clone(all), func(e postgres.Summary) bool {
		name := strings.ToLower(e.Name + " " + string(e.ID))
		return p.Phase != "" && phaseOf(e, now) != p.Phase ||
			slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(name, w) })
	})
	if p.Query != "" || p.Phase != "" {
		p.Found = plural(len(found), "event", "events")
	}
	by, down := sortedBy(q, "date", true)
	sortEvents(found, by, down)
	p.Columns = columns(q, by, down, paths{}.EventsBy, "name", "Event", "#attending", "Attending", "#agreed", "Agreed", "date", "Takes place", "blocked", "Life of its people")
	shown, newer, older := pageOf(found, q, paths{}.EventsBy)
	p.Newer, p.Older = newer, older
	events := make([]postgres.Event, len(shown))
	for i, e := range shown {
		events[i] = e.Event
	}
	pulled, err := s.Store.PulledOf(r.Context(), events)
	if err != nil {
		return err
	}
	for _, e := range shown {
		p.Events = append(p.Events, listEvent(e, pulled[e.ID], now))
	}
	return s.show(w, r, "events.html", "Events", p)
}

// tell says how many events are in which phase, and which are blocked soon.
func (p *eventsPage) tell(all []postgres.Summary, user postgres.User, now time.Time) {
	counts := map[string]int{}
	for _, e := range all {
		counts[phaseOf(e, now)]++
		if days := e.BlockOn.Days(e.Today(now)); e.Open(now) && days <= soonDays && e.Attending > 0 {
			b := soon{ID: e.ID, Name: e.Name, When: when(e.BlockOn.Date, e.Today(now)), May: user.Sees(e.ID)}
			if e.Asks {
				b.Missing = e.Attending - e.Agreed
			}
			p.Soon = append(p.Soon, b)
		}
	}
	var parts []string
	for _, phase := range p.Phases {
		if n := counts[phase]; n > 0 {
			parts = append(parts, count(n)+" "+phase)
		}
	}
	p.Counts = strings.Join(parts, ", ")
}

func sortEvents(events []postgres.Summary, by string, down bool) {
	slices.SortStableFunc(events, func(a, b postgres.Summary) int {
		n := 0
		switch by {
		case "name":
			n = strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
		case "attending":
			n = a.Attending - b.Attending
		case "agreed":
			n = a.Agreed - b.Agreed
		case "blocked":
			n = a.BlockOn.Compare(b.BlockOn.Date)
		default:
			n = a.EndsOn.Compare(b.EndsOn.Date)
		}
		if down {
			n = -n
		}
		return cmp.Or(n, strings.Compare(string(a.ID), string(b.ID)))
	})
}

func listEvent(e postgres.Summary, pulled postgres.Pulled, now time.Time) listed {
	l := listed{
		ID: e.ID, Name: e.Name, Dates: datesOf(e), Attending: count(e.Attending), Forms: plural(e.Forms, "form", "forms"),
		Life: lifeOf(e.Event, now, false), Badge: badgeOf(e.Event, now), Held: e.Held, Pulled: showPulled(e, pulled, now),
	}
	if e.Asks {
		l.Agreed = count(e.Agreed)
		if e.Open(now) {
			l.Missing = count(e.Attending-e.Agreed) + " missing"
		}
	}
	if !e.Open(now) && e.Attending == 0 {
		l.Attending = ""
	}
	today := e.Today(now)
	switch {
	case e.State == attendees.Deleted, e.NeverHeld():
	case e.Open(now) && !e.EndsOn.Before(today): // afterwards the badge says so
		l.Words = "blocked " + shortly(e.BlockOn.Date, today) + ", deleted " + roughly(e.DeleteOn.Date, today)
	default:
		l.Words = "deleted " + roughly(e.DeleteOn.Date, today)
	}
	return l
}

func showPulled(e postgres.Summary, p postgres.Pulled, now time.Time) pulledShown {
	if !e.Open(now) {
		return pulledShown{Says: "closed"}
	}
	shown := pulledShown{Says: "not yet"}
	if !p.At.IsZero() {
		shown.Says = ago(p.At, now)
	}
	switch {
	case p.Failure != "":
		shown.Badge = badge{"late", "fails"}
	case p.Attention != "":
		shown.Badge = badge{"soon", "needs a look"}
	case !p.At.IsZero() && now.Sub(p.At) > lateAfter:
		shown.Badge = badge{"soon", "late"}
	}
	return shown
}

// datesOf writes when an event takes place: 28–30 October 2026.
func datesOf(e postgres.Summary) string {
	last := e.EndsOn.Date
	if e.EndsAt == nil && e.StartsAt == nil {
		return "no date yet"
	}
	first := last
	if e.StartsAt != nil {
		first = e.Today(*e.StartsAt)
	}
	switch {
	case first == last:
		return longDate(last)
	case first.Year == last.Year && first.Month == last.Month:
		return fmt.Sprintf("%d–%s", first.Day, longDate(last))
	case first.Year == last.Year:
		return fmt.Sprintf("%d %s – %s", first.Day, first.Month, longDate(last))
	}
	return longDate(first) + " – " + longDate(last)
}

// shortly is when, with a short date where it lies far.
func shortly(d, today attendees.Date) string {
	if n := d.Days(today); n < -nearDays || n > nearDays {
		return "on " + shortDate(d)
	}
	return when(d, today)
}

// sortedBy is the order that a list is asked for.
func sortedBy(q url.Values, usual string, usuallyDown bool) (by string, down bool) {
	if by = q.Get("sort"); by == "" {
		return usual, usuallyDown
	}
	return by, q.Get("down") != ""
}

// columns are headings that sort; pressed again they turn the order round. pairs are a
// column's key, behind # where it holds numbers, and its title.
func columns(q url.Values, by string, down bool, path func(url.Values) string, pairs ...string) []column {
	var all []column
	for pair := range slices.Chunk(pairs, 2) {
		key, number := strings.CutPrefix(pair[0], "#")
		c := column{Title: pair[1], Number: number}
		next := with(q, "sort", key)
		for _, gone := range []string{"down", "page", "after", "before"} {
			next.Del(gone)
		}
		if key == by {
			c.Sort = "ascending"
			if down {
				c.Sort = "descending"
			} else {
				next.Set("down", "1")
			}
		}
		c.Path = path(next)
		all = append(all, c)
	}
	return all
}

// pageOf is the page of a list that an address asks for, with the addresses of the pages
// around it; empty: there is none.
func pageOf[T any](all []T, q url.Values, path func(url.Values) string) (shown []T, newer, older string) {
	last := max((len(all)-1)/perPage, 0)
	page, _ := strconv.Atoi(q.Get("page"))
	page = min(max(page-1, 0), last) // from 0; what is no number is the first
	if page > 0 {
		newer = path(with(q, "page", strconv.Itoa(page)))
	}
	if page < last {
		older = path(with(q, "page", strconv.Itoa(page+2)))
	}
	return all[page*perPage : min((page+1)*perPage, len(all))], newer, older
}

// with is a query with one value set.
func with(q url.Values, key, value string) url.Values {
	next := url.Values{}
	for k, v := range q {
		next[k] = slices.Clone(v)
	}
	next.Set(key, value)
	return next
}
