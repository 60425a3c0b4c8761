package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// Holding is what is held for one event under one address, as its person may see it.
type Holding struct {
	Event Event
	// Own is her registration; nil where it cannot be shown: see the others.
	Own *OwnRecord
	// Shared is how many registrations stand under the address where it is more than one, or
	// where answers to the one came from another address: whose each is staff alone can
	// say, so she sees the number and nothing else.
	Shared int
	// Closed tells that her record is sealed and does not open for her: the half that did
	// is gone.
	Closed bool
	// Answers are forms that were sent in under her address and that belong to nobody, or to
	// somebody else's registration; none where several share her address.
	Answers []OwnAnswer
	Lists   []Receipt // that carry her; of a blocked event all that were taken
	Looks   []Look
	OnHold  bool
}

// OwnRecord is one registration of the person who asks.
type OwnRecord struct {
	ID         attendees.AttendeeID
	State      attendees.State
	Reason     attendees.Reason
	Registered time.Time
	SealedAt   time.Time // zero: it is not
	Withdrawn  []attendees.PurposeName
	Fields     []OwnField
}

// OwnField is one field with where it came from.
type OwnField struct {
	Field     attendees.Field // of an answer that was mapped by a name: answers.NAME
	Values    []attendees.Personal
	From      attendees.SourceName
	Corrected bool // the person had it corrected, and the source does not say so yet
}

// OwnAnswer is a form that she sent in.
type OwnAnswer struct {
	Form      attendees.FormID
	ID        attendees.ResponseID
	Submitted time.Time
	DropsOn   time.Time // zero: with its event
	Fields    []OwnField
}

// Anything tells whether anything is held under an address, a request included.
func (s *Store) Anything(ctx context.Context, address attendees.Personal) (bool, error) {
	held, err := s.HeldUnder(ctx, address)
	if err != nil || len(held) > 0 {
		return err == nil, err
	}
	cases, err := s.CasesOf(ctx, address)
	return len(cases) > 0, err
}

// HeldUnder reads everything that is held under an address that was proved, of every
// event at once, the event that ends last first. Sealed records are opened in memory by
// the person's half; what does not open for exactly this address stays closed.
func (s *Store) HeldUnder(ctx context.Context, address attendees.Personal) ([]Holding, error) {
	u := under{Store: s, address: address, indexes: map[uuid.UUID][][]byte{}, held: map[uuid.UUID]*Holding{}}
	if seal.Normalise(address.Reveal()) == "" {
		return nil, nil
	}
	for _, step := range []func(context.Context) error{u.registrations, u.answers, u.readable, u.sealed, u.uses, u.whole} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	all := make([]Holding, 0, len(u.held))
	for _, h := range u.held {
		all = append(all, *h)
	}
	slices.SortFunc(all, func(a, b Holding) int {
		if c := b.Event.EndsOn.Compare(a.Event.EndsOn.Date); c != 0 {
			return c
		}
		return strings.Compare(string(a.Event.ID), string(b.Event.ID))
	})
	return all, nil
}

// under is one such reading.
type under struct {
	*Store
	address attendees.Personal
	events  map[uuid.UUID]Event    // by key, id, state and history alone, until whole has read those with something
	indexes map[uuid.UUID][][]byte // the address's, for each event
	held    map[uuid.UUID]*Holding
	own     []ownRow // registrations that are hers alone
}

type ownRow struct {
	ID         uuid.UUID            `db:"id"`
	Event      uuid.UUID            `db:"event_id"`
	SourceID   attendees.AttendeeID `db:"source_id"`
	State      attendees.State      `db:"state"`
	Reason     attendees.Reason     `db:"reason"`
	Withdrawn  pq.StringArray       `db:"withdrawn"`
	Registered *time.Time           `db:"registered_at"`
	Grouped    bool                 `db:"grouped"`
}

// registrations finds those under the address: one index per event and secret, asked for
// all at once.
func (u *under) registrations(ctx context.Context) error {
	var events []Event
	if err := u.db.SelectContext(ctx, &events, `select id, source_id, state, history from events where deleted_at is null`); err != nil {
		return quiet("list events", err)
	}
	u.events = make(map[uuid.UUID]Event, len(events))
	var keys pq.StringArray
	var indexes pq.ByteaArray
	for _, e := range events {
		u.events[e.Key] = e
		u.indexes[e.Key] = u.keys.AddressIndexes(string(e.ID), u.address.Reveal())
		for _, index := range u.indexes[e.Key] {
			keys, indexes = append(keys, e.Key.String()), append(indexes, index)
		}
	}
	var rows []ownRow
	err := u.db.SelectContext(ctx, &rows, `
		select a.id, a.event_id, a.source_id, a.state, a.reason, a.withdrawn, a.registered_at, a.grouped
		from unnest($1::uuid[], $2::bytea[]) as asked (event_id, address_index)
		cross join lateral (
			select *
			from attendees
			where event_id = asked.event_id and address_index = asked.address_index
			offset 0 -- one look-up by index for each: as a join it might read everybody
		) as a
		order by a.event_id, a.id`, keys, indexes)
	if err != nil {
		return quiet("find what is held under an address", err)
	}
	for _, r := range rows {
		u.of(r.Event).Shared++
	}
	for _, r := range rows {
		if h := u.of(r.Event); h.Shared == 1 && !r.Grouped {
			h.Own, h.Shared = r.record(), 0
			u.own = append(u.own, r)
		}
	}
	return nil
}

// whole reads the rest of the events under which something is held.
func (u *under) whole(ctx context.Context) error {
	var keys []uuid.UUID
	for key, h := range u.held {
		keys = append(keys, key)
		if h.Shared > 0 { // whose each answer is, her address does not tell either
			h.Answers = nil
		}
	}
	var events []Event
	err := u.db.SelectContext(ctx, &events, `select `+eventColumns+` from events where id = any($1::uuid[])`, pq.StringArray(texts(keys)))
	for _, e := range events {
		u.of(e.Key).Event = e
	}
	return quiet("read events", err)
}

func (r ownRow) record() *OwnRecord {
	o := &OwnRecord{ID: r.SourceID, State: r.State, Reason: r.Reason}
	for _, p := range r.Withdrawn {
		o.Withdrawn = append(o.Withdrawn, attendees.PurposeName(p))
	}
	if r.Registered != nil {
		o.Registered = *r.Registered
	}
	return o
}

func (u *under) of(event uuid.UUID) *Holding {
	if u.held[event] == nil {
		u.held[event] = &Holding{Event: u.events[event]}
	}
	return u.held[event]
}

// share takes a record back that is not hers alone.
func (u *under) share(event uuid.UUID) {
	h := u.of(event)
	h.Own, h.Shared = nil, 1
	u.own = slices.DeleteFunc(u.own, func(r ownRow) bool { return r.Event == event })
}

type ownAnswerRow struct {
	fieldRow
	Attendee  *uuid.UUID       `db:"attendee_id"`
	Form      attendees.FormID `db:"form_id"`
	Index     []byte           `db:"address_index"`
	Submitted *time.Time       `db:"submitted_at"`
	Received  time.Time        `db:"received_at"`
}

const ownColumns = `id, event_id, source_id, name, email, ticket, status, attended, agreement_version, agreed_at, affiliation, forums,
	answers, filled, corrected`

// answers reads forms that were sent in under the address, or that fill her registration.
// Where one of those came from another address, she may have bought for somebody else.
func (u *under) answers(ctx context.Context) error {
	events, ids := u.ownKeys(func(r ownRow) bool { return u.events[r.Event].State == attendees.Active })
	var open pq.StringArray
	var indexes pq.ByteaArray
	for key, e := range u.events {
		if e.State != attendees.Active {
			continue
		}
		for _, index := range u.indexes[key] {
			open, indexes = append(open, key.String()), append(indexes, index)
		}
	}
	var found []struct {
		Event string `db:"event_id"`
		ID    string `db:"id"`
	}
	err := u.db.SelectContext(ctx, &found, `
		select a.event_id, a.id
		from unnest($1::uuid[], $2::bytea[]) as asked (event_id, address_index)
		cross join lateral (
			select *
			from answered
			where event_id = asked.event_id and address_index = asked.address_index
			offset 0
		) as a`, open, indexes)
	if err != nil {
		return quiet("find what was answered under an address", err)
	}
	answers := pq.StringArray{}
	for _, f := range found {
		events, answers = append(events, f.Event), append(answers, f.ID)
	}
	if len(events) == 0 {
		return nil
	}
	var rows []ownAnswerRow
	err = u.db.SelectContext(ctx, &rows, `
		select `+ownColumns+`, attendee_id, form_id, address_index, submitted_at, received_at
		from personal
		where event_id = any($1::uuid[]) and part = 'response' and (id = any($2::uuid[]) or attendee_id = any($3::uuid[]))
		order by event_id, submitted_at, id`, events, answers, ids)
	if err != nil {
		return quiet("read what was answered under an address", err)
	}
	for _, r := range rows {
		hers := slices.ContainsFunc(u.indexes[r.Event], func(index []byte) bool { return slices.Equal(index, r.Index) })
		mine := r.Attendee != nil && slices.ContainsFunc(u.own, func(o ownRow) bool { return o.ID == *r.Attendee })
		if mine && !hers && len(r.Index) > 0 {
			u.share(r.Event)
		}
		if !hers || mine {
			continue // what fills her record is shown there
		}
		a := OwnAnswer{Form: r.Form, ID: attendees.ResponseID(r.SourceID), Fields: r.fields(attendees.Typeform)}
		if r.Submitted != nil {
			a.Submitted = *r.Submitted
		}
		if r.Attendee == nil {
			a.DropsOn = u.DropsOn(Answered{Received: r.Received})
		}
		h := u.of(r.Event)
		h.Answers = append(h.Answers, a)
	}
	return nil
}

// readable reads her readable records.
func (u *under) readable(ctx context.Context) error {
	events, ids := u.ownKeys(func(r ownRow) bool { return r.State == attendees.Active && u.events[r.Event].State == attendees.Active })
	if len(ids) == 0 {
		return nil
	}
	var rows []fieldRow
	err := u.db.SelectContext(ctx, &rows, `
		select `+ownColumns+`
		from personal
		where event_id = any($1::uuid[]) and id = any($2::uuid[])`, events, ids)
	for _, r := range rows {
		u.of(r.Event).Own.Fields = r.fields(attendees.Eventbrite)
	}
	return quiet("read what is held under an address", err)
}

// ownKeys are the keys of those of her registrations that a query is for, and of their
// events: a query that names few rooms opens few.
func (u *under) ownKeys(wanted func(ownRow) bool) (events, ids pq.StringArray) {
	for _, r := range u.own {
		if wanted(r) {
			events, ids = append(events, r.Event.String()), append(ids, r.ID.String())
		}
	}
	return events, ids
}

// fields are those that say something, in the policy's order.
func (r fieldRow) fields(from attendees.SourceName) []OwnField {
	corrected, err := parseCorrections(r.Corrected)
	if err != nil {
		corrected = nil
	}
	var all []OwnField
	add := func(f attendees.Field, values ...attendees.Personal) {
		values = slices.DeleteFunc(values, attendees.Personal.Empty)
		if len(values) == 0 {
			return
		}
		o := OwnField{Field: f, Values: values, From: from}
		base := f
		if _, ok := f.AnswerName(); ok {
			base = attendees.Answers
		}
		if slices.Contains(r.Filled, string(base)) {
			o.From = attendees.Typeform
		}
		_, o.Corrected = corrected[f]
		all = append(all, o)
	}
	add(attendees.Name, r.Name)
	add(attendees.Email, r.Email)
	add(attendees.Ticket, attendees.Personal(r.Ticket))
	add("status", attendees.Personal(r.Status))
	if r.Status != "" {
		add(attendees.Attended, attendees.Personal(yesNo(r.Attended)))
	}
	add(attendees.AgreementVersion, attendees.Personal(r.Version))
	if r.AgreedAt != nil {
		add(attendees.AgreedAt, attendees.Personal(r.AgreedAt.UTC().Format(time.RFC3339)))
	}
	add(attendees.Affiliation, r.Affiliation)
	var forums []attendees.Personal
	for _, f := range r.Forums {
		forums = append(forums, attendees.Personal(f))
	}
	add(attendees.Forums, forums...)
	answers := map[string][]string{}
	_ = json.Unmarshal(r.Answers, &answers) // what is none has nothing to show
	names := make([]string, 0, len(answers))
	for name := range answers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var values []attendees.Personal
		for _, v := range answers[name] {
			values = append(values, attendees.Personal(v))
		}
		add(attendees.Answers+"."+attendees.Field(name), values...)
	}
	return all
}
