// Package reader opens what is stored of an event's people: layers while the event is open,
// sealed records as they are. It merges nothing and writes nothing.
package reader

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// Store reads people.
type Store struct {
	pool  *sqlx.DB
	vault *vault.Store
}

// New makes a store on keys.
func New(pool *sqlx.DB, v *vault.Store) *Store { return &Store{pool, v} }

// Ref is what the vault needs to know of an event.
func Ref(e events.Event) vault.Ref {
	return vault.Ref{Key: e.Key, ID: string(e.ID), Generation: e.Generation}
}

// Person is one attendee as read: opened, not merged.
type Person struct {
	ID             uuid.UUID
	Standing       attendees.Standing
	State          attendees.State
	Reason         attendees.Reason
	AddressIndex   []byte
	Shared         bool
	Agreed         bool
	CountsAsAgreed bool
	Former         bool            // somebody else has the ticket now
	Registration   attendees.Layer // zero: restricted
	Responses      []Response
	Correction     attendees.Layer
}

// Response is one response as read.
type Response struct {
	ID           uuid.UUID
	Attendee     uuid.UUID // zero: unmatched
	Claims       uuid.UUID // the registration that it names, where it is not believed
	MatchedBy    string
	AddressIndex []byte
	CameOn       attendees.Date
	Layer        attendees.Layer
}

// Layers are what a person's responses say.
func (p Person) Layers() []attendees.Layer {
	all := make([]attendees.Layer, 0, len(p.Responses))
	for _, r := range p.Responses {
		if !r.Layer.IsZero() {
			all = append(all, r.Layer)
		}
	}
	return all
}

// Merged is what is shown of a person.
func (p Person) Merged(policy *attendees.Policy) attendees.Attendee {
	return attendees.Merge(policy, p.Registration, p.Layers(), p.Correction)
}

// reader opens an event's layers as of one moment.
type reader struct {
	q      db.Queryer
	event  events.Event
	cipher *seal.Cipher // nil: nothing is stored yet, or nothing opens any more
	room   []byte       // where rows keep their bytes: it is used up, and not used again
}

func (s *Store) reader(ctx context.Context, q db.Queryer, e events.Event) (r *reader, err error) {
	r = &reader{q: q, event: e}
	if e.Generation != nil {
		r.cipher, err = s.vault.Reading(ctx, q, Ref(e))
	}
	return r, err
}

// rooms are reused: a layer's text is copied as it is parsed.
var rooms = sync.Pool{New: func() any { room := make([]byte, 0, 1024); return &room }}

func (r *reader) open(id uuid.UUID, origin attendees.Origin, sealed []byte) (attendees.Layer, error) {
	if sealed == nil || r.cipher == nil {
		return attendees.Layer{}, nil
	}
	room := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	text, err := r.cipher.Open((*room)[:0], id, 0, string(origin), sealed)
	if err != nil {
		return attendees.Layer{}, fmt.Errorf("a layer of event %s: %w", r.event.ID, err)
	}
	return attendees.ParseLayer(text)
}

// Len is how many people an event has, counted up to most.
func (s *Store) Len(ctx context.Context, q db.Queryer, e events.Event, most int) (n int, err error) {
	defer db.Wrap(&err, "count the people of event %s", e.ID)
	err = db.Get(ctx, q, &n, `select count(*) from (select from attendees where event_id = $1 limit $2) as counted`, e.Key, most)
	return n, err
}

// After are the keys of an event's people who are not restricted, in the order in which they
// were last written, behind the attendee of a key: the zero key is before the first.
func (s *Store) After(ctx context.Context, q db.Queryer, e events.Event, key uuid.UUID, limit int) (ids []uuid.UUID, err error) {
	defer db.Wrap(&err, "read a page of the people of event %s", e.ID)
	err = db.Select(ctx, q, &ids, `
		select id
		from attendees
		where event_id = $1 and state = 'open'
		  and version >= coalesce((select version from attendees where id = $2), 0)
		  and (version, ctid) > (coalesce((select version from attendees where id = $2), 0), coalesce((select ctid from attendees where id = $2), '(0,0)'))
		order by version, ctid
		limit $3`, e.Key, key, limit)
	return ids, err
}

// Read is Rows, opened.
func (s *Store) Read(ctx context.Context, q db.Queryer, e events.Event, since int64, each func(Person) error) error {
	return s.Rows(ctx, q, e, since, func(r Row) error {
		p, err := r.Open()
		if err != nil {
			return err
		}
		return each(p)
	})
}

// These reads single attendees of an event by their keys.
func (s *Store) These(ctx context.Context, q db.Queryer, e events.Event, ids []uuid.UUID) (all []Person, err error) {
	defer db.Wrap(&err, "read attendees of event %s", e.ID)
	r, err := s.reader(ctx, q, e)
	if err != nil {
		return nil, err
	}
	err = r.these(ctx, ids, func(row Row) error {
		p, err := row.Open()
		all = append(all, p)
		return err
	})
	return all, err
}

// ReadUnmatched gives the responses of an event that are matched to no attendee; where since
// is not 0, those that were written after that version.
func (s *Store) ReadUnmatched(ctx context.Context, q db.Queryer, e events.Event, since int64, each func(Response) error) (err error) {
	defer db.Wrap(&err, "read the unmatched responses of event %s", e.ID)
	r, err := s.reader(ctx, q, e)
	if err != nil {
		return err
	}
	return r.responses(ctx, each, `
		select id, attendee_id, claims, matched_by, address_index, came_on, layer
		from responses
		where event_id = $1 and attendee_id is null and version > $2
		order by id`, e.Key, since)
}

// Responses reads single responses of an event by their keys.
func (s *Store) Responses(ctx context.Context, q db.Queryer, e events.Event, ids []uuid.UUID) (all []Response, err error) {
	defer db.Wrap(&err, "read responses of event %s", e.ID)
	r, err := s.reader(ctx, q, e)
	if err != nil {
		return nil, err
	}
	err = r.responses(ctx, func(one Response) error {
		all = append(all, one)
		return nil
	}, `
		select id, attendee_id, claims, matched_by, address_index, came_on, layer
		from responses
		where event_id = $1 and id = any($2::uuid[])
		order by id`, e.Key, texts(ids))
	return all, err
}

func (r *reader) responses(ctx context.Context, each func(Response) error, query string, args ...any) error {
	return db.Each(ctx, r.q, func(scan func(...any) error) error {
		var one Response
		var attendee, claims uuid.NullUUID
		var layer []byte
		err := scan(&one.ID, &attendee, &claims, &one.MatchedBy, &one.AddressIndex, &one.CameOn, &layer)
		if err != nil {
			return err
		}
		one.Attendee, one.Claims = attendee.UUID, claims.UUID
		if one.Layer, err = r.open(one.ID, attendees.FromResponse, layer); err != nil {
			return err
		}
		return each(one)
	}, query, args...)
}

// Removed are the keys of attendees and responses that were removed from an event after a
// version.
func (s *Store) Removed(ctx context.Context, q db.Queryer, e events.Event, since int64) (ids []uuid.UUID, err error) {
	defer db.Wrap(&err, "read what was removed from event %s", e.ID)
	err = db.Select(ctx, q, &ids, `select id from removed where event_id = $1 and version > $2`, e.Key, since)
	return ids, err
}

// Sealed is one sealed record of an attendee.
type Sealed struct {
	Attendee   uuid.UUID      `db:"attendee_id"`
	Kind       string         `db:"kind"`
	Generation []byte         `db:"generation"`
	Number     int            `db:"number"`
	Sealed     []byte         `db:"sealed"`
	Half       []byte         `db:"half"`
	On         attendees.Date `db:"recorded_on"`
}

// Records gives the sealed records of attendees of an event, in their order.
func (s *Store) Records(ctx context.Context, q db.Queryer, e events.Event, of ...uuid.UUID) (all []Sealed, err error) {
	defer db.Wrap(&err, "read sealed records of event %s", e.ID)
	err = db.Select(ctx, q, &all, `
		select attendee_id, kind, generation, number, sealed, half, recorded_on
		from records
		where event_id = $1 and attendee_id = any($2::uuid[])
		order by attendee_id, recorded_on, kind, number, generation`, e.Key, texts(of))
	return all, err
}

// texts are keys as PostgreSQL writes an array of them.
func texts(ids []uuid.UUID) string {
	b := append(make([]byte, 0, 2+37*len(ids)), '{')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, id[:])
	}
	return string(append(b, '}'))
}
