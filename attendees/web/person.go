package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// personPage is everything that is held of one person, with why and from where.
type personPage struct {
	Event    postgres.Event
	ID       attendees.AttendeeID
	Name     string
	Standing string
	Class    string
	Fields   []fieldShown
	Answers  []answerShown
	Maybe    []answerShown // that are nobody's, and might be this person's
	More     bool          // others are nobody's, too
	Looks    int
	Empty    []string // what may be kept and is not held
}

// fieldShown is one field of a person.
type fieldShown struct {
	Name     string
	Values   []string
	Purposes string
	From     string
	Then     string
}

// maxMaybe is how many answers one looks through beside a person.
const maxMaybe = 10

func (s *Site) person(w http.ResponseWriter, r *http.Request) error {
	a, ctx := asked(r), r.Context()
	id := attendees.AttendeeID(r.PathValue("attendee"))
	whole, err := s.Store.LookAt(ctx, a.event.ID, id, a.user.ID)
	if err != nil {
		return err
	}
	looks, err := s.Store.Looks(ctx, a.event.ID, id)
	if err != nil {
		return err
	}
	p := personPage{Event: a.event, ID: id, Name: whole.Name.Reveal(), Standing: string(whole.Status), Looks: len(looks)}
	if p.Name == "" {
		p.Name = "No name yet"
	}
	if whole.Status != attendees.Attending {
		p.Class = "over"
	}
	links, err := s.Store.EventLinks(ctx, a.event.ID)
	if err != nil {
		return err
	}
	p.fields(whole, a.event, s.Store.Policy(), links)
	if p.Answers, err = s.showAnswers(r, a.event, whole.Responses); err != nil {
		return err
	}
	open, err := s.Store.LikelyResponses(ctx, a.event.ID, whole.Name, whole.Email, maxMaybe+1)
	if err != nil {
		return err
	}
	p.More = len(open) > maxMaybe
	if p.Maybe, err = s.showAnswers(r, a.event, open[:min(len(open), maxMaybe)]); err != nil {
		return err
	}
	// The title stands in the browser's history: no name there.
	return s.show(w, r, "person.html", "Registration "+string(id), p)
}

// fields shows each field that is held, why, and which source filled it.
func (p *personPage) fields(w postgres.Whole, e postgres.Event, policy *attendees.Policy, links []postgres.Link) {
	titles := map[attendees.FormID]string{}
	for _, l := range links {
		titles[l.Form] = l.Title
	}
	dropped := policy.DroppedFields()
	add := func(f attendees.Field, name string, values ...string) {
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		if len(values) == 0 {
			p.Empty = append(p.Empty, strings.ToLower(name))
			return
		}
		shown := fieldShown{Name: name, Values: values, From: "the registration", Then: "sealed"}
		if form, ok := w.From[f]; ok {
			shown.From = "the form " + formTitle(titles, form)
		}
		if w.Corrected[f] {
			shown.From = "a correction that the person asked for: correct it at the source, too"
		}
		if slices.Contains(dropped, f) {
			shown.Then = "deleted"
		}
		var why []string
		for _, u := range policy.Purposes {
			if u.Allows(f) {
				why = append(why, spoken(u.Name))
			}
		}
		shown.Purposes = strings.Join(why, ", ")
		p.Fields = append(p.Fields, shown)
	}
	agreed, attended := "", "no"
	if !w.AgreedAt.IsZero() {
		agreed = atTime(w.AgreedAt)
	}
	if w.Attended {
		attended = "yes"
	}
	var forums []string
	for _, f := range w.Forums {
		forums = append(forums, f.Reveal())
	}
	for _, f := range policy.Fields() {
		switch f {
		case attendees.Answers:
			for _, name := range sorted(w.Answers) {
				var values []string
				for _, v := range w.Answers[name] {
					values = append(values, v.Reveal())
				}
				add(f, title(strings.ReplaceAll(name, "_", " ")), values...)
			}
		case attendees.Forums:
			add(f, fieldName(f), forums...)
		default:
			add(f, fieldName(f), map[attendees.Field]string{
				attendees.Name: w.Name.Reveal(), attendees.Email: w.Email.Reveal(), attendees.Ticket: w.Ticket, attendees.Attended: attended,
				attendees.AgreementVersion: w.AgreementVersion, attendees.AgreedAt: agreed, attendees.Affiliation: w.Affiliation.Reveal(),
			}[f])
		}
	}
}

func sorted[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// linkAnswer gives an answer that is nobody's to the person, or takes back what was given
// by hand.
func (s *Site) linkAnswer(w http.ResponseWriter, r *http.Request) error {
	e, who := asked(r).event, attendees.AttendeeID(r.PathValue("attendee"))
	form, answer := attendees.FormID(r.PostForm.Get("form")), attendees.ResponseID(r.PostForm.Get("answer"))
	var err error
	if r.PostForm.Get("do") == "take back" {
		err = s.Store.UnlinkByHand(r.Context(), e.ID, form, answer)
	} else {
		err = s.Store.LinkByHand(r.Context(), e.ID, form, answer, who)
	}
	if errors.Is(err, postgres.ErrNoResponse) {
		return refused("That answer belongs to somebody already, or is gone.")
	}
	if err != nil {
		return err
	}
	s.numbers.forget(e.ID)
	http.Redirect(w, r, paths{}.Person(e.ID, who), http.StatusSeeOther)
	return nil
}
