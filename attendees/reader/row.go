package reader

import (
	"context"
	"database/sql"
	"encoding/binary"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// Row is one attendee as stored: Open opens it, in any goroutine.
type Row struct {
	reader              *reader
	id                  uuid.UUID
	facts               uint32
	index, registration []byte
	more                *more // nil: neither responses nor a correction
}

// more is what there is of an attendee besides the registration.
type more struct {
	responses  []Response
	said       [][]byte
	correction []byte
}

// ID is the attendee's key.
func (r Row) ID() uuid.UUID { return r.id }

// Open opens what sources say of an attendee.
func (r Row) Open() (p Person, err error) {
	p = Person{ID: r.id, AddressIndex: r.index}
	p.set(r.facts)
	if p.Registration, err = r.reader.open(p.ID, attendees.FromRegistration, r.registration); err != nil || r.more == nil {
		return p, err
	}
	if p.Correction, err = r.reader.open(p.ID, attendees.FromCorrection, r.more.correction); err != nil {
		return p, err
	}
	p.Responses = r.more.responses
	for i := range p.Responses {
		if p.Responses[i].Layer, err = r.reader.open(p.Responses[i].ID, attendees.FromResponse, r.more.said[i]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// rowColumns are a row as two values, since the driver takes as long for a value as opening
// takes for a layer: key, facts and address index, which set and people take apart; and the
// layer. Only of who is gone it is asked whether somebody else has the ticket.
const rowColumns = `
	uuid_send(a.id) || int4send(
		case a.standing when 'attending' then 0 when 'cancelled' then 1 when 'refunded' then 2 else 3 end
		+ case a.state when 'open' then 0 when 'restricted' then 4 else 8 end
		+ case a.reason when '' then 0 when 'restriction' then 16 when 'objection' then 32 else 48 end
		+ case when a.shared then 64 else 0 end + case when a.agreed then 128 else 0 end + case when a.counts_as_agreed then 256 else 0 end
		+ case
			when a.standing = 'gone' and exists (
				select from attendees later
				where later.id > a.id and later.id <= encode(set_byte(uuid_send(a.id), 15, 255), 'hex')::uuid) then 512
			else 0 end)
	|| a.address_index, a.layer`

func (p *Person) set(facts uint32) {
	p.Standing = []attendees.Standing{attendees.Attending, attendees.Cancelled, attendees.Refunded, attendees.Gone}[facts&3]
	p.State = []attendees.State{attendees.Open, attendees.Restricted, attendees.Blocked, attendees.Blocked}[facts>>2&3]
	p.Reason = []attendees.Reason{"", attendees.RestrictionAsked, attendees.Objected, attendees.ErasureAsked}[facts>>4&3]
	p.Shared, p.Agreed, p.CountsAsAgreed, p.Former = facts&64 != 0, facts&128 != 0, facts&256 != 0, facts&512 != 0
}

// maxAnswers is about how many responses are read at once, before their people: they take
// less than half a kilobyte each.
const maxAnswers = 60_000

// Rows gives an event's people one after the other, with those of their layers that are
// stored, in no order that can be relied on: to sort takes PostgreSQL longer than to read.
// Where since is not 0, only those with something that was written after that version. It
// keeps few people in memory at a time.
func (s *Store) Rows(ctx context.Context, q db.Queryer, e events.Event, since int64, each func(Row) error) (err error) {
	if pool, ok := q.(*sqlx.DB); ok {
		return db.Snapshot(ctx, pool, func(tx db.Tx) error { return s.Rows(ctx, tx, e, since, each) })
	}
	defer db.Wrap(&err, "read the people of event %s", e.ID)
	r, err := s.reader(ctx, q, e)
	if err != nil {
		return err
	}
	if since > 0 {
		var ids []uuid.UUID
		err := db.Select(ctx, q, &ids, `
			select id from attendees where event_id = $1 and version > $2
			union
			select attendee_id from responses where event_id = $1 and version > $2 and attendee_id is not null
			union
			select attendee_id from corrections where event_id = $1 and version > $2`, e.Key, since)
		if err != nil || len(ids) == 0 {
			return err
		}
		return r.these(ctx, ids, each)
	}
	var answers int
	err = db.Get(ctx, q, &answers, `
		select (select count(*) from responses where event_id = $1) + (select count(*) from corrections where event_id = $1)`, e.Key)
	if err != nil {
		return err
	}
	parts := min(256, answers/maxAnswers+1)
	for i := range parts {
		if err := r.part(ctx, i, parts, each); err != nil {
			return err
		}
	}
	return nil
}

// part reads the people of one of several parts of about one size, by the first byte of their
// keys, which are hashes. The planner cannot see through that, so it does not walk an index.
func (r *reader) part(ctx context.Context, i, parts int, each func(Row) error) error {
	from, to := 256*i/parts, 256*(i+1)/parts-1
	known := map[uuid.UUID]*more{}
	err := r.answers(ctx, known, `
		select `+answerColumns+`
		from responses
		where event_id = $1 and get_byte(uuid_send(attendee_id), 0) between $2 and $3`, `
		select uuid_send(attendee_id), layer
		from corrections
		where event_id = $1 and get_byte(uuid_send(attendee_id), 0) between $2 and $3`, r.event.Key, from, to)
	if err != nil {
		return err
	}
	return r.people(ctx, func(row Row) error {
		row.more = known[row.id]
		return each(row)
	}, `
		select `+rowColumns+`
		from attendees a
		where a.event_id = $1 and get_byte(uuid_send(a.id), 0) between $2 and $3`, r.event.Key, from, to)
}

func gather(all *[]Row) func(Row) error {
	return func(r Row) error {
		*all = append(*all, r)
		return nil
	}
}

func (r *reader) these(ctx context.Context, ids []uuid.UUID, each func(Row) error) error {
	var some []Row
	err := r.people(ctx, gather(&some), `
		select `+rowColumns+`
		from attendees a
		where a.id = any($1::uuid[])
		order by a.id`, texts(ids))
	if err != nil {
		return err
	}
	return r.answered(ctx, some, each)
}

// people reads rows without what they answered.
func (r *reader) people(ctx context.Context, each func(Row) error, query string, args ...any) error {
	var head, layer sql.RawBytes
	return db.Each(ctx, r.q, func(scan func(...any) error) error {
		if err := scan(&head, &layer); err != nil {
			return err
		}
		return each(Row{
			reader: r, id: uuid.UUID(head[:16]), facts: binary.BigEndian.Uint32(head[16:]), index: r.keep(head[20:]), registration: r.keep(layer),
		})
	}, query, args...)
}

// keep copies bytes of the driver's; nil stays nil.
func (r *reader) keep(b []byte) []byte {
	const firstRoom, roomSize = 4 << 10, 256 << 10 // for a visit, and for an event
	if b == nil {
		return nil
	}
	if cap(r.room)-len(r.room) < len(b) {
		r.room = make([]byte, 0, max(firstRoom, min(roomSize, 2*cap(r.room)), len(b)))
	}
	from := len(r.room)
	r.room = append(r.room, b...)
	return r.room[from:len(r.room):len(r.room)]
}

// answered adds to rows what they answered, and what was corrected.
func (r *reader) answered(ctx context.Context, rows []Row, each func(Row) error) error {
	known, ids := map[uuid.UUID]*more{}, make([]uuid.UUID, len(rows))
	for i := range rows {
		ids[i] = rows[i].id
	}
	err := r.answers(ctx, known, `
		select `+answerColumns+`
		from unnest($1::uuid[]) as w (key)
		cross join lateral (
			select *
			from responses
			where attendee_id = w.key
			offset 0 -- one look-up by index for each: there are no statistics of keyed hashes, so a join might read all responses
		) as r`, `
		select uuid_send(attendee_id), layer
		from corrections
		where attendee_id = any($1::uuid[])`, texts(ids))
	for i := 0; err == nil && i < len(rows); i++ {
		rows[i].more = known[rows[i].id]
		err = each(rows[i])
	}
	return err
}

const answerColumns = `uuid_send(attendee_id) || uuid_send(id) || address_index, matched_by, came_on, layer`

// answers reads responses and corrections by two queries, and keeps them by attendee.
func (r *reader) answers(ctx context.Context, known map[uuid.UUID]*more, responses, corrections string, args ...any) error {
	of := func(id []byte) *more {
		m := known[uuid.UUID(id)]
		if m == nil {
			m = &more{}
			known[uuid.UUID(id)] = m
		}
		return m
	}
	var head, how, layer sql.RawBytes
	err := db.Each(ctx, r.q, func(scan func(...any) error) error {
		var one Response
		if err := scan(&head, &how, &one.CameOn, &layer); err != nil {
			return err
		}
		one.Attendee, one.ID, one.AddressIndex, one.MatchedBy = uuid.UUID(head[:16]), uuid.UUID(head[16:32]), r.keep(head[32:]), string(how)
		m := of(head[:16])
		m.responses, m.said = append(m.responses, one), append(m.said, r.keep(layer))
		return nil
	}, responses, args...)
	if err != nil {
		return err
	}
	return db.Each(ctx, r.q, func(scan func(...any) error) error {
		if err := scan(&head, &layer); err != nil {
			return err
		}
		of(head).correction = r.keep(layer)
		return nil
	}, corrections, args...)
}
