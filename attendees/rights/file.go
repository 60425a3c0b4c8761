package rights

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lethe/attendees"
)

// FileVersion is the version of a person's data file, which my-data.schema.json describes.
// A change that a reader must know of raises it.
const FileVersion = 1

// File is everything that is stored under one address, as its person downloads it (GDPR
// Art. 15(3), 20). Its texts are revealed: it is for that person only.
type File struct {
	Format       string                `json:"format"`
	Version      int                   `json:"version"`
	MadeAt       time.Time             `json:"made_at"`
	Address      string                `json:"address"`
	Organisation string                `json:"organisation,omitempty"`
	Contact      string                `json:"contact,omitempty"`
	Authority    string                `json:"authority,omitempty"`
	Processors   []attendees.Processor `json:"processors"`
	Events       []FileEvent           `json:"events"`
	Requests     []FileRequest         `json:"requests"`
}

// FileEvent is one registration for an event, or what is stored there without one.
type FileEvent struct {
	Event      attendees.EventID `json:"event"`
	Name       string            `json:"name"`
	EndsOn     attendees.Date    `json:"ends_on"`
	SealedFrom attendees.Date    `json:"sealed_from"`
	DeletedOn  attendees.Date    `json:"deleted_on"`
	Rule       string            `json:"rule"`
	Statute    string            `json:"statute"`
	OnHold     bool              `json:"on_hold"`
	// Shared is how many registrations have the address, where they may be several people's.
	Shared       int               `json:"shared,omitempty"`
	Closed       bool              `json:"closed,omitempty"` // opens to officers only
	Registration *FileRegistration `json:"registration,omitempty"`
	Answers      []FileAnswer      `json:"answers"`
	Lists        []FileList        `json:"lists"`
	Looks        []time.Time       `json:"looks"`
}

// FileRegistration is one registration.
type FileRegistration struct {
	ID           attendees.AttendeeID    `json:"id"`
	State        attendees.State         `json:"state"`
	Reason       attendees.Reason        `json:"reason,omitempty"`
	RegisteredAt *time.Time              `json:"registered_at,omitempty"`
	SealedAt     *time.Time              `json:"sealed_at,omitempty"`
	Withdrawn    []attendees.PurposeName `json:"withdrawn"`
	Fields       []FileField             `json:"fields"`
}

// FileField is one field with the purposes that it is kept for.
type FileField struct {
	Field     attendees.Field      `json:"field"`
	Values    []string             `json:"values"`
	From      attendees.SourceName `json:"from"`
	Corrected bool                 `json:"corrected"`
	Purposes  []FilePurpose        `json:"purposes"`
}

// FilePurpose is a purpose with its legal basis.
type FilePurpose struct {
	Purpose attendees.PurposeName `json:"purpose"`
	Basis   string                `json:"basis"` // of GDPR Art. 6(1)
}

// FileAnswer is a response that is matched to no registration of theirs.
type FileAnswer struct {
	Form        attendees.FormID `json:"form"`
	SubmittedAt *time.Time       `json:"submitted_at,omitempty"`
	DroppedAt   *time.Time       `json:"dropped_at,omitempty"`
	Fields      []FileField      `json:"fields"`
}

// FileList is an export that includes the person, or of a blocked event may have.
type FileList struct {
	Purpose attendees.PurposeName `json:"purpose"`
	TakenAt time.Time             `json:"taken_at"`
}

// FileRequest is one of their open requests.
type FileRequest struct {
	Number     int               `json:"number"`
	Asks       attendees.Right   `json:"asks"`
	Event      attendees.EventID `json:"event"`
	ReceivedOn attendees.Date    `json:"received_on"`
	AnswerBy   attendees.Date    `json:"answer_by"`
	Outcome    attendees.Outcome `json:"outcome"`
}

// File makes a person's data file.
func (d *Desk) File(address attendees.Personal, held []Holding, cases []Case) File {
	p := d.Store.policy
	f := File{
		Format: "lethe-my-data", Version: FileVersion, MadeAt: d.Now().UTC().Truncate(time.Second), Address: address.Reveal(),
		Organisation: p.Organization, Contact: p.Contact, Authority: p.Authority.Name,
		Processors: append([]attendees.Processor{}, p.Processors...), Events: []FileEvent{}, Requests: []FileRequest{},
	}
	for _, h := range held {
		f.Events = append(f.Events, d.fileEvent(h))
	}
	for _, c := range cases {
		f.Requests = append(f.Requests, FileRequest{c.Number, c.Asks, c.Event, c.Received, d.Deadline(c), c.Outcome})
	}
	return f
}

func (d *Desk) fileEvent(h Holding) FileEvent {
	e := FileEvent{
		Event: h.Event.ID, Name: h.Event.Name, EndsOn: h.Event.EndsOn, SealedFrom: h.Event.BlockOn, DeletedOn: h.Event.DeleteOn,
		Rule: h.Event.Rule, Statute: d.Store.statute(h.Event.Rule), OnHold: h.OnHold, Shared: h.Shared, Closed: h.Closed,
		Answers: []FileAnswer{}, Lists: []FileList{}, Looks: []time.Time{},
	}
	if o := h.Own; o != nil {
		e.Registration = &FileRegistration{
			ID: o.ID, State: fileState(o.State), Reason: o.Reason, RegisteredAt: optional(o.Registered), SealedAt: optional(midnight(o.SealedOn)),
			Withdrawn: append([]attendees.PurposeName{}, o.Withdrawn...), Fields: d.fileFields(o.Fields),
		}
	}
	for _, a := range h.Answers {
		e.Answers = append(e.Answers, FileAnswer{a.Form, optional(a.Submitted), optional(midnight(a.DropsOn)), d.fileFields(a.Fields)})
	}
	for _, l := range h.Lists {
		e.Lists = append(e.Lists, FileList{l.Purpose, l.At.UTC()})
	}
	for _, l := range h.Looks {
		e.Looks = append(e.Looks, l.At.UTC())
	}
	return e
}

// fileState is a state as the file's format names it.
func fileState(s attendees.State) attendees.State {
	if s == attendees.Open {
		return "active"
	}
	return attendees.Blocked
}

// midnight is the beginning of a day in UTC.
func midnight(d attendees.Date) time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (d *Desk) fileFields(fields []OwnField) []FileField {
	all := []FileField{}
	for _, f := range fields {
		one := FileField{Field: f.Field, From: f.From, Corrected: f.Corrected, Purposes: []FilePurpose{}}
		for _, v := range f.Values {
			one.Values = append(one.Values, v.Reveal())
		}
		for _, name := range f.Purposes {
			u, _ := d.Store.policy.Purpose(name)
			one.Purposes = append(one.Purposes, FilePurpose{name, u.Basis})
		}
		all = append(all, one)
	}
	return all
}

// JSON is the file as it is downloaded.
func (f File) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("write a person's data file: %w", err)
	}
	return b.Bytes(), nil
}

// RequestsJSON is the list of requests alone.
func (f File) RequestsJSON() ([]byte, error) {
	text, err := json.Marshal(f.Requests)
	if err != nil {
		return nil, fmt.Errorf("write a person's requests: %w", err)
	}
	return append(text, '\n'), nil
}

// Zip is the file with its tables and a page to read, which the caller has made.
func (f File) Zip(page []byte) ([]byte, error) {
	text, err := f.JSON()
	if err != nil {
		return nil, err
	}
	fields := [][]string{{"event", "name", "field", "value", "from", "corrected"}}
	uses := [][]string{{"event", "name", "use", "purpose", "at"}}
	for _, e := range f.Events {
		add := func(all []FileField) {
			for _, one := range all {
				for _, v := range one.Values {
					fields = append(fields, []string{string(e.Event), e.Name, string(one.Field), v, string(one.From), yesNo(one.Corrected)})
				}
			}
		}
		if e.Registration != nil {
			add(e.Registration.Fields)
		}
		for _, a := range e.Answers {
			add(a.Fields)
		}
		for _, l := range e.Lists {
			uses = append(uses, []string{string(e.Event), e.Name, "list", string(l.Purpose), l.TakenAt.Format(time.RFC3339)})
		}
		for _, at := range e.Looks {
			uses = append(uses, []string{string(e.Event), e.Name, "look", "", at.Format(time.RFC3339)})
		}
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, one := range []struct {
		name string
		text []byte
	}{{"my-data.json", text}, {"my-data.html", page}, {"fields.csv", table(fields)}, {"uses.csv", table(uses)}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: one.name, Method: zip.Deflate, Modified: f.MadeAt})
		if err != nil {
			return nil, fmt.Errorf("write a person's data file: %w", err)
		}
		if _, err := w.Write(one.text); err != nil {
			return nil, fmt.Errorf("write a person's data file: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("write a person's data file: %w", err)
	}
	return b.Bytes(), nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// table writes rows as CSV. What a spreadsheet would run as a formula gets a ' in front.
func table(rows [][]string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
		_ = w.Write(row) // a buffer takes everything
	}
	w.Flush()
	return b.Bytes()
}
