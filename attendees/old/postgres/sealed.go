package postgres

import (
	"context"
	"fmt"
	"iter"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// SealedRecord is one sealed part of a registration, for an officer to open.
type SealedRecord struct {
	Event    attendees.EventID    `db:"event"`
	Attendee attendees.AttendeeID `db:"attendee"` // empty: a response of nobody
	Part     string               `db:"part"`
	Officers []byte               `db:"officers"`
	Key      uuid.UUID            `db:"attendee_id"`
	// Person is the person's half, under the secret PersonKey; empty: only officers open
	// it. Read where a person may open what is hers.
	Person    []byte `db:"person"`
	PersonKey string `db:"person_key"`
}

// sealedBatch is how many sealed records are read at once: half a megabyte.
const sealedBatch = 1000

// SealedEvents are the events that have sealed records, the last to end first.
func (s *Store) SealedEvents(ctx context.Context) ([]attendees.EventID, error) {
	var ids []attendees.EventID
	err := s.db.SelectContext(ctx, &ids, `
		select e.source_id
		from events e
		where e.state <> 'deleted' and exists (select from sealed s where s.event_id = e.id)
		order by e.ends_on desc, e.source_id`)
	return ids, quiet("list what is sealed", err)
}

// SealedRecords lists those of an event's sealed records, or of one attendee's, that an
// officer's key opens, by its short name; "" lists them for any key. The use is recorded in
// the ledger before the first is given; where none is given nothing is.
func (s *Store) SealedRecords(ctx context.Context, event attendees.EventID, attendee attendees.AttendeeID, officer, by string) iter.Seq2[SealedRecord, error] {
	return func(yield func(SealedRecord, error) bool) {
		e, err := s.Event(ctx, event)
		if err != nil {
			yield(SealedRecord{}, err)
			return
		}
		recorded := false
		for r, err := range s.sealedTo(ctx, e, attendee, officer) {
			if err == nil && !recorded {
				err, recorded = s.recordUnsealing(ctx, e, attendee, officer, by), true
			}
			if err != nil {
				yield(SealedRecord{}, err)
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// SealedToOthers counts those that SealedRecords leaves out: an officer's key does not open
// them.
func (s *Store) SealedToOthers(ctx context.Context, event attendees.EventID, attendee attendees.AttendeeID, officer string) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `
		select count(*)
		from sealed
		where event_id = $1 and ($2 = '' or attendee_id = $3) and not $4 = any(officer_keys)`,
		eventKey(attendees.Eventbrite, event), attendee, attendeeKey(attendees.Eventbrite, attendee), officer)
	return n, quiet("count sealed records", err)
}

// StillSealed lists all of them for those who take records out without opening them.
func (s *Store) StillSealed(ctx context.Context, e Event, attendee attendees.AttendeeID) iter.Seq2[SealedRecord, error] {
	return s.sealedTo(ctx, e, attendee, "")
}

func (s *Store) sealedTo(ctx context.Context, e Event, attendee attendees.AttendeeID, officer string) iter.Seq2[SealedRecord, error] {
	return func(yield func(SealedRecord, error) bool) {
		only := uuid.Nil
		if attendee != "" {
			only = attendeeKey(attendees.Eventbrite, attendee)
		}
		var last SealedRecord
		for {
			var batch []SealedRecord
			err := s.db.SelectContext(ctx, &batch, `
				select $1::text as event, coalesce(a.source_id, '') as attendee, s.part, s.officers, s.attendee_id
				from sealed s
				left join attendees a on a.id = s.attendee_id
				where s.event_id = $2 and (s.attendee_id, s.part) > ($3, $4) and ($5 = '00000000-0000-0000-0000-000000000000'::uuid or s.attendee_id = $5)
				  and ($6 = '' or $6 = any(s.officer_keys))
				order by s.attendee_id, s.part
				limit $7`, e.ID, e.Key, last.Key, last.Part, only, officer, sealedBatch)
			if err != nil {
				yield(SealedRecord{}, quiet("read sealed records", err))
				return
			}
			for _, last = range batch {
				if !yield(last, nil) {
					return
				}
			}
			if len(batch) < sealedBatch {
				return
			}
		}
	}
}

func (s *Store) recordUnsealing(ctx context.Context, e Event, attendee attendees.AttendeeID, officer, by string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `
			insert into receipts (id, event_id, purpose, format, rows, sha256, exported_by, exported_at)
			select $1, $2, 'unseal', 'opened', count(distinct attendee_id), '', $3, $4
			from sealed
			where event_id = $2 and ($5 = '' or attendee_id = $6) and ($7 = '' or $7 = any(officer_keys))`,
			uuid.New(), e.Key, by, s.now(), attendee, attendeeKey(attendees.Eventbrite, attendee), officer)
		if err != nil {
			return quiet("record who opens sealed records", err)
		}
		return s.recordAbout(ctx, tx, ledger.Entry{Kind: ledger.Unsealed, Event: string(e.ID)}, attendee)
	})
}

// KeyUse is how many sealed records a key opens.
type KeyUse struct {
	Key     string `db:"key" json:"key"`
	Records int    `db:"n" json:"records"`
}

// OfficerKeys tells how many sealed records each officer's key opens.
func (s *Store) OfficerKeys(ctx context.Context) ([]KeyUse, error) {
	var uses []KeyUse
	err := s.db.SelectContext(ctx, &uses, `
		select key, count(*) as n
		from sealed, unnest(officer_keys) as key
		group by key
		order by key`)
	return uses, quiet("count what officers' keys open", err)
}

// Sample gives some sealed records at random, of those that a key opens.
func (s *Store) Sample(ctx context.Context, officer string, n int) ([]SealedRecord, error) {
	var some []SealedRecord
	err := s.db.SelectContext(ctx, &some, `
		select e.source_id as event, coalesce(a.source_id, '') as attendee, s.part, s.officers, s.attendee_id
		from sealed s
		join events e on e.id = s.event_id
		left join attendees a on a.id = s.attendee_id
		where $1 = any(s.officer_keys)
		order by random()
		limit $2`, officer, n)
	return some, quiet("draw sealed records", err)
}

// dropReleased drops what only a hold had kept, unopened: fields without a duty,
// responses of nobody, and of who moved on, and those who never agreed. It returns how many records went.
func (s *Store) dropReleased(ctx context.Context) (int, error) {
	var events []Event
	err := s.db.SelectContext(ctx, &events, `select `+eventColumns+` from events e where `+tidied+` order by id`)
	if err != nil {
		return 0, quiet("look for released holds", err)
	}
	total := 0
	for _, e := range events {
		n, err := s.dropReleasedOf(ctx, e)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (s *Store) dropReleasedOf(ctx context.Context, e Event) (n int, err error) {
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `select from events where id = $1 for update`, e.Key); err != nil {
			return quiet("lock an event", err)
		}
		var gone pq.StringArray
		err := tx.SelectContext(ctx, &gone, `
			delete from sealed s
			where s.event_id = $1 and `+loose("$1", "$2")+` and `+free("$1", "$3")+`
			returning attendee_id`, e.Key, e.Doubted, s.holdDay())
		if err != nil {
			return quiet("drop what a hold had kept", err)
		}
		if n = len(gone); n == 0 {
			return nil
		}
		result, err := tx.ExecContext(ctx, `
			delete from attendees a
			where a.event_id = $1 and a.id = any($2::uuid[])
			  and not exists (select from sealed s where s.event_id = $1 and s.attendee_id = a.id)`, e.Key, gone)
		if err != nil {
			return quiet("drop what a hold had kept", err)
		}
		people, err := result.RowsAffected()
		if err != nil {
			return quiet("drop what a hold had kept", err)
		}
		if err := s.letGoUpstream(ctx, tx, e); err != nil {
			return err
		}
		if err := s.askRewrite(ctx, tx, sealedRooms, e.Key); err != nil {
			return err
		}
		_, err = s.record(ctx, tx, ledger.Entry{Kind: ledger.HoldDropped, Event: string(e.ID), Counts: map[string]int64{"records": int64(n), "people": people}})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return n, nil
}

// tidied is true of an event "e" of which only holds still keep what no duty does.
const tidied = `(e.state = 'blocked' and e.blocked_at is not null)`

// loose is true of a sealed record "s" that no duty keeps: only a hold, or a restriction.
func loose(event, doubted string) string {
	return `(s.part like 'held%' or s.agreed = false and not ` + doubted + `
		or not exists (select from attendees a where a.id = s.attendee_id and a.event_id = ` + event + `))`
}

// free is true of a sealed record "s" that neither a hold keeps, on the day of that
// parameter, nor a restriction.
func free(event, today string) string {
	return `(not ` + restricted + ` and not ` + holding(event, "s.attendee_id", today) + `)`
}

// halfIsOld is true of a sealed record "s" whose person's half is to go: it was sealed
// before that day, or officers alone are to open anything.
func halfIsOld(before, officersOnly string) string {
	return `(s.person is not null and (` + officersOnly + ` or s.sealed_at < ` + before + `::date))`
}

// halvesBefore is the day before which persons' halves were sealed that are to go.
func (s *Store) halvesBefore() day { return day{s.today().AddMonths(-s.policy.PersonOpensMonths)} }

// restricted is true of a sealed record "s" that may only be stored, whatever else has
// come to its end (GDPR Art. 18(2)).
const restricted = `exists (
	select from attendees r
	where r.id = s.attendee_id and r.event_id = s.event_id and r.reason in ('restriction', 'objection'))`

// dropHalves drops the person's halves that were sealed longer ago than the policy lets
// a person open them, or all where it lets officers alone, and asks for their rooms to be
// written anew.
func (s *Store) dropHalves(ctx context.Context) (int, error) {
	n := 0
	err := s.InTx(ctx, func(tx *sqlx.Tx) error {
		var rooms []struct {
			Event  uuid.UUID         `db:"event_id"`
			Source attendees.EventID `db:"source_id"`
			N      int               `db:"n"`
		}
		err := tx.SelectContext(ctx, &rooms, `
			with dropped as (
				update sealed s
				set person = null, person_key = ''
				where `+halfIsOld("$1", "$2")+`
				returning event_id
			)
			select d.event_id, e.source_id, count(*) as n
			from dropped d
			join events e on e.id = d.event_id
			group by d.event_id, e.source_id
			order by d.event_id`, s.halvesBefore(), s.policy.OfficersOnly)
		if err != nil {
			return quiet("drop persons' halves", err)
		}
		for _, r := range rooms {
			n += r.N
			if err := s.askRewrite(ctx, tx, sealedRooms, r.Event); err != nil {
				return err
			}
			_, err := s.record(ctx, tx, ledger.Entry{Kind: ledger.HalvesDropped, Event: string(r.Source), Counts: map[string]int64{"records": int64(r.N)}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// pruneOpenings lets the ledger forget whom its older entries were about, but those by
// which holds stand: a replay has to know them. How old one is, the entry itself says.
func (s *Store) pruneOpenings(ctx context.Context) error {
	before := s.today().AddYears(-s.policy.EvidenceYears)
	_, err := s.db.ExecContext(ctx, `
		delete from openings o
		using ledger_entries e
		where e.index = o.index
		  and substring(e.leaf from '"at":"([^"T]+)') < $1
		  and not exists (select from holds h where h.entry = o.index and `+standing("$2")+`)`, before.String(), s.holdDay())
	return quiet("prune openings", err)
}
