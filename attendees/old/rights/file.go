package rights

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// FileVersion is the version of the format of a person's data file. my-data.schema.json
// beside this file describes it; what changes there in a way that a reader must know
// raises the version.
const FileVersion = 1

// File is everything that is held under one address, for its person to take along (GDPR
// Art. 15(3), 20). Its texts are revealed: it goes to her alone.
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

// FileEvent is what is held for one event.
type FileEvent struct {
	Event      attendees.EventID `json:"event"`
	Name       string            `json:"name"`
	EndsOn     attendees.Date    `json:"ends_on"`
	SealedFrom attendees.Date    `json:"sealed_from"`
	DeletedOn  attendees.Date    `json:"deleted_on"`
	Rule       string            `json:"rule"`
	Statute    string            `json:"statute"`
	OnHold     bool              `json:"on_hold"`
	// Shared is how many registrations stand under the address that may be several people's.
	Shared       int               `json:"shared,omitempty"`
	Closed       bool              `json:"closed,omitempty"` // held, and opened by officers alone
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

// FileField is one field with why it is held.
type FileField struct {
	Field     attendees.Field      `json:"field"`
	Values    []string             `json:"values"`
	From      attendees.SourceName `json:"from"`
	Corrected bool                 `json:"corrected"`
	Purposes  []FilePurpose        `json:"purposes"`
}

// FilePurpose is why a field is held.
type FilePurpose struct {
	Purpose attendees.PurposeName `json:"purpose"`
	Basis   string                `json:"basis"` // of GDPR Art. 6(1)
}

// FileAnswer is a form that belongs to no registration of hers.
type FileAnswer struct {
	Form        attendees.FormID `json:"form"`
	SubmittedAt *time.Time       `json:"submitted_at,omitempty"`
	DroppedAt   *time.Time       `json:"dropped_at,omitempty"`
	Fields      []FileField      `json:"fields"`
}

// FileList is a list that carries, or of a sealed event may have carried, her.
type FileList struct {
	Purpose attendees.PurposeName `json:"purpose"`
	TakenAt time.Time             `json:"taken_at"`
}

// FileRequest is a request of hers.
type FileRequest struct {
	Number     int               `json:"number"`
	Asks       attendees.Right   `json:"asks"`
	Event      attendees.EventID `json:"event"`
	ReceivedOn attendees.Date    `json:"received_on"`
	AnswerBy   attendees.Date    `json:"answer_by"`
	Outcome    attendees.Outcome `json:"outcome"`
}

// File makes a person's data file.
func (d *Desk) File(address attendees.Personal, held []postgres.Holding, cases []postgres.Case) File {
	p := d.Store.Policy()
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

func (d *Desk) fileEvent(h postgres.Holding) FileEvent {
	e := FileEvent{
		Event: h.Event.ID, Name: h.Event.Name, EndsOn: h.Event.EndsOn.Date, SealedFrom: h.Event.BlockOn.Date, DeletedOn: h.Event.DeleteOn.Date,
		Rule: h.Event.Rule, Statute: d.statute(h.Event.Rule), OnHold: h.OnHold, Shared: h.Shared, Closed: h.Closed,
		Answers: []FileAnswer{}, Lists: []FileList{}, Looks: []time.Time{},
	}
	if o := h.Own; o != nil {
		e.Registration = &FileRegistration{
			ID: o.ID, State: o.State, Reason: o.Reason, RegisteredAt: optional(o.Registered), SealedAt: optional(o.SealedAt),
			Withdrawn: append([]attendees.PurposeName{}, o.Withdrawn...), Fields: d.fileFields(o.Fields),
		}
	}
	for _, a := range h.Answers {
		e.Answers = append(e.Answers, FileAnswer{a.Form, optional(a.Submitted), optional(a.DropsOn), d.fileFields(a.Fields)})
	}
	for _, l := range h.Lists {
		e.Lists = append(e.Lists, FileList{l.Purpose, l.At.UTC()})
	}
	for _, l := range h.Looks {
		e.Looks = append(e.Looks, l.At.UTC())
	}
	return e
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (d *Desk) fileFields(fields []postgres.OwnField) []FileField {
	all := []FileField{}
	for _, f := range fields {
		one := FileField{Field: f.Field, From: f.From, Corrected: f.Corrected, Purposes: []FilePurpose{}}
		for _, v := range f.Values {
			one.Values = append(one.Values, v.Reveal())
		}
		for _, u := range d.Store.Policy().Purposes {
			if u.Allows(f.Field) {
				one.Purposes = append(one.Purposes, FilePurpose{u.Name, u.Basis})
			}
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
