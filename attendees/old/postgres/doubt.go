package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// AnswerDoubt settles an event of which more than half never agreed, so that all were
// sealed: with drop, those who never did go, unopened; else all stay. Whom a hold keeps
// stays until it is released. It returns how many went.
func (s *Store) AnswerDoubt(ctx context.Context, id attendees.EventID, drop bool, reason, by string) (n int, err error) {
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		var e Event
		err := tx.GetContext(ctx, &e, `select `+eventColumns+` from events where source_id = $1 for update`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return &UnknownEventError{Event: id}
		}
		if err != nil {
			return quiet("lock an event", err)
		}
		if !e.Doubted || e.BlockedAt == nil || e.State != attendees.Blocked {
			return fmt.Errorf("event %s is in no doubt: there is nothing to answer", id)
		}
		if drop {
			if n, err = s.dropUnagreed(ctx, tx, e); err != nil {
				return err
			}
		}
		// Of those who are held it stays to be known who goes with the hold.
		_, err = tx.ExecContext(ctx, `
			update sealed s
			set agreed = null
			where event_id = $1 and (not $2 or agreed)`, e.Key, drop)
		if err != nil {
			return quiet("settle a doubt", err)
		}
		if _, err := tx.ExecContext(ctx, `update events set doubted = false where id = $1`, e.Key); err != nil {
			return quiet("settle a doubt", err)
		}
		_, err = tx.ExecContext(ctx, `
			update tasks
			set done_at = $2, done_by = $3
			where event_id = $1 and kind = $4 and done_at is null`, e.Key, s.now(), by, taskDoubt)
		if err != nil {
			return quiet("settle a doubt", err)
		}
		answer := ledger.DoubtKeep
		if drop {
			answer = ledger.DoubtDrop
		}
		_, err = s.record(ctx, tx, ledger.Entry{
			Kind: ledger.Answered, Event: string(id), Reason: reason, Doubt: answer, Counts: map[string]int64{"dropped": int64(n)},
		})
		return err
	})
	return n, err
}

func (s *Store) dropUnagreed(ctx context.Context, tx *sqlx.Tx, e Event) (int, error) {
	var gone pq.StringArray
	err := tx.SelectContext(ctx, &gone, `
		delete from sealed s
		where s.event_id = $1 and s.agreed = false and not `+restricted+`
		  and not `+holding("$1", "s.attendee_id", "$2")+`
		returning attendee_id`, e.Key, s.holdDay())
	if err != nil {
		return 0, quiet("drop those who never agreed", err)
	}
	if len(gone) == 0 {
		return 0, nil
	}
	_, err = tx.ExecContext(ctx, `delete from attendees where event_id = $1 and id = any($2::uuid[])`, e.Key, gone)
	if err != nil {
		return 0, quiet("drop those who never agreed", err)
	}
	if err := s.letGoUpstream(ctx, tx, e); err != nil {
		return 0, err
	}
	slices.Sort(gone)
	return len(slices.Compact(gone)), s.askRewrite(ctx, tx, sealedRooms, e.Key)
}

// asksAgreement tells whether some link fills "agreed" for a purpose that is sealed.
func (b *blocker) asksAgreement(ctx context.Context, tx *sqlx.Tx) (asks bool, err error) {
	var sealed []string
	for _, u := range b.policy.Purposes {
		if u.Sealed {
			sealed = append(sealed, string(u.Name))
		}
	}
	err = tx.GetContext(ctx, &asks, `
		select exists (
			select from link_fields
			where event_id = $1 and purpose = any($2) and field = 'agreed')`, b.event.Key, pq.Array(sealed))
	return asks, quiet("look whether agreements were asked for", err)
}

// tally keeps how many there were, and finds whether to believe that so many never
// agreed: where more than half did not, the form may be the wrong one. Who is sealed
// for herself by now is registered like the others; whether she attended or agreed, and her
// ticket, nobody can read any more, so those counts, and the doubt, are of the others alone.
func (b *blocker) tally(ctx context.Context, tx *sqlx.Tx) error {
	var all, agreed int
	err := tx.QueryRowxContext(ctx, `
		select count(*), count(agreed_at)
		from personal
		where event_id = $1 and part = 'registration'`, b.event.Key).Scan(&all, &agreed)
	if err != nil {
		return quiet("count an event", err)
	}
	b.event.Doubted = b.doubts || b.agrees && 2*agreed < all
	if _, err := tx.ExecContext(ctx, `delete from counts where event_id = $1`, b.event.Key); err != nil {
		return quiet("close an event's counts", err) // they are exact, under 5 too
	}
	least := tallyLeast
	if b.half {
		least = 1 // more may come, and who agreed is counted at the end
	}
	_, err = tx.ExecContext(ctx, `
		insert into tallies (event_id, what, people)
		select $1, what, n
		from (
			select 'registered' as what, count(*) as n from attendees where event_id = $1
			union all
			select 'attended', count(*) from personal where event_id = $1 and part = 'registration' and attended
			union all
			select 'agreed', count(agreed_at) from personal where event_id = $1 and part = 'registration'
			union all
			select 'ticket: ' || ticket, count(*) from personal where event_id = $1 and part = 'registration' and ticket <> '' group by ticket
		) as counted
		where n >= $2 and not ($3 and what = 'agreed')
		on conflict do nothing`, b.event.Key, least, b.half)
	if err != nil || b.half {
		return quiet("keep an event's counts", err)
	}
	return b.hideRest(ctx, tx)
}

// hideRest drops the smallest kind of ticket, too, where the registered less the kinds that
// are kept are so few that they tell of persons: of nine and one the nine would tell the one.
func (b *blocker) hideRest(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `
		with kinds as (
			select what, people
			from tallies
			where event_id = $1 and what like 'ticket: %'
		), rest as (
			select people - (select sum(people) from kinds) as people
			from tallies
			where event_id = $1 and what = 'registered'
		)
		delete from tallies t
		using rest r
		where t.event_id = $1
		  and t.what = (select what from kinds order by people, what limit 1)
		  and r.people > 0 and r.people < $2`, b.event.Key, tallyLeast)
	return quiet("keep an event's counts", err)
}
