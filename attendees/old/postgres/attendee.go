package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// SaveBatch is how many registrations one Save should get: large enough that the
// round trip vanishes, small enough that a kill loses little and the row of their
// event is held for less than a second.
const SaveBatch = 5000

// Changes counts what a source's listing did to what is held of one event.
type Changes struct {
	New, Changed, Unchanged int
	Cancelled               int // those that stood and stand no more
	Gone                    int // no longer known upstream
	Late                    int // of an event that takes nobody in any more, or erased
}

// Add counts other's in.
func (c *Changes) Add(o Changes) {
	c.New += o.New
	c.Changed += o.Changed
	c.Unchanged += o.Unchanged
	c.Cancelled += o.Cancelled
	c.Gone += o.Gone
	c.Late += o.Late
}

// Save stores what is left of registrations after the policy has minimised them.
//
// It may be called twice with the same batch, and with older versions after newer
// ones: what the source changed last stands. A registration that moved to another
// event moves here too; one that moved out of an event that is not open, or into one,
// goes nowhere and is counted as late; it is gone from the open event that it left. One
// whose restriction waits for it, since a restored backup did not have it, is sealed at
// once; with a nil sealer it stays out. It runs in the caller's transaction, so that
// progress can be kept in the same one.
func (s *Store) Save(ctx context.Context, tx *sqlx.Tx, sealer *seal.Sealer, source attendees.SourceName, batch []attendees.Minimised) (map[attendees.EventID]Changes, error) {
	byEvent := map[uuid.UUID][]part{}
	all := make([]uuid.UUID, 0, len(batch))
	for _, m := range batch {
		p := s.registrationPart(source, m.Attendee())
		byEvent[p.event] = append(byEvent[p.event], p)
		all = append(all, p.id)
	}
	where, err := s.eventsOf(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	left := rooms(where, all)
	events := make([]uuid.UUID, 0, len(byEvent)+len(left))
	for event := range byEvent {
		events = append(events, event)
	}
	beside, err := s.besideOf(ctx, tx, events)
	if err != nil {
		return nil, err
	}
	open, err := s.lockOpen(ctx, tx, slices.Concat(events, left, beside))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(events, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })

	changes := map[attendees.EventID]Changes{}
	for _, event := range events {
		parts := newestOnly(byEvent[event])
		id := parts[0].outside
		if e, ok := open[event]; ok {
			if changes[id], err = s.saveRoom(ctx, tx, sealer, e, open, where, parts); err != nil {
				return nil, err
			}
			continue
		}
		changes[id] = Changes{Late: len(parts)}
		if err := s.goneElsewhere(ctx, tx, open, where, parts, changes); err != nil {
			return nil, err
		}
	}
	if len(beside) == 0 {
		return changes, nil
	}
	return changes, s.leaveOthers(ctx, tx, slices.Collect(maps.Keys(open)))
}

// eventsOf tells for which event each of the attendees is held at present.
func (s *Store) eventsOf(ctx context.Context, tx *sqlx.Tx, ids []uuid.UUID) (map[uuid.UUID]uuid.UUID, error) {
	var rows []struct {
		ID    uuid.UUID `db:"id"`
		Event uuid.UUID `db:"event_id"`
	}
	err := tx.SelectContext(ctx, &rows, `
		select id, event_id
		from attendees
		where id = any($1::uuid[])`, pq.StringArray(texts(ids)))
	where := make(map[uuid.UUID]uuid.UUID, len(rows))
	for _, r := range rows {
		where[r.ID] = r.Event
	}
	return where, quiet("look up attendees", err)
}

// rooms are the events that the attendees are held for, each once.
func rooms(where map[uuid.UUID]uuid.UUID, ids []uuid.UUID) []uuid.UUID {
	var events []uuid.UUID
	for _, id := range ids {
		if event, held := where[id]; held && !slices.Contains(events, event) {
			events = append(events, event)
		}
	}
	return events
}

// newestOnly keeps of each registration the version that changed last, the later one
// in the batch where they tie, in the order of their keys: the order in which every
// writer takes rows.
func newestOnly(parts []part) []part {
	newest := make(map[uuid.UUID]int, len(parts))
	ids := make([]uuid.UUID, 0, len(parts))
	for i, p := range parts {
		j, seen := newest[p.id]
		if !seen {
			ids = append(ids, p.id)
		}
		if !seen || !p.changed.Before(parts[j].changed) {
			newest[p.id] = i
		}
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	kept := make([]part, len(ids))
	for i, id := range ids {
		kept[i] = parts[newest[id]]
	}
	return kept
}

// saveRoom stores one open event's registrations; open are those that people may leave,
// where tells for which event each was held before.
func (s *Store) saveRoom(ctx context.Context, tx *sqlx.Tx, sealer *seal.Sealer, e Event, open map[uuid.UUID]Event, where map[uuid.UUID]uuid.UUID, parts []part) (Changes, error) {
	var n Changes
	for i := range parts {
		s.index(&parts[i], e)
	}
	held, err := s.held(ctx, tx, where, parts)
	if err != nil {
		return n, err
	}
	erased, err := s.barred(ctx, tx, e.Key, unknown(parts, held))
	if err != nil {
		return n, err
	}
	waits, err := s.waiting(ctx, tx, sealer, parts, erased)
	if err != nil {
		return n, err
	}
	withdrawn, err := s.withdrawnBefore(ctx, tx, unknown(parts, held))
	if err != nil {
		return n, err
	}
	var fresh, changed []part
	var moved, agreed []uuid.UUID
	left := false // somebody lost what only the forums needed
	for _, p := range parts {
		h, known := held[p.id]
		switch {
		case erased[p.id]:
			n.Late++ // it was erased: it never comes back
			continue
		case !known:
			n.New++
			p.drop(s.withdrawnFields(withdrawn[p.id]))
			fresh = append(fresh, p)
			continue
		case h.State != attendees.Active:
			n.Late++ // blocked for itself: no pull makes it readable again
			if h.Event == e.Key && !p.agreed.IsZero() {
				agreed = append(agreed, p.id)
			}
			continue
		case p.changed.Before(h.ChangedAt):
			n.Unchanged++ // an older version, from a page that was read before
			continue
		case h.Event != e.Key && open[h.Event].ID == "":
			n.Late++ // her old event is over: she is sealed there, or will be
			continue
		case h.Event != e.Key:
			moved = append(moved, p.id)
			n.New++
		case bytes.Equal(h.Digest, p.digest) && h.Status == p.status:
			n.Unchanged++
			continue
		case h.Status == attendees.Attending && p.status != attendees.Attending:
			n.Cancelled++
			left = left || h.Forum
		default:
			n.Changed++
		}
		if len(h.Corrected) > len("{}") {
			if err := s.correct(&p, h.Corrected, open[h.Event].ID); err != nil {
				return n, err
			}
		}
		if len(h.Withdrawn) > 0 {
			p.drop(s.withdrawnFields(h.Withdrawn))
		}
		changed = append(changed, p)
	}
	if err := s.noteAgreed(ctx, tx, e.Key, agreed); err != nil {
		return n, err
	}
	if len(fresh) < copyLeast {
		changed, fresh = append(changed, fresh...), nil
	}
	if len(fresh)+len(changed) == 0 {
		return n, nil
	}
	if err := s.noteLeft(ctx, tx, e.Key, changed, held); err != nil {
		return n, err
	}
	if err := s.leaveRooms(ctx, tx, e.Key, moved, held, true); err != nil {
		return n, err
	}
	if err := s.meetHolds(ctx, tx, e.Key, unknown(parts, held)); err != nil {
		return n, err
	}
	if left {
		if err := s.askRewrite(ctx, tx, personalRooms, e.Key); err != nil {
			return n, err
		}
	}
	if err := s.copyIn(ctx, tx, e.Key, fresh); err != nil {
		return n, err
	}
	if err := s.upsert(ctx, tx, e.Key, changed); err != nil {
		return n, err
	}
	if err := s.noteWithdrawn(ctx, tx, withdrawn); err != nil {
		return n, err
	}
	written := append(changed, fresh...)
	if err := s.closeShared(ctx, tx, e.Key, written); err != nil {
		return n, err
	}
	if err := s.meetResponses(ctx, tx, e.Key, written, held); err != nil {
		return n, err
	}
	return n, s.sealWaiting(ctx, tx, sealer, e, written, waits)
}

// unknown are the parts of which nothing is held.
func unknown[T any](parts []part, held map[uuid.UUID]T) []part {
	var out []part
	for _, p := range parts {
		if _, known := held[p.id]; !known {
			out = append(out, p)
		}
	}
	return out
}

// heldAttendee is what Save has to know of an attendee who is held already.
type heldAttendee struct {
	ID        uuid.UUID          `db:"id"`
	Event     uuid.UUID          `db:"event_id"`
	State     attendees.State    `db:"state"`
	ChangedAt time.Time          `db:"changed_at"`
	Index     []byte             `db:"address_index"`
	Digest    []byte             `db:"digest"`
	Status    attendees.Standing `db:"status"`
	Forum     bool               `db:"forum"` // something that only the forums need is held
	Withdrawn pq.StringArray     `db:"withdrawn"`
	Corrected []byte             `db:"corrected"`
}

// held reads what is held of attendees, in the rooms where they are.
func (s *Store) held(ctx context.Context, tx *sqlx.Tx, where map[uuid.UUID]uuid.UUID, parts []part) (map[uuid.UUID]heldAttendee, error) {
	ids := make([]uuid.UUID, len(parts))
	for i, p := range parts {
		ids[i] = p.id
	}
	var rows []heldAttendee
	err := tx.SelectContext(ctx, &rows, `
		select a.id, a.event_id, a.state, a.changed_at, a.address_index, a.withdrawn,
			coalesce(p.digest, '') as digest, coalesce(p.status, '') as status, coalesce(p.corrected, '{}') as corrected,
			coalesce(p.affiliation <> '' or p.forums <> '{}' or p.answers <> '{}', false) as forum
		from attendees a
		left join personal p on p.event_id = any($1::uuid[]) and p.event_id = a.event_id and p.id = a.id
		where a.id = any($2::uuid[])`, pq.StringArray(texts(rooms(where, ids))), pq.StringArray(texts(ids)))
	held := make(map[uuid.UUID]heldAttendee, len(rows))
	for _, h := range rows {
		held[h.ID] = h
	}
	return held, quiet("read attendees", err)
}

// upsert writes registrations: their ids and index to attendees, what is readable
// to their room. It overwrites what responses had filled; rematch fills it again.
func (s *Store) upsert(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, parts []part) error {
	if len(parts) == 0 {
		return nil
	}
	c := columnsOf(parts)
	if err := s.upsertAttendees(ctx, tx, event, parts[0], c); err != nil {
		return err
	}
	// Under a hold who does not attend, or has withdrawn, loses nothing yet.
	kept := `(excluded.status <> 'attending' or exists (select from attendees w where w.id = excluded.id and w.withdrawn <> '{}')) and ` +
		holding("$1", "excluded.id", "$18")
	_, err := tx.ExecContext(ctx, `
		insert into personal (event_id, id, part, source_id, name, email, ticket, status, source_status, attended,
			agreement_version, agreed_at, affiliation, forums, answers, digest, corrected, received_at)
		select $1, id, 'registration', source_id, name, email, ticket, status, source_status, attended,
			agreement_version, nullif(agreed_at, '')::timestamptz, affiliation, forums::text[], answers::jsonb, digest, corrected::jsonb, $2
		from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::boolean[],
				$11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[], $17::text[])
			as t (id, source_id, name, email, ticket, status, source_status, attended,
				agreement_version, agreed_at, affiliation, forums, answers, digest, corrected)
		on conflict (event_id, id) do update set
			name = excluded.name,
			email = excluded.email,
			ticket = excluded.ticket,
			status = excluded.status,
			source_status = excluded.source_status,
			attended = excluded.attended,
			agreement_version = excluded.agreement_version,
			agreed_at = excluded.agreed_at,
			affiliation = case when excluded.affiliation = '' and `+kept+` then personal.affiliation else excluded.affiliation end,
			forums = case when excluded.forums = '{}' and `+kept+` then personal.forums else excluded.forums end,
			answers = case when excluded.answers = '{}' and `+kept+` then personal.answers else excluded.answers end,
			filled = '{}',
			digest = excluded.digest,
			corrected = excluded.corrected`,
		event, s.now(), c.ids, c.sourceIDs, c.names, c.emails, c.tickets, c.statuses, c.sourceStatuses, c.attended,
		c.versions, c.agreed, c.affiliations, c.forums, c.answers, c.digests, c.corrected, s.holdDay())
	return quiet("save a room", err)
}

// upsertAttendees writes ids, dates and index of registrations, nothing readable.
func (s *Store) upsertAttendees(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, first part, c columns) error {
	_, err := tx.ExecContext(ctx, `
		insert into attendees (id, event_id, source, source_id, address_key, address_index, registered_at, changed_at)
		select id, $1, $2, source_id, $3, address_index, nullif(registered_at, '')::timestamptz, changed_at::timestamptz
		from unnest($4::uuid[], $5::text[], $6::bytea[], $7::text[], $8::text[])
			as t (id, source_id, address_index, registered_at, changed_at)
		on conflict (id) do update set
			event_id = excluded.event_id,
			address_key = excluded.address_key,
			address_index = excluded.address_index,
			grouped = attendees.grouped and attendees.address_index = excluded.address_index,
			registered_at = excluded.registered_at,
			changed_at = excluded.changed_at
		where attendees.state = 'active'`,
		event, first.source, first.addressKey, c.ids, c.sourceIDs, c.indexes, c.registered, c.changed)
	return quiet("save attendees", err)
}

// copyLeast is from how many new registrations on they are copied instead of upserted:
// below that the two more round trips cost more than the copy saves.
const copyLeast = 200

// copyIn writes registrations that nobody holds yet, nearly as fast as PostgreSQL
// takes anything. Should another transaction have brought one of them in for another
// event in the meantime, it fails, and the pull tries again.
func (s *Store) copyIn(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, parts []part) error {
	if len(parts) == 0 {
		return nil
	}
	now, room := s.now(), event.String()
	err := copyRows(ctx, tx, `
		copy attendees (id, event_id, source, source_id, address_key, address_index, registered_at, changed_at)
		from stdin`, parts, func(p *part) []any {
		return []any{p.id.String(), room, string(p.source), p.sourceID, p.addressKey, p.addressIndex,
			moment(p.created), cmp.Or(instant(p.changed), longAgo)}
	})
	if err != nil {
		return quiet("save attendees", err)
	}
	err = copyRows(ctx, tx, `
		copy personal (event_id, id, part, source_id, name, email, ticket, status, source_status, attended,
			agreement_version, agreed_at, affiliation, forums, answers, digest, received_at)
		from stdin`, parts, func(p *part) []any {
		return []any{room, p.id.String(), "registration", p.sourceID, p.name.Reveal(), p.email.Reveal(), p.ticket,
			string(p.status), p.sourceStatus, p.attended, p.version, moment(p.agreed), p.affiliation.Reveal(),
			literal(p.forums), p.answers, p.digest, now}
	})
	return quiet("save a room", err)
}

func copyRows[T any](ctx context.Context, tx *sqlx.Tx, statement string, rows []T, columns func(*T) []any) (err error) {
	stmt, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	for i := range rows {
		if _, err := stmt.ExecContext(ctx, columns(&rows[i])...); err != nil {
			return err
		}
	}
	_, err = stmt.ExecContext(ctx) // sends what is left, and hears of errors
	return err
}
