package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// Hold is a legal hold: nothing is deleted or dropped while it stands (GDPR Art.
// 17(3)(e)).
type Hold struct {
	ID       int                  `db:"id" json:"hold"`
	Event    attendees.EventID    `db:"event" json:"event"`
	Attendee attendees.AttendeeID `db:"attendee" json:"attendee,omitempty"` // empty: all of the event
	Reason   string               `db:"reason" json:"reason"`
	Until    *day                 `db:"until" json:"-"`
	By       string               `db:"added_by" json:"by"`
	AddedAt  time.Time            `db:"added_at" json:"added_at"`
	Entry    int64                `db:"entry" json:"-"`               // by which it stands in the ledger
	Waits    bool                 `db:"waits" json:"waits,omitempty"` // for its registration, which a restored backup does not have
}

// UntilDate is the hold's last day, as HoldDay counts it; the zero date: it does not end by
// itself.
func (h Hold) UntilDate() attendees.Date {
	if h.Until == nil {
		return attendees.Date{}
	}
	return h.Until.Date
}

// Nag asks whether a hold that has stood for long has to. It leaves out the reason, which
// may name somebody.
func (h Hold) Nag() string {
	return fmt.Sprintf("hold %d on event %s has stood since %s: if it need not any more, `lethe hold release %d`",
		h.ID, h.Event, attendees.DateOf(h.AddedAt.UTC()), h.ID)
}

// standing is what makes a hold "h" stand on the day of that parameter, its last one
// included.
func standing(today string) string {
	return `h.released_at is null and (h.until is null or h.until >= ` + today + `::date)`
}

// farthestWest is how long after UTC a day ends where it ends last.
const farthestWest = 12 * time.Hour

// HoldDay is the day by which holds are counted: one stands until its last day is over
// everywhere, whatever zone its event, this machine and whoever set it are in.
func HoldDay(now time.Time) attendees.Date { return attendees.DateOf(now.UTC().Add(-farthestWest)) }

// holdDay is the store's HoldDay, today its day in UTC.
func (s *Store) holdDay() day { return day{HoldDay(s.now())} }
func (s *Store) today() day   { return day{attendees.DateOf(s.now().UTC())} }

// holding is true where a hold stands, on the day of that parameter, on the event as a
// whole, or on the registration alone, whatever event it is of by now.
func holding(event, attendee, today string) string {
	return `exists (
		select from holds h
		where (h.attendee_id is null and h.event_id = ` + event + ` or h.attendee_id = ` + attendee + `) and ` + standing(today) + `)`
}

// isHeld tells whether a hold stands on the event as a whole, or, for an attendee, on
// her alone.
func (s *Store) isHeld(ctx context.Context, tx *sqlx.Tx, event, attendee uuid.UUID) (held bool, err error) {
	err = tx.GetContext(ctx, &held, `select `+holding("$1", "$2", "$3"), event, attendee, s.holdDay())
	return held, quiet("look for holds", err)
}

// UnknownAttendeeError says that no registration of that id is held.
type UnknownAttendeeError struct{ Attendee attendees.AttendeeID }

func (e *UnknownAttendeeError) Error() string {
	return fmt.Sprintf("attendee %s is not held: nothing is known under that id", e.Attendee)
}

// AddHold adds a hold on an event, or, where attendee is given, on that registration
// alone, and gives it its number. until is its last day, and may be the zero date.
func (s *Store) AddHold(ctx context.Context, event attendees.EventID, attendee attendees.AttendeeID, reason, by string, until attendees.Date) (h Hold, err error) {
	var whom any
	if attendee != "" {
		if event, err = s.EventOf(ctx, attendee); err != nil {
			return h, err
		}
		whom = attendeeKey(attendees.Eventbrite, attendee)
	}
	// Not while the event is being blocked or deleted.
	unlock, err := s.lockLife(ctx, event)
	if err != nil {
		return h, err
	}
	defer unlock()
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		var e Event
		err := tx.GetContext(ctx, &e, `select `+eventColumns+` from events where source_id = $1 for update`, event)
		if errors.Is(err, sql.ErrNoRows) {
			return &UnknownEventError{event}
		}
		if err != nil {
			return quiet("find an event", err)
		}
		if e.State == attendees.Deleted {
			return fmt.Errorf("event %s is deleted: there is nothing left to hold", event)
		}
		h = Hold{Event: event, Attendee: attendee, Reason: reason, By: by, AddedAt: s.now()}
		if until != (attendees.Date{}) {
			h.Until = &day{until}
		}
		if err := s.insertHold(ctx, tx, e.Key, whom, &h); err != nil {
			return err
		}
		if e.State == attendees.Blocked && e.BlockedAt == nil {
			return s.blockAnew(ctx, tx, e.Key)
		}
		return nil
	})
	return h, err
}

func (s *Store) insertHold(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, whom any, h *Hold) error {
	var until any
	entry := ledger.Entry{Kind: ledger.HoldAdded, Event: string(h.Event), Reason: h.Reason}
	if h.Until != nil {
		until, entry.Until = *h.Until, h.Until.String()
	}
	err := tx.GetContext(ctx, &h.ID, `
		insert into holds (event_id, attendee_id, reason, until, added_by, added_at)
		values ($1, $2, $3, $4, $5, $6)
		returning id`, event, whom, h.Reason, until, h.By, h.AddedAt)
	if err != nil {
		return quiet("add a hold", err)
	}
	if err := s.recordAbout(ctx, tx, entry, h.Attendee); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `update holds set entry = (select max(index) from ledger_entries) where id = $1`, h.ID)
	return quiet("add a hold", err)
}

// holdAlong keeps under a hold whom one on all of her old event held: nobody leaves a hold
// by moving to another event.
func (s *Store) holdAlong(ctx context.Context, tx *sqlx.Tx, old, to uuid.UUID, moved []uuid.UUID) error {
	var holds []Hold
	err := tx.SelectContext(ctx, &holds, `
		select h.reason, h.until, h.added_by, n.source_id as event, a.source_id as attendee
		from holds h
		join attendees a on a.id = any($3::uuid[])
		join events n on n.id = $2
		where h.event_id = $1 and h.attendee_id is null and `+standing("$4"), old, to, pq.StringArray(texts(moved)), s.holdDay())
	if err != nil {
		return quiet("look for holds", err)
	}
	for _, h := range holds {
		h.AddedAt = s.now()
		if err := s.insertHold(ctx, tx, to, attendeeKey(attendees.Eventbrite, h.Attendee), &h); err != nil {
			return err
		}
	}
	return nil
}

// blockAnew lets a blocking that was cut off begin again, under a hold: whoever can still
// be read is sealed anew, whole.
func (s *Store) blockAnew(ctx context.Context, tx *sqlx.Tx, event uuid.UUID) error {
	result, err := tx.ExecContext(ctx, `
		delete from sealed s
		using attendees a, personal p
		where s.event_id = $1 and a.id = s.attendee_id and a.state = 'active'
		  and p.event_id = $1 and p.id = s.attendee_id and p.part = 'registration'`, event)
	if err != nil {
		return quiet("begin a blocking anew", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return quiet("begin a blocking anew", err)
	}
	return s.askRewrite(ctx, tx, sealedRooms, event)
}

// recordAbout records an entry about an event, or about one registration of it.
func (s *Store) recordAbout(ctx context.Context, tx *sqlx.Tx, e ledger.Entry, attendee attendees.AttendeeID) error {
	if attendee != "" {
		id, _ := s.keys.KeyedID(string(attendees.Eventbrite), string(attendee), "")
		return s.recordPerson(ctx, tx, e, id)
	}
	_, err := s.record(ctx, tx, e)
	return err
}

// ReleaseHold ends a hold. What it kept although nothing else does goes with the next
// sweep.
func (s *Store) ReleaseHold(ctx context.Context, id int) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		var h Hold
		err := tx.GetContext(ctx, &h, `
			update holds h
			set released_at = $2
			from events e
			where h.id = $1 and h.released_at is null and e.id = h.event_id
			returning h.id, e.source_id as event, h.reason, coalesce(h.entry, 0) as entry,
				coalesce((select source_id from attendees a where a.id = h.attendee_id), '') as attendee`, id, s.now())
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("no hold %d stands: `lethe hold list` shows those that do", id)
		}
		if err != nil {
			return quiet("release a hold", err)
		}
		return s.recordAbout(ctx, tx, ledger.Entry{Kind: ledger.HoldEnded, Event: string(h.Event), Reason: h.Reason, Hold: h.Entry}, h.Attendee)
	})
}

// Holds lists the holds that stand, the oldest first.
func (s *Store) Holds(ctx context.Context) ([]Hold, error) {
	var holds []Hold
	err := s.db.SelectContext(ctx, &holds, `
		select h.id, e.source_id as event, coalesce(a.source_id, '') as attendee, h.reason, h.until, h.added_by, h.added_at,
			h.keyed_id is not null as waits
		from holds h
		join events e on e.id = h.event_id
		left join attendees a on a.id = h.attendee_id
		where `+standing("$1")+`
		order by h.id`, s.holdDay())
	return holds, quiet("list holds", err)
}

// OldHolds lists the holds that have stood for over a year: when a claim is settled, whom
// it keeps is easily left behind.
func (s *Store) OldHolds(ctx context.Context) ([]Hold, error) {
	holds, err := s.Holds(ctx)
	return slices.DeleteFunc(holds, func(h Hold) bool { return !h.AddedAt.AddDate(1, 0, 0).Before(s.now()) }), err
}

// meetHolds lets the holds that wait for their registrations find them as they come in.
func (s *Store) meetHolds(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, fresh []part) error {
	var waiting [][]byte
	err := tx.SelectContext(ctx, &waiting, `select keyed_id from holds where keyed_id is not null and released_at is null`)
	if err != nil || len(waiting) == 0 {
		return quiet("look for holds that wait", err)
	}
	waits := map[string]bool{}
	for _, id := range waiting {
		waits[string(id)] = true
	}
	for _, p := range fresh {
		for _, id := range s.keys.KeyedIDs(string(p.source), p.sourceID, "") {
			if !waits[string(id)] {
				continue
			}
			_, err := tx.ExecContext(ctx, `
				update holds
				set event_id = $2, attendee_id = $3, keyed_id = null, key = ''
				where keyed_id = $1 and released_at is null`, id, event, p.id)
			if err != nil {
				return quiet("hold who came in", err)
			}
		}
	}
	return nil
}

// clearReleased empties, in events that are still open, what only a hold had kept in the
// rows of those who do not attend, or who have withdrawn a consent.
func (s *Store) clearReleased(ctx context.Context) error {
	var events []uuid.UUID
	err := s.db.SelectContext(ctx, &events, `
		select distinct e.id
		from events e
		join holds h on h.event_id = e.id
		where e.state = 'active' and not (`+standing("$1")+`)`, s.holdDay())
	if err != nil {
		return quiet("look for released holds", err)
	}
	for _, event := range events {
		err := s.InTx(ctx, func(tx *sqlx.Tx) error {
			if open, err := s.lockOpen(ctx, tx, []uuid.UUID{event}); err != nil || len(open) == 0 {
				return err
			}
			var ids []uuid.UUID
			err := tx.SelectContext(ctx, &ids, `
				select p.id
				from personal p
				join attendees a on a.id = p.id
				where p.event_id = $1 and p.part = 'registration' and (p.status <> 'attending' or a.withdrawn <> '{}')`, event)
			if err != nil {
				return quiet("look for what a hold had kept", err)
			}
			return s.fill(ctx, tx, event, ids)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
