package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform"
	"lethe/sync/typeform/typeformtest"
)

// sources are the two services, with nobody in them but their forms.
type sources struct {
	*pull.Puller
	eventbrite *eventbritetest.Server
	typeform   *typeformtest.Server
}

func newSources(t testing.TB, p *pull.Puller) sources {
	t.Helper()
	s := sources{p, eventbritetest.New(eventbritetest.Options{Limit: -1}), typeformtest.New(typeformtest.Options{})}
	url, stop, err := s.eventbrite.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if p.Eventbrite, err = eventbrite.New(eventbrite.Options{URL: url, Token: eventbritetest.Token, Log: p.Log}); err != nil {
		t.Fatal(err)
	}
	if url, err = s.typeform.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.typeform.Close() })
	if p.Typeform, err = typeform.New(typeform.Options{URL: url, Token: typeformtest.Token, Log: p.Log}); err != nil {
		t.Fatal(err)
	}
	s.typeform.AddForm(typeformtest.AgreementForm())
	s.typeform.AddForm(typeformtest.ForumForm())
	return s
}

const (
	agreementForm = typeformtest.AgreementFormID
	forumForm     = typeformtest.ForumFormID
)

// answerForms lets the people of event 4711 come one after the other, some of them
// cancel, and many answer the two forms; three answers are nobody's. Event 4715 has
// nobody.
func (h *house) answerForms() {
	h.t.Helper()
	ctx, end := h.t.Context(), time.Now().AddDate(0, 0, 20)
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	_, err := h.Store.SaveEvents(ctx, attendees.Eventbrite, []attendees.Event{{
		ID: "4715", Organization: "900", Name: "Winter School", Status: "live", Zone: "Europe/Berlin", Start: end.AddDate(0, 2, -1), End: end.AddDate(0, 2, 0),
	}})
	must(err)
	e, err := h.Store.Event(ctx, "4711")
	must(err)
	links := map[attendees.FormID]postgres.Link{
		agreementForm: {Event: "4711", Form: agreementForm, Title: "Participation agreement", Purpose: attendees.ParticipationAgreement, Fields: []postgres.LinkedField{
			{Field: attendees.Agreed, Question: "agree", ID: "a"}, {Field: attendees.AgreementVersion, Question: "version", ID: "v"}, {Field: attendees.Email, Question: "email", ID: "m"},
		}},
		forumForm: {Event: "4711", Form: forumForm, Title: "Forums", Purpose: attendees.Forum, Fields: []postgres.LinkedField{
			{Field: attendees.Affiliation, Question: "affiliation", ID: "f"}, {Field: attendees.Forums, Question: "forums", ID: "g"},
		}},
	}
	for _, l := range links {
		must(h.Store.SaveLink(ctx, e, l))
	}
	var batch []attendees.Minimised
	answers := map[attendees.FormID][]attendees.MinimisedResponse{}
	answer := func(form attendees.FormID, id, who string, a map[attendees.QuestionID]attendees.Answer) {
		answers[form] = append(answers[form], h.Store.Policy().MinimiseResponse(attendees.Response{
			Form: form, ID: attendees.ResponseID(id), Attendee: attendees.AttendeeID(who), Submitted: time.Now().AddDate(0, 0, -3), Answers: a,
		}, links[form].FieldLinks()))
	}
	forums := []attendees.Personal{"Rivers", "Archives", "Memory"}
	for i := range 30 {
		id := fmt.Sprintf("4711%03d", i)
		r := attendees.Registration{
			ID: attendees.AttendeeID(id), Event: "4711", Name: attendees.Personal(fmt.Sprintf("Nørre Testperson %d", i)),
			Email: attendees.Personal(fmt.Sprintf("norre%d@example.org", i)), Ticket: []string{"Standard", "Student"}[i%5/4],
			Created: end.AddDate(0, 0, i*i/12-110), Changed: end, Cancelled: i%10 == 9,
		}
		batch = append(batch, h.Store.Policy().Minimise(r, nil))
		if i%3 != 0 {
			answer(agreementForm, "a"+id, id, map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "version": {attendees.Personal([]string{"2026-1", "2025-1"}[i%7/6])}})
		}
		if i%2 == 0 {
			answer(forumForm, "f"+id, id, map[attendees.QuestionID]attendees.Answer{"forums": forums[i%3:], "affiliation": {"Example University"}})
		}
	}
	for i := range 3 {
		answer(agreementForm, fmt.Sprint("nobody", i), "", map[attendees.QuestionID]attendees.Answer{
			"agree": {"true"}, "email": {attendees.Personal(fmt.Sprintf("testperson%d@elsewhere.example", i))},
		})
	}
	must(h.Store.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := h.Store.Save(ctx, tx, nil, attendees.Eventbrite, batch); err != nil {
			return err
		}
		for _, of := range answers {
			if _, err := h.Store.SaveResponses(ctx, tx, map[attendees.EventID][]attendees.MinimisedResponse{"4711": of}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// respond lets an answer to a form come in; who names its registration, or nobody.
func (h *house) respond(form attendees.FormID, event attendees.EventID, id, who string, answers map[attendees.QuestionID]attendees.Answer) {
	h.t.Helper()
	h.responses(form, event, attendees.Response{ID: attendees.ResponseID(id), Attendee: attendees.AttendeeID(who), Answers: answers})
}

// answers lets so many come in that are nobody's.
func (h *house) answers(form attendees.FormID, event attendees.EventID, id string, n int) {
	h.t.Helper()
	all := make([]attendees.Response, n)
	for i := range all {
		all[i] = attendees.Response{ID: attendees.ResponseID(fmt.Sprint("u", id, i)), Answers: map[attendees.QuestionID]attendees.Answer{
			"agree": {"true"}, "email": {attendees.Personal(fmt.Sprintf("u%s%d@elsewhere.example", id, i))},
		}}
	}
	h.responses(form, event, all...)
}

func (h *house) responses(form attendees.FormID, event attendees.EventID, all ...attendees.Response) {
	h.t.Helper()
	links, err := h.Store.FormLinks(h.t.Context(), form)
	if err != nil {
		h.t.Fatal(err)
	}
	minimised := make([]attendees.MinimisedResponse, len(all))
	for i, r := range all {
		r.Form, r.Submitted = form, time.Now()
		minimised[i] = h.Store.Policy().MinimiseResponse(r, links[0].FieldLinks())
	}
	err = h.Store.InTx(h.t.Context(), func(tx *sqlx.Tx) error {
		_, err := h.Store.SaveResponses(h.t.Context(), tx, map[attendees.EventID][]attendees.MinimisedResponse{event: minimised})
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}
