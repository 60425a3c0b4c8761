package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"golang.org/x/sync/errgroup"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// sealBatch is how many records are sealed in one transaction: a tenth of a second's
// work, so no lock is held for long and a kill loses little.
const sealBatch = 500

// Blocking is what blocking an event did.
type Blocking struct {
	Sealed  int
	Dropped int  // those without an agreement, whom no duty keeps
	Doubted bool // more than half never agreed, so nobody was dropped
	Coming  bool // its people are sealed as they come, and its feeds have not run dry: nothing was done
}

// Block blocks an event whose block date has come: the fields without a duty to keep
// are dropped, the others sealed (GDPR Art. 5(1)(e), Art. 32(1)(a)); those whose
// agreement a linked form asks for and who never gave it are deleted. Then the readable
// room goes, with its file, and every export of the event is recalled.
//
// It works in batches, each in a transaction of its own, and may be stopped at any
// point: what is sealed stays sealed, and the next call goes on. Two calls at once are
// one after the other. While a hold stands everything is sealed and nothing dropped.
// Of an event that is blocked already it does nothing. One that is sealed as it comes
// it ends when its feeds have run dry, and not before.
func (s *Store) Block(ctx context.Context, id attendees.EventID, sealer *seal.Sealer) (Blocking, error) {
	return s.block(ctx, id, blocker{Store: s, sealer: sealer})
}

func (s *Store) block(ctx context.Context, id attendees.EventID, b blocker) (Blocking, error) {
	unlock, err := s.lockLife(ctx, id)
	if err != nil {
		return Blocking{}, err
	}
	defer unlock()
	if err := b.begin(ctx, id); err != nil || b.coming || b.event.BlockedAt != nil || b.event.State == attendees.Deleted {
		return Blocking{Coming: b.coming}, err
	}
	if err := s.buildRoom(ctx, sealedRooms, b.event.Key); err != nil {
		return Blocking{}, err
	}
	if err := b.registrations(ctx); err != nil {
		return Blocking{}, err
	}
	if err := b.responses(ctx); err != nil {
		return Blocking{}, err
	}
	if err := s.keepUpstream(ctx, b.event.Key); err != nil {
		return Blocking{}, err
	}
	if err := s.tearDown(ctx, personalRooms, b.event.Key); err != nil {
		return Blocking{}, err
	}
	if b.half {
		return Blocking{Coming: true}, s.InTx(ctx, func(tx *sqlx.Tx) error { return s.come(ctx, tx, b.event) })
	}
	return b.finish(ctx)
}

// TooEarlyError says that the day has not come.
type TooEarlyError struct {
	Event attendees.EventID
	What  string
	On    attendees.Date
}

func (e *TooEarlyError) Error() string {
	return fmt.Sprintf("event %s is to be %s on %s, not before", e.Event, e.What, e.On)
}

// blocker is one blocking under way.
type blocker struct {
	*Store
	sealer *seal.Sealer
	event  Event
	agrees bool // a link fills "agreed": without a yes there is no contract
	held   bool // a hold stands on the event: nothing is dropped
	coming bool // it is sealed as it comes, and its feeds have not run dry
	half   bool // it was read in part: the rest seals as it comes
	lost   bool // a replay finds fewer who agreed than stayed before
	doubts bool // the ledger says that it was in doubt, whatever a backup counts
	again  bool // a replay blocks it once more, and it is read anew after that
}

// begin commits the event's new state before the first record is sealed: it waits for
// whoever writes into the room, and who comes later finds it closed.
func (b *blocker) begin(ctx context.Context, id attendees.EventID) error {
	return b.InTx(ctx, func(tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &b.event, `select `+eventColumns+` from events where source_id = $1 for update`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return &UnknownEventError{Event: id}
		}
		if err != nil {
			return quiet("lock an event", err)
		}
		e := &b.event
		if e.State == attendees.Deleted || e.BlockedAt != nil {
			return nil
		}
		if e.Today(b.now()).Before(e.BlockOn.Date) {
			return &TooEarlyError{Event: id, What: "blocked", On: e.BlockOn.Date}
		}
		if err := b.behindLedger(ctx, tx, b.now()); err != nil {
			return err // what cannot be recorded is not begun
		}
		if b.agrees, err = b.asksAgreement(ctx, tx); err != nil {
			return err
		}
		if b.held, err = b.isHeld(ctx, tx, e.Key, uuid.Nil); err != nil {
			return err
		}
		if e.History {
			if b.coming, err = b.comesIn(ctx, tx, *e); err != nil || b.coming {
				return err
			}
		}
		if b.half, err = b.halfRead(ctx, tx); err != nil || b.coming {
			return err
		}
		if b.half || b.again {
			if err := b.keepRead(ctx, tx); err != nil {
				return err
			}
		}
		if e.State != attendees.Active {
			return nil // it was cut off: what was decided then stands
		}
		if err := b.tally(ctx, tx); err != nil {
			return err
		}
		if b.half {
			e.Doubted = b.agrees // the rest may bring a yes: nobody goes yet
		}
		_, err = tx.ExecContext(ctx, `
			update events
			set state = 'blocked', doubted = $2, pulled_at = case when $3 then null else pulled_at end
			where id = $1`, e.Key, e.Doubted, b.half)
		if err != nil {
			return quiet("block an event", err)
		}
		e.State = attendees.Blocked
		return nil
	})
}

// tallyLeast: a smaller count tells of persons.
const tallyLeast = 5

// readable is one registration as it is read for the last time.
type readable struct {
	fieldRow
	Alone bool `db:"alone"` // her address is hers alone
	Held  bool `db:"held"`
	// Back is what a restricted record needs besides to become readable again as it was.
	Back map[string]any `db:"-"`
}

// record is the part of a registration that a purpose with a duty keeps, or, where kept
// is false, the part that none does.
func (b *blocker) record(r readable, part string, kept bool) (seal.Record, error) {
	fields := map[string]any{}
	set := func(f attendees.Field, value any, empty bool) {
		duty := slices.ContainsFunc(b.policy.Purposes, func(u attendees.Purpose) bool { return u.Sealed && u.Allows(f) })
		if !empty && duty == kept && b.policy.Allows(f) {
			fields[string(f)] = value
		}
	}
	set(attendees.Name, r.Name.Reveal(), r.Name.Empty())
	set(attendees.Email, r.Email.Reveal(), r.Email.Empty())
	set(attendees.Ticket, r.Ticket, r.Ticket == "")
	set(attendees.Attended, r.Attended, r.Status == "") // a response does not tell
	set(attendees.AgreementVersion, r.Version, r.Version == "")
	set(attendees.AgreedAt, r.AgreedAt, r.AgreedAt == nil)
	set(attendees.Affiliation, r.Affiliation.Reveal(), r.Affiliation.Empty())
	set(attendees.Forums, []string(r.Forums), len(r.Forums) == 0)
	set(attendees.Answers, r.Answers, string(r.Answers) == "{}")
	var filled []string // by a form: whoever asks for her record is told where each came from
	for _, f := range r.Filled {
		if _, there := fields[f]; there {
			filled = append(filled, f)
		}
	}
	if len(filled) > 0 {
		fields["filled"] = filled
	}
	switch {
	case !kept:
		maps.Copy(fields, r.Back)
	case r.Status != "":
		fields["status"] = r.Status
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return seal.Record{}, errors.New("a record cannot be written as JSON")
	}
	return seal.Record{Event: string(b.event.ID), Attendee: r.SourceID, Part: part, Fields: text}, nil
}

const (
	partRegistration = "registration"
	partHeld         = "held"
)

// sealedRow is one row to be of the sealed room.
type sealedRow struct {
	attendee uuid.UUID
	part     string
	sealed   seal.Sealed
	agreed   any // null but where it is yet to be decided who goes
}

// registrations seals everyone, in the order of their keys: where it was cut off it
// goes on behind the last who is sealed. Who was sealed before, for herself, tells
// nothing of that. An event that is sealed as it comes has no readable room, so nobody is
// left to seal.
func (b *blocker) registrations(ctx context.Context) error {
	after := uuid.Nil
	err := b.db.GetContext(ctx, &after, `
		select s.attendee_id
		from sealed s
		join attendees a on a.id = s.attendee_id and a.state = 'active'
		where s.event_id = $1 and s.part = 'registration'
		order by s.attendee_id desc
		limit 1`, b.event.Key)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return quiet("look how far an event is sealed", err)
	}
	var there bool
	if err := b.db.GetContext(ctx, &there, `select to_regclass($1) is not null`, room(b.event.Key)); err != nil || !there {
		return quiet("look for a room", err) // it is gone already, so everyone was sealed
	}
	// Who does not know how full a room is reads all that is left of it for each batch.
	if _, err := b.db.ExecContext(ctx, `analyze `+room(b.event.Key)); err != nil {
		return quiet("count a room", err)
	}
	// While one batch is written the next one is sealed: arithmetic and disk side by side.
	var writing errgroup.Group
	for {
		var batch []readable
		err := b.db.SelectContext(ctx, &batch, `
			with p as materialized ( -- else the planner may join all the others first, each time
				select *
				from personal
				where event_id = $1 and part = 'registration' and id > $2
				order by id
				limit $3
			)
			select p.id, p.source_id, p.name, p.email, p.ticket, p.status, p.attended, p.agreement_version, p.agreed_at,
				p.affiliation, p.forums, p.answers, p.filled,
				`+alone+` as alone,
				exists (select from holds h where h.attendee_id = p.id and `+standing("$4")+`) as held
			from p
			join attendees a on a.id = p.id and a.event_id = p.event_id
			order by p.id`, b.event.Key, after, sealBatch, b.holdDay())
		if err != nil {
			return errors.Join(quiet("read a room for the last time", err), writing.Wait())
		}
		if len(batch) == 0 {
			return writing.Wait()
		}
		rows, err := b.sealBatch(batch)
		if err := errors.Join(err, writing.Wait()); err != nil {
			return err
		}
		writing = errgroup.Group{}
		writing.Go(func() error { return b.saveSealed(ctx, rows) })
		after = batch[len(batch)-1].ID
	}
}

func (b *blocker) sealBatch(batch []readable) ([]sealedRow, error) {
	rows := make([][]sealedRow, len(batch))
	group := errgroup.Group{}
	group.SetLimit(runtime.GOMAXPROCS(0)) // sealing is all arithmetic
	for i, r := range batch {
		held := b.held || r.Held
		if b.agrees && !b.event.Doubted && !b.event.History && !held && r.AgreedAt == nil {
			continue // no contract that a duty could keep
		}
		group.Go(func() (err error) {
			rows[i], err = b.seal(r, held)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(rows...), err
}

func (b *blocker) seal(r readable, held bool) ([]sealedRow, error) {
	address := ""
	if r.Alone && !b.policy.OfficersOnly {
		address = r.Email.Reveal()
	}
	var rows []sealedRow
	for _, part := range []string{partRegistration, partHeld} {
		if part == partHeld && !held {
			break
		}
		more, err := b.sealPart(r, part, part == partRegistration, address)
		if err != nil {
			return nil, err
		}
		for i := range more {
			if b.event.Doubted || b.event.History || b.agrees && held {
				more[i].agreed = r.AgreedAt != nil
			}
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// sealPart seals what a duty keeps of a record, or, where kept is false, what none does:
// a row, or none where there is nothing of it.
func (b *blocker) sealPart(r readable, part string, kept bool, address string) ([]sealedRow, error) {
	record, err := b.record(r, part, kept)
	if err != nil || string(record.Fields) == "{}" {
		return nil, err
	}
	sealed, err := b.sealer.Seal(record, address)
	if err != nil {
		return nil, err
	}
	return []sealedRow{{attendee: r.ID, part: part, sealed: sealed}}, nil
}

func (b *blocker) saveSealed(ctx context.Context, rows []sealedRow) error {
	return b.InTx(ctx, func(tx *sqlx.Tx) error { return b.keepSealed(ctx, tx, rows) })
}

// day is the present one, as its midnight in UTC. By the second it would tell which records
// of several events one person had sealed in one go.
func (b *blocker) day() time.Time { return b.now().UTC().Truncate(24 * time.Hour) }

func (b *blocker) keepSealed(ctx context.Context, tx *sqlx.Tx, rows []sealedRow) error {
	event, day, officers := b.event.Key.String(), b.day(), pq.StringArray(b.sealer.Officers().IDs())
	err := copyRows(ctx, tx, `
		copy sealed (event_id, attendee_id, part, officers, person, person_key, officer_keys, agreed, sealed_at)
		from stdin`, rows, func(r *sealedRow) []any {
		var person any
		key := ""
		if r.sealed.Person != nil {
			person, key = r.sealed.Person, r.sealed.Key
		}
		return []any{event, r.attendee.String(), r.part, r.sealed.Officers, person, key, officers, r.agreed, day}
	})
	return quiet("keep sealed records", err)
}

// finish counts, recalls what was exported, and writes the ledger, in one transaction.
func (b *blocker) finish(ctx context.Context) (Blocking, error) {
	var n Blocking
	err := b.InTx(ctx, func(tx *sqlx.Tx) error {
		if b.event.History {
			if err := b.settleHistory(ctx, tx); err != nil || b.coming {
				n.Coming = b.coming
				return err
			}
		}
		e := b.event
		n.Doubted = e.Doubted
		if err := b.noteGroups(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `
			delete from attendees a
			where a.event_id = $1
			  and not exists (select from sealed s where s.event_id = $1 and s.attendee_id = a.id)`, e.Key)
		if err != nil {
			return quiet("delete those without an agreement", err)
		}
		dropped, err := result.RowsAffected()
		if err != nil {
			return quiet("delete those without an agreement", err)
		}
		n.Dropped = int(dropped)
		err = tx.GetContext(ctx, &n.Sealed, `select count(distinct attendee_id) from sealed where event_id = $1`, e.Key)
		if err != nil {
			return quiet("count sealed records", err)
		}
		result, err = tx.ExecContext(ctx, `
			update receipts
			set recalled_at = $2
			where event_id = $1 and recalled_at is null`, e.Key, b.now())
		if err != nil {
			return quiet("recall exports", err)
		}
		recalled, err := result.RowsAffected()
		if err != nil {
			return quiet("recall exports", err)
		}
		if _, err := tx.ExecContext(ctx, `update events set blocked_at = $2 where id = $1`, e.Key, b.now()); err != nil {
			return quiet("block an event", err)
		}
		if err := b.askLists(ctx, tx, e); err != nil {
			return err
		}
		if n.Doubted {
			why := "More than half of event %s never agreed, so the linked form may be the wrong one. Everyone was sealed. Look at the form"
			if b.lost {
				why = "A backup was restored, and of event %s fewer have agreed now than were kept before: their answers may be gone at the source. " +
					"Everyone was sealed. Look who they are, with the officer"
			}
			says := fmt.Sprintf(why+", then: lethe retention agreements %s --drop (or --keep) --reason …", e.ID, e.ID)
			if err := b.ask(ctx, tx, e.Key, taskDoubt, says); err != nil {
				return err
			}
		}
		if err := b.letGoUpstream(ctx, tx, e); err != nil {
			return err
		}
		entry := ledger.Entry{
			Kind: ledger.Blocked, Event: string(e.ID), Rule: e.Rule, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String(),
			Counts: map[string]int64{"sealed": int64(n.Sealed), "dropped": dropped, "recalled": recalled},
		}
		if n.Doubted {
			entry.Doubt = ledger.DoubtOpen
		}
		if e.History {
			entry.Counts["as_it_came"] = int64(n.Sealed)
		}
		_, err = b.Store.record(ctx, tx, entry)
		return err
	})
	return n, err
}
