package events_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// form has a question for each id, with the ref that the id's first two characters are.
func form(id attendees.FormID, ids ...attendees.QuestionID) attendees.Form {
	f := attendees.Form{ID: id, Title: "Agreement"}
	for _, q := range ids {
		f.Questions = append(f.Questions, attendees.Question{ID: q, Ref: "ref-" + q[:2]})
	}
	return f
}

// link links a form's first question as the agreement, and the others as answers.
func (w *world) link(event attendees.EventID, f attendees.Form) {
	w.Helper()
	if err := w.tryLink(event, f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) tryLink(event attendees.EventID, f attendees.Form) error {
	fields := attendees.FieldLinks{{Purpose: attendees.ParticipationAgreement, Field: attendees.Agreed, Question: f.Questions[0].Key()}}
	if len(f.Questions) > 1 {
		fields = append(fields, attendees.FieldLink{Purpose: attendees.ParticipationAgreement, Field: attendees.Affiliation, Question: f.Questions[1].Key()})
	}
	return w.store.Forms.Link(w.Context(), event, f, attendees.ParticipationAgreement, fields)
}

// refresh discovers a form, and gives the linked questions that it lacks.
func (w *world) refresh(f attendees.Form, event attendees.EventID) []attendees.QuestionID {
	w.Helper()
	gone, err := w.store.Forms.Refresh(w.Context(), f, event)
	if err != nil {
		w.Fatal(err)
	}
	return gone
}

// generation is how often a feed was rewound.
func (w *world) generation(name events.FeedName) int {
	w.Helper()
	f, err := w.store.Feeds.Get(w.Context(), w.pool, name)
	if err != nil {
		w.Fatal(err)
	}
	return f.Generation
}

func (w *world) asked(id attendees.FormID) []attendees.QuestionID {
	w.Helper()
	refs, err := w.store.Forms.Questions(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	for id, ref := range refs {
		if ref != "ref-"+id[:2] {
			w.Errorf("question %s is %s", id, ref)
		}
	}
	return slices.Sorted(maps.Keys(refs))
}

func (w *world) twoEvents() {
	w.save("1", w.now.AddDate(0, 1, 0))
	w.save("2", w.now.AddDate(0, 1, 0))
}

// FAULTS A1, A2.
func TestEveryIDThatALinkedQuestionHadIsAskedFor(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	w.link("1", form("f", "q1", "q2", "q3"))
	linked := w.generation(events.FormFeed("f"))
	if gone := w.refresh(form("f", "q1", "q2", "q3"), ""); len(gone) > 0 || w.generation(events.FormFeed("f")) != linked {
		t.Errorf("gone are %v; a form that is as it was is read again", gone)
	}
	w.refresh(form("f", "q1-new", "q2", "q3-new"), "")
	if ids := w.asked("f"); !slices.Equal(ids, []attendees.QuestionID{"q1", "q1-new", "q2"}) {
		t.Errorf("asked for is %v, want both ids of the first question, and no question that nobody linked", ids)
	}
	if w.generation(events.FormFeed("f")) != linked+1 {
		t.Error("a linked question has a new id, and the form is not read again")
	}
	w.refresh(form("f", "q1-new", "q2", "q3-newer"), "")
	if w.generation(events.FormFeed("f")) != linked+1 {
		t.Error("a form is read again for a question that nobody linked")
	}
	// What is linked later was answered before, too.
	w.link("2", attendees.Form{ID: "f", Questions: form("f", "q3-newer").Questions})
	if ids := w.asked("f"); !slices.Contains(ids, "q3") || !slices.Contains(ids, "q3-new") {
		t.Errorf("asked for is %v, want every id of the third question, too", ids)
	}
}

// FAULTS A12 (cases/12).
func TestALinkedQuestionThatNoLongerExistsIsNamedAndAskedAbout(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	w.link("1", form("f", "q1", "q2"))
	w.link("2", attendees.Form{ID: "f", Title: "Agreement", Questions: slices.Concat(form("f", "q3").Questions, form("f", "q1", "q2").Questions)})
	for range 3 { // as each hour
		if gone := w.refresh(form("f", "q3", "q2"), ""); !slices.Equal(gone, []attendees.QuestionID{"ref-q1"}) {
			t.Errorf("gone are %v, want the first question", gone)
		}
	}
	all, err := w.store.Forms.Gone(t.Context(), w.pool)
	if err != nil || len(all) != 2 || all[0] != (events.GoneQuestion{Event: "1", Form: "f", Question: "ref-q1"}) {
		t.Errorf("listed are %v (%v)", all, err)
	}
	tasks := w.tasks(events.TaskQuestions)
	if len(tasks) != 2 || tasks[0].Form != "f" || tasks[0].Count != 1 || tasks[0].Times != 1 {
		t.Errorf("staff are asked %+v, want once for each event", tasks)
	}
	// Linked by another question it is complete again, there.
	if err := w.store.Forms.Link(t.Context(), "2", form("f", "q3", "q2"), attendees.ParticipationAgreement, nil); err != nil {
		t.Fatal(err)
	}
	if tasks := w.tasks(events.TaskQuestions); len(tasks) != 1 || tasks[0].Event != key("1") {
		t.Errorf("staff are asked %+v, want about event 1", tasks)
	}
	if gone := w.refresh(form("f"), ""); len(gone) != 2 {
		t.Errorf("of a form without questions %v are gone, want both", gone)
	}
	before := w.generation(events.FormFeed("f"))
	if gone := w.refresh(form("f", "q1", "q2", "q3"), ""); len(gone) > 0 || len(w.tasks(events.TaskQuestions)) > 0 || w.generation(events.FormFeed("f")) != before+1 {
		t.Errorf("they are back: gone are %v, staff are asked %v, and it is to be read again", gone, w.tasks(events.TaskQuestions))
	}
}

func TestAnEventsOwnQuestionThatNoLongerExistsIsNamedToo(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	w.link("1", form(attendees.EventbriteForm, "q1"))
	w.link("2", form(attendees.EventbriteForm, "q2"))
	if gone := w.refresh(form(attendees.EventbriteForm, "q1"), "1"); len(gone) > 0 {
		t.Errorf("gone are %v, want none: the other question is the other event's", gone)
	}
	if gone := w.refresh(form(attendees.EventbriteForm, "q9"), "2"); !slices.Equal(gone, []attendees.QuestionID{"ref-q2"}) {
		t.Errorf("gone are %v, want event 2's", gone)
	}
	if tasks := w.tasks(events.TaskQuestions); len(tasks) != 1 || tasks[0].Event != key("2") {
		t.Errorf("staff are asked %+v, want about event 2", tasks)
	}
}

func TestAFormWhoseResponsesAreElsewhereNowIsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	f := form("f", "q1")
	if host, err := w.store.Forms.Host(t.Context(), w.pool, "f"); host != "" || err != nil {
		t.Errorf("the host of an unknown form is %q (%v)", host, err)
	}
	w.link("1", f)
	before := w.generation(events.FormFeed("f"))
	f.Host = "api.example.com"
	w.refresh(f, "")
	if w.generation(events.FormFeed("f")) != before {
		t.Error("its host is known only now, and it is read again")
	}
	f.Host = "api.example.eu"
	w.refresh(f, "")
	if host, err := w.store.Forms.Host(t.Context(), w.pool, "f"); host != f.Host || err != nil || w.generation(events.FormFeed("f")) != before+1 {
		t.Errorf("its host is %q (%v), and it is to be read again", host, err)
	}
}

func TestALinkKeepsItsFieldsInOrderAndLinkingAgainReplaces(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	f := form("f", "q1", "q2", "q3")
	of := func(fields ...string) (links attendees.FieldLinks) {
		for i, name := range fields {
			links = append(links, attendees.FieldLink{Purpose: attendees.Forum, Field: attendees.Field(name), Question: f.Questions[i].Key()})
		}
		return links
	}
	for _, fields := range []attendees.FieldLinks{of("affiliation", "answers.chair", "answers.bus"), of("answers.zoo", "affiliation")} {
		if err := w.store.Forms.Link(t.Context(), "1", f, attendees.Forum, fields); err != nil {
			t.Fatal(err)
		}
		links, err := w.store.Forms.Links(t.Context(), w.pool, key("1"))
		if err != nil || len(links) != 1 || !slices.Equal(links[0].Fields, fields) || links[0].Title != "Agreement" {
			t.Errorf("linked are %v (%v), want %v", links, err, fields)
		}
	}
	w.link("1", f)
	w.link("2", f)
	links, err := w.store.Forms.Links(t.Context(), w.pool)
	if err != nil || len(links) != 3 || !events.AsksToAgree(links, "2") || len(events.FieldLinks(links, "1", "f")) != 4 {
		t.Errorf("linked are %v (%v)", links, err)
	}
	if w.generation(events.FormFeed("f")) != 4 {
		t.Errorf("the form was rewound %d times, want with each link", w.generation(events.FormFeed("f")))
	}
}

func TestWhatCannotBeLinkedIsRefusedAndSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	f := form("f", "q1", "q2")
	f.Questions[1].FreeText = true
	forum, _ := w.policy.Purpose(attendees.Forum)
	field := func(name attendees.Field, question attendees.QuestionID) attendees.FieldLink {
		return attendees.FieldLink{Field: name, Question: question}
	}
	for why, l := range map[string]attendees.FieldLink{
		"has no field":      field(attendees.Agreed, "q1"),
		"answers.NAME":      field(attendees.Answers, "q1"), // FAULTS B7
		"no question":       field(attendees.Affiliation, "q7"),
		"free text":         field(attendees.Affiliation, "q2"),
		`no field "ticket"`: field(attendees.Ticket, "q1"),
	} {
		if _, err := events.LinkField(f, forum, l); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if l, err := events.LinkField(f, forum, field("answers.chair", "q1")); err != nil || l != (attendees.FieldLink{Purpose: attendees.Forum, Field: "answers.chair", Question: "ref-q1"}) {
		t.Errorf("linked is %v (%v), want by the ref, which lasts", l, err)
	}
	twice := attendees.FieldLinks{field(attendees.Affiliation, "ref-q1"), field(attendees.Affiliation, "ref-q2")}
	if err := w.store.Forms.Link(t.Context(), "1", f, attendees.Forum, twice); err == nil || !strings.Contains(err.Error(), "two questions fill field affiliation") {
		t.Errorf("one field filled twice: %v", err)
	}
	w.block("1", "")
	if err := w.tryLink("1", f); err == nil || !strings.Contains(err.Error(), "lethe events reopen 1") {
		t.Errorf("to a blocked event: %v", err)
	}
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.Delete(ctx, tx, e) })
	if err := w.tryLink("1", f); err == nil || strings.Contains(err.Error(), "reopen") {
		t.Errorf("to a deleted event: %v", err)
	}
	if links, err := w.store.Forms.Links(t.Context(), w.pool); err != nil || len(links) > 0 || w.generation(events.FormFeed("f")) > 0 {
		t.Errorf("what was refused is linked: %v (%v)", links, err)
	}
}

func TestUnlinkingHasTheOthersReadAgainAndForgetsWhatFailed(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	f := form("f", "q1")
	w.link("1", f)
	w.link("2", f)
	if _, err := w.store.Feeds.Fail(t.Context(), events.FormFeed("f"), "refused"); err != nil {
		t.Fatal(err)
	}
	unlink := func(event attendees.EventID, purpose attendees.PurposeName) (was bool) {
		t.Helper()
		w.in(event, func(ctx context.Context, tx db.Tx, e events.Event) (err error) {
			was, err = w.store.Forms.Unlink(ctx, tx, e, "f", purpose)
			return err
		})
		return was
	}
	before := w.generation(events.FormFeed("f"))
	if unlink("1", attendees.Forum) || w.generation(events.FormFeed("f")) != before {
		t.Error("it was not linked for that purpose")
	}
	if !unlink("1", "") || w.generation(events.FormFeed("f")) != before+1 {
		t.Error("the other event kept nothing of what matched here: the form is to be read again")
	}
	failure := func() string {
		t.Helper()
		f, err := w.store.Feeds.Get(t.Context(), w.pool, events.FormFeed("f"))
		if err != nil {
			t.Fatal(err)
		}
		return f.Failure
	}
	if failure() == "" {
		t.Error("it fails still, for the other event")
	}
	w.refresh(form("f"), "")
	if !unlink("2", attendees.ParticipationAgreement) || failure() != "" || len(w.tasks(events.TaskQuestions)) > 0 {
		t.Errorf("it belongs to no event: it fails with %q, and staff are asked %v", failure(), w.tasks(events.TaskQuestions))
	}
	if forms, err := w.store.Forms.Linked(t.Context()); err != nil || len(forms) > 0 {
		t.Errorf("read are %v (%v)", forms, err)
	}
}

func TestFormsAreReadForOpenEventsOnly(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	w.link("1", form("f", "q1"))
	w.link("1", form("g", "q1"))
	w.link("2", form("g", "q1"))
	w.link("2", form(attendees.EventbriteForm, "q1"))
	w.block("1", "")
	if forms, err := w.store.Forms.Linked(t.Context()); err != nil || !slices.Equal(forms, []attendees.FormID{"g"}) {
		t.Errorf("read are %v (%v), want g", forms, err)
	}
}
