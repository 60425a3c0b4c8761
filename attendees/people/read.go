package people

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

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

// Reader reads an open event's people as of one moment. Rows says what changed; Read and
// One open it.
type Reader struct {
	store *Store
	q     db.Queryer
	event events.Event
	open  func(id uuid.UUID, origin attendees.Origin, sealed []byte) (attendees.Layer, error)
}

// reader opens an event's layers; vault.ErrDestroyed where it has no working key and had one.
func (s *Store) reader(ctx context.Context, q db.Queryer, e events.Event) (*Reader, error) {
	r := &Reader{store: s, q: q, event: e}
	if e.Generation == nil { // nothing is stored of it yet, or nothing opens any more
		r.open = func(uuid.UUID, attendees.Origin, []byte) (attendees.Layer, error) { return attendees.Layer{}, nil }
		return r, nil
	}
	c, err := s.vault.Reading(ctx, q, Ref(e))
	if err != nil {
		return nil, err
	}
	var room []byte // reused: a layer's text is copied as it is parsed
	r.open = func(id uuid.UUID, origin attendees.Origin, sealed []byte) (attendees.Layer, error) {
		if sealed == nil {
			return attendees.Layer{}, nil
		}
		text, err := c.Open(room[:0], id, 0, string(origin), sealed)
		if err != nil {
			return attendees.Layer{}, fmt.Errorf("a layer of event %s: %w", e.ID, err)
		}
		room = text[:0]
		return attendees.ParseLayer(text)
	}
	return r, nil
}

// Read gives an event's people one after the other, with those of their layers that are
// stored, in the order of their keys. Where since is not 0, only those of whom something
// was written after that version. It keeps one person in memory at a time.
func (s *Store) Read(ctx context.Context, q db.Queryer, e events.Event, since int64, each func(Person) error) (err error) {
	defer db.Wrap(&err, "read the people of event %s", e.ID)
	r, err := s.reader(ctx, q, e)
	if err != nil {
		return err
	}
	var anything struct {
		Responses   bool `db:"responses"`
		Corrections bool `db:"corrections"`
	}
	err = db.Get(ctx, q, &anything, `
		select exists (select from responses where event_id = $1) as responses,
			exists (select from corrections where event_id = $1) as corrections`, e.Key)
	if err != nil {
		return err
	}
	switch {
	case since > 0:
		return r.some(ctx, `
			select id from attendees where event_id = $1 and version > $2
			union
			select attendee_id from responses where event_id = $1 and version > $2 and attendee_id is not null
			union
			select attendee_id from corrections where event_id = $1 and version > $2`, each, e.Key, since)
	case anything.Responses || anything.Corrections:
		return r.all(ctx, each)
	}
	return r.alone(ctx, each)
}

const readColumns = `a.id, a.standing, a.state, a.reason, a.address_index, a.shared, a.agreed, a.counts_as_agreed, a.layer`

// alone reads an event without responses: one pass over one table.
func (r *Reader) alone(ctx context.Context, each func(Person) error) error {
	rows, err := r.q.QueryxContext(ctx, `select `+readColumns+` from attendees a where a.event_id = $1 order by a.id`, r.event.Key)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p Person
		var layer []byte
		if err := rows.Scan(&p.ID, &p.Standing, &p.State, &p.Reason, &p.AddressIndex, &p.Shared, &p.Agreed, &p.CountsAsAgreed, &layer); err != nil {
			return err
		}
		if p.Registration, err = r.open(p.ID, attendees.FromRegistration, layer); err != nil {
			return err
		}
		if err := each(p); err != nil {
			return err
		}
	}
	return rows.Err()
}

// all reads an event's people joined to what they answered.
func (r *Reader) all(ctx context.Context, each func(Person) error) error {
	return r.joined(ctx, each, `
		select `+readColumns+`, r.id, r.matched_by, r.address_index, r.came_on, r.layer, c.layer
		from attendees a
		left join responses r on r.attendee_id = a.id and r.event_id = $1
		left join corrections c on c.attendee_id = a.id and c.event_id = $1
		where a.event_id = $1
		order by a.id, r.id`, r.event.Key)
}

// some reads those of an event's people whom a query names.
func (r *Reader) some(ctx context.Context, ids string, each func(Person) error, args ...any) error {
	var wanted []uuid.UUID
	if err := db.Select(ctx, r.q, &wanted, ids, args...); err != nil {
		return err
	}
	return r.these(ctx, wanted, each)
}

func (r *Reader) these(ctx context.Context, ids []uuid.UUID, each func(Person) error) error {
	return r.joined(ctx, each, `
		select `+readColumns+`, r.id, r.matched_by, r.address_index, r.came_on, r.layer, c.layer
		from attendees a
		left join responses r on r.attendee_id = a.id
		left join corrections c on c.attendee_id = a.id
		where a.id = any($1::uuid[])
		order by a.id, r.id`, texts(ids))
}

func (r *Reader) joined(ctx context.Context, each func(Person) error, query string, args ...any) error {
	rows, err := r.q.QueryxContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var p Person
	for rows.Next() {
		var next Person
		var answer uuid.NullUUID
		var how *string
		var index, layer, said, corrected []byte
		var came attendees.Date
		err := rows.Scan(&next.ID, &next.Standing, &next.State, &next.Reason, &next.AddressIndex, &next.Shared, &next.Agreed, &next.CountsAsAgreed, &layer,
			&answer, &how, &index, &came, &said, &corrected)
		if err != nil {
			return err
		}
		if next.ID != p.ID {
			if p.ID != uuid.Nil {
				if err := each(p); err != nil {
					return err
				}
			}
			p = next
			if p.Registration, err = r.open(p.ID, attendees.FromRegistration, layer); err != nil {
				return err
			}
			if p.Correction, err = r.open(p.ID, attendees.FromCorrection, corrected); err != nil {
				return err
			}
		}
		if answer.Valid {
			a := Response{ID: answer.UUID, Attendee: p.ID, MatchedBy: *how, AddressIndex: index, CameOn: came}
			if a.Layer, err = r.open(a.ID, attendees.FromResponse, said); err != nil {
				return err
			}
			p.Responses = append(p.Responses, a)
		}
	}
	if err := rows.Err(); err != nil || p.ID == uuid.Nil {
		return err
	}
	return each(p)
}

// These reads single attendees of an event by their keys.
func (s *Store) These(ctx context.Context, q db.Queryer, e events.Event, ids []uuid.UUID) (all []Person, err error) {
	defer db.Wrap(&err, "read attendees of event %s", e.ID)
	r, err := s.reader(ctx, q, e)
	if err != nil {
		return nil, err
	}
	err = r.these(ctx, ids, func(p Person) error {
		all = append(all, p)
		return nil
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

func (r *Reader) responses(ctx context.Context, each func(Response) error, query string, args ...any) error {
	rows, err := r.q.QueryxContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var one Response
		var attendee, claims uuid.NullUUID
		var layer []byte
		if err := rows.Scan(&one.ID, &attendee, &claims, &one.MatchedBy, &one.AddressIndex, &one.CameOn, &layer); err != nil {
			return err
		}
		one.Attendee, one.Claims = attendee.UUID, claims.UUID
		if one.Layer, err = r.open(one.ID, attendees.FromResponse, layer); err != nil {
			return err
		}
		if err := each(one); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Removed are the keys of attendees and responses that were removed from an event after a
// version.
func (s *Store) Removed(ctx context.Context, q db.Queryer, e events.Event, since int64) (ids []uuid.UUID, err error) {
	defer db.Wrap(&err, "read what was removed from event %s", e.ID)
	err = db.Select(ctx, q, &ids, `select id from removed where event_id = $1 and version > $2`, e.Key, since)
	return ids, err
}

// Sweep drops markers of removed rows that are older than a day, whatever event they are of.
func (s *Store) Sweep(ctx context.Context) (err error) {
	defer db.Wrap(&err, "drop markers")
	_, err = db.Exec(ctx, s.pool, `delete from removed where removed_on < $1::date`, attendees.DateOf(s.now().UTC()).AddDays(-1).String())
	return err
}
