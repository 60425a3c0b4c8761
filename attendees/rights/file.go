package rights

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/seal"
)

// FileVersion is the version of a person's data file, which my-data.schema.json describes.
// A change that a reader must know of raises it.
const FileVersion = 2

// File is everything that is stored under one address, as its person downloads it (GDPR
// Art. 15(3), 20).
type File struct {
	Format       string                `json:"format"`
	Version      int                   `json:"version"`
	MadeAt       time.Time             `json:"made_at"`
	Address      Value                 `json:"address"`
	Organisation string                `json:"organisation,omitempty"`
	Contact      string                `json:"contact,omitempty"`
	Authority    string                `json:"authority,omitempty"`
	Processors   []attendees.Processor `json:"processors"`
	Events       []Holding             `json:"events"`
	Requests     []Case                `json:"requests"`
}

// Value is what is stored of a person. It is hidden like any personal data, but that JSON has
// it in plain: what it is in is written for its own person, or sealed.
type Value string

// Format hides the value from every verb of package fmt.
func (v Value) Format(f fmt.State, verb rune) { attendees.Personal(v).Format(f, verb) }

// LogValue hides the value from log/slog.
func (v Value) LogValue() slog.Value { return attendees.Personal(v).LogValue() }

func normalised(address attendees.Personal) Value { return Value(seal.Normalise(address.Reveal())) }

// Holding is what is stored for one event under one address, as its person may see it: a
// registration, or what is there without one.
type Holding struct {
	Event      events.Event      `json:"-"`
	ID         attendees.EventID `json:"event"`
	Name       string            `json:"name"`
	EndsOn     attendees.Date    `json:"ends_on"`
	SealedFrom attendees.Date    `json:"sealed_from"`
	DeletedOn  attendees.Date    `json:"deleted_on"`
	Rule       string            `json:"rule"`
	Statute    string            `json:"statute"`
	OnHold     bool              `json:"on_hold"`
	// Shared is how many registrations have the address where they may be several people's:
	// whose each is only staff can say, so the person sees the number and nothing else.
	Shared  int           `json:"shared,omitempty"`
	Closed  bool          `json:"closed,omitempty"`       // opens to officers only
	Own     *Registration `json:"registration,omitempty"` // nil where it cannot be shown
	Answers []Answer      `json:"answers"`                // responses that are not matched to Own
	Lists   []List        `json:"lists"`
	Looks   []time.Time   `json:"looks"` // of staff, at this person
	Opened  Opened        `json:"-"`
}

// Opened is what was sealed of a restricted attendee, in its order, where the person's own
// visit opened it. It prints as personal data does.
type Opened [][]byte

// Format hides the texts from every verb of package fmt.
func (Opened) Format(f fmt.State, verb rune) { attendees.Personal("").Format(f, verb) }

// Registration is one registration of the person who asks.
type Registration struct {
	Key        uuid.UUID               `json:"-"`
	ID         attendees.AttendeeID    `json:"id"`    // former holders: ID~1
	State      attendees.State         `json:"state"` // active, or blocked: sealed
	Reason     attendees.Reason        `json:"reason,omitempty"`
	Registered time.Time               `json:"registered_at,omitzero"`
	SealedOn   attendees.Date          `json:"sealed_at,omitzero"`
	Withdrawn  []attendees.PurposeName `json:"withdrawn"`
	Agreed     bool                    `json:"-"`
	Fields     []Field                 `json:"fields"`
	// Other is what is stored and shown to nobody: values of earlier readings and older
	// responses, and those that were corrected.
	Other []Field `json:"other,omitempty"`
}

// active is what people call a registration that is not sealed.
const active attendees.State = "active"

// Field is one field with its source, and the purposes that it is kept for.
type Field struct {
	Field     attendees.Field      `json:"field"` // of a custom answer: answers.NAME
	Values    []Value              `json:"values"`
	From      attendees.SourceName `json:"from"`
	Corrected bool                 `json:"corrected"` // at the person's request, and the source does not say so yet
	Purposes  []Use                `json:"purposes"`
}

// Use is a purpose with its legal basis.
type Use struct {
	Purpose attendees.PurposeName `json:"purpose"`
	Basis   string                `json:"basis"` // of GDPR Art. 6(1)
}

// Answer is a response that the person gave, and that their registration does not show.
type Answer struct {
	Key       uuid.UUID        `json:"-"`
	Matched   bool             `json:"-"` // by staff, to a registration under another address
	Form      attendees.FormID `json:"form"`
	Submitted time.Time        `json:"submitted_at,omitzero"`
	DropsOn   attendees.Date   `json:"dropped_at,omitzero"` // zero: with its event
	Fields    []Field          `json:"fields"`
}

// List is an export that includes the person, or, of a blocked event, may have included them.
type List struct {
	Purpose attendees.PurposeName `json:"purpose"`
	TakenAt time.Time             `json:"taken_at"`
}

// holding is one of an event, with nothing in it yet.
func (s *Store) holding(e events.Event) Holding {
	return Holding{
		Event: e, ID: e.ID, Name: e.Name, EndsOn: e.EndsOn, SealedFrom: e.BlockOn, DeletedOn: e.DeleteOn, Rule: e.Rule, Statute: s.statute(e.Rule),
		OnHold: e.Held, Answers: []Answer{}, Lists: []List{}, Looks: []time.Time{},
	}
}

// File makes a person's data file.
func (d *Desk) File(address attendees.Personal, held []Holding, cases []Case) File {
	p := d.Store.Policy
	f := File{
		Format: "lethe-my-data", Version: FileVersion, MadeAt: d.Store.Now().UTC().Truncate(time.Second), Address: Value(address),
		Organisation: p.Organization, Contact: p.Contact, Authority: p.Authority.Name,
		Processors: append([]attendees.Processor{}, p.Processors...), Events: append([]Holding{}, held...), Requests: append([]Case{}, cases...),
	}
	for i, c := range f.Requests {
		f.Requests[i].AnswerBy = d.Deadline(c)
	}
	return f
}

// JSON is the file as it is downloaded.
func (f File) JSON() (_ []byte, err error) {
	defer db.Wrap(&err, "write a person's data file")
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(f)
	return b.Bytes(), err
}

// tables are the file's fields and uses as two tables, for people who read no JSON. No
// spreadsheet runs what is in them as a formula.
func (f File) tables() (fields, uses bytes.Buffer) {
	known, used := csv.NewWriter(&fields), csv.NewWriter(&uses)
	write := func(w *csv.Writer, row ...string) {
		for i := range row {
			row[i] = export.Harmless(row[i])
		}
		_ = w.Write(row) // a buffer takes everything
	}
	write(known, "event", "name", "field", "value", "from", "corrected")
	write(used, "event", "name", "use", "purpose", "at")
	for _, h := range f.Events {
		var all []Field
		if h.Own != nil {
			all = slices.Concat(h.Own.Fields, h.Own.Other)
		}
		for _, a := range h.Answers {
			all = append(all, a.Fields...)
		}
		for _, one := range all {
			corrected := map[bool]string{true: "yes", false: "no"}[one.Corrected]
			for _, v := range one.Values {
				write(known, string(h.ID), h.Name, string(one.Field), string(v), string(one.From), corrected)
			}
		}
		for _, l := range h.Lists {
			write(used, string(h.ID), h.Name, "list", string(l.Purpose), l.TakenAt.Format(time.RFC3339))
		}
		for _, at := range h.Looks {
			write(used, string(h.ID), h.Name, "look", "", at.Format(time.RFC3339))
		}
	}
	known.Flush()
	used.Flush()
	return fields, uses
}

// Zip is the file with its tables and a page to read, which the caller has made; nil: none.
func (f File) Zip(page []byte) (_ []byte, err error) {
	defer db.Wrap(&err, "write a person's data file")
	text, err := f.JSON()
	if err != nil {
		return nil, err
	}
	fields, uses := f.tables()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, one := range []struct {
		name string
		text []byte
	}{{"my-data.json", text}, {"my-data.html", page}, {"fields.csv", fields.Bytes()}, {"uses.csv", uses.Bytes()}} {
		if one.text == nil {
			continue
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: one.name, Method: zip.Deflate, Modified: f.MadeAt})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(one.text); err != nil {
			return nil, err
		}
	}
	err = z.Close()
	return b.Bytes(), err
}
