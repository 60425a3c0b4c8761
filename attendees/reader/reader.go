// Package reader opens what is stored of an event's people: layers while the event is open,
// sealed records as they are. It merges nothing and writes nothing.
package reader

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

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
	Version        int64           // of the event when the row was last written
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

// Row is one attendee as stored: Open opens it, in any goroutine.
type Row struct {
	person                   Person
	registration, correction []byte
	said                     [][]byte // of its responses
	reader                   *reader
}

// Open opens what sources say of an attendee.
func (r Row) Open() (p Person, err error) {
	p = r.person
	if p.Registration, err = r.reader.open(p.ID, attendees.FromRegistration, r.registration); err != nil {
		return p, err
	}
	if p.Correction, err = r.reader.open(p.ID, attendees.FromCorrection, r.correction); err != nil {
		return p, err
	}
	for i := range p.Responses {
		if p.Responses[i].Layer, err = r.reader.open(p.Responses[i].ID, attendees.FromResponse, r.said[i]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// reader opens an event's layers as of one moment.
type reader struct {
	q      db.Queryer
	event  events.Event
	cipher *seal.Cipher // nil: nothing is stored yet, or nothing opens any more
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

// readColumns ask only of who is gone whether there is a later holder.
const readColumns = `a.id, a.standing, a.state, a.reason, a.address_index, a.shared, a.agreed, a.counts_as_agreed, a.version,
	a.standing = 'gone' and exists (
		select from attendees later
		where later.id > a.id and later.id <= encode(set_byte(uuid_send(a.id), 15, 255), 'hex')::uuid) as former, a.layer`

// Rows gives an event's people one after the other, with those of their layers that are
// stored, in the order in which they were last written. Where since is not 0, only those of
// whom something was written after that version. It keeps one person in memory at a time, and up to maxTogether responses.
func (s *Store) Rows(ctx context.Context, q db.Queryer, e events.Event, since int64, each func(Row) error) (err error) {
	defer db.Wrap(&err, "read the people of event %s", e.ID)
	r, err := s.reader(ctx, q, e)
	if err != nil {
		return err
	}
	if since > 0 {
		var wanted []uuid.UUID
		err := db.Select(ctx, q, &wanted, `
			select id from attendees where event_id = $1 and version > $2
			union
			select attendee_id from responses where event_id = $1 and version > $2 and attendee_id is not null
			union
			select attendee_id from corrections where event_id = $1 and version > $2`, e.Key, since)
		if err != nil || len(wanted) == 0 {
			return err
		}
		return r.these(ctx, wanted, each)
	}
	var n int
	if err := db.Get(ctx, q, &n, `select (select count(*) from responses where event_id = $1) + (select count(*) from corrections where event_id = $1)`, e.Key); err != nil {
		return err
	}
	if n > maxTogether {
		return r.joined(ctx, each, `
			select `+readColumns+`, r.id, r.matched_by, r.address_index, r.came_on, r.layer, c.layer
			from attendees a
			left join responses r on r.attendee_id = a.id and r.event_id = $1
			left join corrections c on c.attendee_id = a.id and c.event_id = $1
			where a.event_id = $1
			order by a.version, a.id, r.id`, e.Key)
	}
	return r.together(ctx, each, n > 0)
}

// maxTogether is up to how many responses of an event are read before its people: it spares
// PostgreSQL a sort, and takes some half a kilobyte each.
const maxTogether = 60_000

// together reads an event's responses and corrections into memory, then its people one after
// the other.
func (r *reader) together(ctx context.Context, each func(Row) error, some bool) error {
	type answer struct {
		response Response
		said     []byte
	}
	answers, corrections := map[uuid.UUID][]answer{}, map[uuid.UUID][]byte{}
	if some {
		err := r.each(ctx, `
			select id, attendee_id, matched_by, address_index, came_on, layer
			from responses
			where event_id = $1 and attendee_id is not null`, func(scan func(...any) error) error {
			var a answer
			err := scan(&a.response.ID, &a.response.Attendee, &a.response.MatchedBy, &a.response.AddressIndex, &a.response.CameOn, &a.said)
			answers[a.response.Attendee] = append(answers[a.response.Attendee], a)
			return err
		})
		if err != nil {
			return err
		}
		err = r.each(ctx, `select attendee_id, layer from corrections where event_id = $1`, func(scan func(...any) error) error {
			var id uuid.UUID
			var layer []byte
			err := scan(&id, &layer)
			corrections[id] = layer
			return err
		})
		if err != nil {
			return err
		}
	}
	return r.each(ctx, `select `+readColumns+` from attendees a where a.event_id = $1 order by a.version, a.id`, func(scan func(...any) error) error {
		row := Row{reader: r}
		p := &row.person
		if err := scan(&p.ID, &p.Standing, &p.State, &p.Reason, &p.AddressIndex, &p.Shared, &p.Agreed, &p.CountsAsAgreed, &p.Version, &p.Former, &row.registration); err != nil {
			return err
		}
		row.correction = corrections[p.ID]
		for _, a := range answers[p.ID] {
			p.Responses, row.said = append(p.Responses, a.response), append(row.said, a.said)
		}
		return each(row)
	})
}

// each scans the rows of a query about the event.
func (r *reader) each(ctx context.Context, query string, one func(scan func(...any) error) error) error {
	return db.Each(ctx, r.q, one, query, r.event.Key)
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
		  and (version, id) > (coalesce((select version from attendees where id = $2 and event_id = $1), -1), $2)
		order by version, id
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

func (r *reader) these(ctx context.Context, ids []uuid.UUID, each func(Row) error) error {
	return r.joined(ctx, each, `
		select `+readColumns+`, r.id, r.matched_by, r.address_index, r.came_on, r.layer, c.layer
		from attendees a
		left join responses r on r.attendee_id = a.id
		left join corrections c on c.attendee_id = a.id
		where a.id = any($1::uuid[])
		order by a.version, a.id, r.id`, texts(ids))
}

func (r *reader) joined(ctx context.Context, each func(Row) error, query string, args ...any) error {
	row := Row{reader: r}
	err := db.Each(ctx, r.q, func(scan func(...any) error) error {
		next := Row{reader: r}
		p := &next.person
		var answer uuid.NullUUID
		var how *string
		var index, said []byte
		var came attendees.Date
		err := scan(&p.ID, &p.Standing, &p.State, &p.Reason, &p.AddressIndex, &p.Shared, &p.Agreed, &p.CountsAsAgreed, &p.Version, &p.Former, &next.registration,
			&answer, &how, &index, &came, &said, &next.correction)
		if err != nil {
			return err
		}
		if p.ID != row.person.ID {
			if row.person.ID != uuid.Nil {
				if err := each(row); err != nil {
					return err
				}
			}
			row = next
		}
		if answer.Valid {
			row.person.Responses = append(row.person.Responses, Response{ID: answer.UUID, Attendee: row.person.ID, MatchedBy: *how, AddressIndex: index, CameOn: came})
			row.said = append(row.said, said)
		}
		return nil
	}, query, args...)
	if err != nil || row.person.ID == uuid.Nil {
		return err
	}
	return each(row)
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

// Withdrawn are the purposes whose consent an attendee has withdrawn.
func (s *Store) Withdrawn(ctx context.Context, q db.Queryer, e events.Event, of uuid.UUID) (all []attendees.PurposeName, err error) {
	defer db.Wrap(&err, "read withdrawals in event %s", e.ID)
	err = db.Select(ctx, q, &all, `
		select purpose
		from bars
		where event_id = $1 and hash = $2 and what = 'withdrawn'
		order by purpose`, e.Key, of)
	return all, err
}

func texts(ids []uuid.UUID) pq.StringArray {
	all := make(pq.StringArray, len(ids))
	for i, id := range ids {
		all[i] = id.String()
	}
	return all
}
