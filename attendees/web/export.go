package web

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
	"lethe/attendees/old/postgres"
)

func (s *Site) exportRoutes() []route {
	return []route{
		{pattern: "GET /exports", nav: "Exports", may: organisers, do: s.exported},
		{pattern: "GET /events/{event}/export", may: organisers, slow: true, do: s.ofOpen(s.export)},
	}
}

const (
	// maxExports is how many lists leave at once: each holds a connection to the
	// database for as long as its reader is slow.
	maxExports = 3
	// maxOwnExports is how many of them one user takes: her slow line keeps nobody else
	// from lists.
	maxOwnExports = 2
	// exportWait is how long a list waits until others have left. Who sees nothing happen
	// for longer presses again.
	exportWait = 5 * time.Second
	// writeFor is how long one piece of a list may take to be sent: a reader who takes
	// none for so long has gone.
	writeFor = 30 * time.Second
)

// exportPage asks what a list is for.
type exportPage struct {
	Event    postgres.Event
	Until    string
	Purposes []purposeShown
	Chosen   attendees.PurposeName
	People   int
}

// export shows the page that asks for the purpose, or, where a format is asked for, sends
// the list.
func (s *Site) export(w http.ResponseWriter, r *http.Request) error {
	a, q := asked(r), r.URL.Query()
	e := a.event
	if q.Get("format") == "" {
		sum, err := s.Store.SummaryOf(r.Context(), e.ID)
		if err != nil {
			return err
		}
		p := exportPage{
			Event: e, Until: longDate(e.BlockOn.Date), Purposes: s.purposes(), Chosen: attendees.PurposeName(q.Get("purpose")), People: sum.Attending,
		}
		if p.Chosen != "" {
			p.Purposes = slices.DeleteFunc(p.Purposes, func(u purposeShown) bool { return u.Name != p.Chosen })
		}
		return s.show(w, r, "export.html", "Take a list of "+e.Name, p)
	}
	l := export.List{Event: e.ID, Purpose: attendees.PurposeName(q.Get("purpose")), Format: q.Get("format")}
	switch q.Get("status") {
	case "", "attending":
		l.Standing = attendees.Attending
	case "all":
		l.Standing = postgres.AnyStatus
	default:
		return refused("A list is of those who are attending, or of all.")
	}
	if l.Purpose == "" {
		return refused("Say what the list is for.")
	}
	return s.send(w, r, l, string(e.ID)+"-"+string(l.Purpose))
}

// kinds are the formats of lists as HTTP names them.
var kinds = map[string]string{
	"csv": "text/csv; charset=utf-8; header=present", "json": "application/json",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// send streams a list. What fails before the first byte is a page; what fails later cuts
// the connection, so that no half of a list passes for the whole.
func (s *Site) send(w http.ResponseWriter, r *http.Request, l export.List, name string) error {
	kind, ok := kinds[l.Format]
	if !ok {
		return refused("A list is written as csv, json or xlsx.")
	}
	out := &sending{ResponseWriter: w, name: fileName(name) + "." + l.Format, kind: kind}
	if r.Method == http.MethodHead {
		// Nobody gets a list by it: nothing is read, and no receipt says that somebody did.
		if _, ok := s.Store.Policy().Purpose(l.Purpose); !ok {
			return errNotFound
		}
		out.begin()
		return nil
	}
	user := asked(r).user
	if !s.takers.take(user.ID.String()) {
		return errBusy
	}
	defer s.takers.leave(user.ID.String())
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	case <-time.After(exportWait):
		return errBusy
	case <-r.Context().Done():
		return r.Context().Err()
	}
	l.Store, l.By, l.At, l.Streams = s.Store, user.Email.Reveal(), s.Now(), true
	_, err := l.Write(r.Context(), out)
	if err == nil {
		return nil
	}
	if out.begun {
		s.Log.Error("a list was cut off", "event", l.Event, "purpose", l.Purpose, "format", l.Format, "err", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// sending is a list on its way out.
type sending struct {
	http.ResponseWriter
	name, kind string
	begun      bool
}

// begin says what comes.
func (o *sending) begin() {
	o.begun = true
	o.Header().Set("Content-Type", o.kind)
	o.Header().Set("Content-Disposition", `attachment; filename="`+o.name+`"`)
}

func (o *sending) Write(p []byte) (int, error) {
	if !o.begun {
		o.begin()
	}
	// The server's own limit is for pages. One that cannot be moved stays.
	_ = http.NewResponseController(o.ResponseWriter).SetWriteDeadline(time.Now().Add(writeFor))
	return o.ResponseWriter.Write(p)
}

// fileName keeps ids from outside from meaning anything in a header or a folder.
func fileName(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, id)
}

// exportedPage lists the lists that left.
type exportedPage struct {
	Receipts []receiptShown
	Recalled int

	Newer, Older, NewerSays, OlderSays string
}

type receiptShown struct {
	Event    attendees.EventID
	Name     string
	Purpose  string
	Format   string
	Rows     int
	By       string
	At       time.Time
	SHA256   string
	Recalled bool
	Fresh    bool // a fresh one can be taken
	Until    string
}

// exported shows the receipts of the user's events, and which copies are to be destroyed.
func (s *Site) exported(w http.ResponseWriter, r *http.Request) error {
	user, now := asked(r).user, s.Now()
	var mine []attendees.EventID
	if len(user.Events) > 0 {
		mine = user.Events
	}
	receipts, err := s.Store.ReceiptsOf(r.Context(), mine)
	if err != nil {
		return err
	}
	var ids []attendees.EventID
	for _, one := range receipts {
		ids = append(ids, one.Event)
	}
	events, err := s.Store.KnownEvents(r.Context(), ids)
	if err != nil {
		return err
	}
	p := exportedPage{NewerSays: "Previous page", OlderSays: "Next page"}
	for _, one := range receipts {
		e := events[one.Event]
		shown := receiptShown{
			Event: e.ID, Name: e.Name, Purpose: spoken(one.Purpose), Format: one.Format, Rows: one.Rows, By: one.By, At: one.At,
			SHA256: hex.EncodeToString(one.SHA256), Fresh: e.Open(now), Until: shortDate(e.BlockOn.Date),
		}
		// At its block date each list is recalled, whether the worker came by or not.
		if shown.Recalled = one.Recalled != nil || !shown.Fresh; shown.Recalled {
			p.Recalled++
		}
		p.Receipts = append(p.Receipts, shown)
	}
	p.Receipts, p.Newer, p.Older = pageOf(p.Receipts, r.URL.Query(), paths{}.ExportsBy)
	return s.show(w, r, "exports.html", "Lists that left", p)
}
