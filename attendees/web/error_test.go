package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestEachErrorHasAPageThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	event, err := h.Store.Event(t.Context(), "4714")
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"not there":        {errNotFound, 404, "not for you to see"},
		"unknown event":    {&postgres.UnknownEventError{Event: "1"}, 404, "not for you to see"},
		"unknown person":   {fmt.Errorf("show: %w", &postgres.UnknownAttendeeError{Attendee: "1"}), 404, "not for you to see"},
		"signed out":       {errSignedOut, 303, ""},
		"blocked":          {&postgres.BlockedError{Event: event}, 410, "data-protection officer can open them"},
		"refused":          {refused("The day is none."), 422, "The day is none. Go back"},
		"too large":        {&http.MaxBytesError{Limit: 1}, 413, "larger than any form"},
		"from elsewhere":   {errCrossSite, 403, "own pages alone"},
		"busy":             {errBusy, 503, "try again in half a minute"},
		"nobody knows why": {errors.New("database: find: connection reset"), 500, "this number"},
	} {
		w := httptest.NewRecorder()
		h.handle(func(http.ResponseWriter, *http.Request) error { return c.err }).ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s, want %d with %q", what, w.Code, w.Body, c.status, c.says)
		}
		if strings.Contains(w.Body.String(), "connection reset") {
			t.Errorf("%s: the page tells what is for the log", what)
		}
	}
}

func TestAPageThatTakesTooLongSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	over, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	for what, c := range map[string]struct {
		ctx  context.Context
		err  error
		says string
	}{
		"its own bound":     {over, fmt.Errorf("read a form: %w", context.DeadlineExceeded), "took too long"},
		"a cancelled query": {over, fmt.Errorf("database: find: %w", context.Canceled), "took too long"},
		"a page of its own": {over, refused("The form is being read."), "being read"},
		"nobody waits":      {gone, fmt.Errorf("database: find: %w", context.Canceled), ""},
	} {
		w := httptest.NewRecorder()
		h.handle(func(http.ResponseWriter, *http.Request) error { return c.err }).ServeHTTP(w, httptest.NewRequest("GET", "/x", nil).WithContext(c.ctx))
		if !strings.Contains(w.Body.String(), c.says) || (c.says == "") != (w.Body.Len() == 0) {
			t.Errorf("%s: %d %s, want %q", what, w.Code, w.Body, c.says)
		}
	}
}

func TestAFailuresNumberStandsInTheLogAndAPanicsWordsNowhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := httptest.NewRecorder()
	h.handle(func(http.ResponseWriter, *http.Request) error { panic("ada@example.org") }).ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	number := regexp.MustCompile(`class="number">([A-Z2-7]{8})<`).FindStringSubmatch(w.Body.String())
	if w.Code != 500 || number == nil || !strings.Contains(h.log.String(), "id="+number[1]) || !strings.Contains(h.log.String(), "panic of string") {
		t.Errorf("a panic answers %d; the log says %s", w.Code, h.log)
	}
	if strings.Contains(w.Body.String()+h.log.String(), "ada@") {
		t.Error("a panic's words are shown")
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, path := range []string{"/signin", "/events/4711/tasks"} {
		b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
		if a := b.post(path, url.Values{"email": {strings.Repeat("x", maxBody)}}); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("POST %s with %d bytes answers %d", path, maxBody, a.status)
		}
	}
}

func TestATaskIsTickedOffByWhoSeesItsEvent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tasks, err := h.Store.Tasks(t.Context())
	if err != nil || len(tasks) != 2 {
		t.Fatalf("%d tasks (%v)", len(tasks), err)
	}
	b := h.signedIn(h.user("ada@example.org", []attendees.EventID{"4711"}, attendees.Organiser))
	for _, task := range tasks {
		a := b.post("/events/4711/tasks", url.Values{"task": {fmt.Sprint(task.ID)}})
		if want := map[attendees.EventID]int{"4711": 303, "4714": 422}[task.Event]; a.status != want {
			t.Errorf("a task of event %s: %d, want %d", task.Event, a.status, want)
		}
	}
	left, err := h.Store.Tasks(t.Context())
	if err != nil || len(left) != 1 || left[0].Event != "4714" {
		t.Errorf("left are %v (%v)", left, err)
	}
	var by string
	if err := h.Store.DB().Get(&by, `select done_by from tasks where done_at is not null`); err != nil || by != "ada@example.org" {
		t.Errorf("ticked off by %q (%v)", by, err)
	}
}

func TestWhatIsPutOffIsDoneBeforeTheSiteEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l := startLater(h.Log)
	did := 0
	for range maxLater {
		l.do(func(context.Context) error { time.Sleep(time.Millisecond); did++; return nil })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.close(ctx); err != nil || did < maxLater {
		t.Errorf("%d of %d were done (%v)", did, maxLater, err)
	}
	l.do(func(context.Context) error { t.Error("it does what was put off too late"); return nil }) // and does not panic
}
