package retention

import (
	"context"
	"errors"
	"time"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/reader"
)

// Done is what a run did, or would do.
type Done struct {
	Blocked, Deleted   []attendees.EventID
	People             int // who were deleted
	Waiting            []Waiting
	Peppers, Unmatched int
	Fuse               *FuseError // nothing was deleted: far more would have been than was announced
}

// Waiting is an event that is past its block date and not blocked.
type Waiting struct {
	Event attendees.EventID
	Why   error
}

// Run blocks what is due and deletes what was announced. One event that fails stops no other;
// the error names all that failed.
func (s *Store) Run(ctx context.Context) (Done, error) { return s.run(ctx, s.announce) }

// RunNow is Run while somebody looks: what is due need not have been announced, unless it is
// far more than was. accept is the hash of a plan for which that is right; empty: none.
func (s *Store) RunNow(ctx context.Context, accept string) (Done, error) {
	return s.run(ctx, func(ctx context.Context, plan Plan) ([]Planned, error) {
		due := plan.due(s.now())
		if accept != "" {
			return due, plan.is(accept)
		}
		fuse, err := s.fuse(ctx, s.pool, plan, due)
		if err == nil && fuse != nil {
			err = fuse
		}
		return due, err
	})
}

// Forecast tells what RunNow would do now. It writes nothing.
func (s *Store) Forecast(ctx context.Context) (would Done, err error) {
	plan, err := s.Plan(ctx)
	if err != nil {
		return would, err
	}
	for _, e := range plan.Events {
		switch {
		case e.Waits != nil:
			would.Waiting = append(would.Waiting, Waiting{e.ID, e.Waits})
		case e.DueToBlock(s.now()):
			would.Blocked = append(would.Blocked, e.ID)
		}
	}
	due := plan.due(s.now())
	for _, e := range due {
		would.Deleted, would.People = append(would.Deleted, e.ID), would.People+e.leave()
	}
	would.Fuse, err = s.fuse(ctx, s.pool, plan, due)
	return would, err
}

func (s *Store) run(ctx context.Context, ready func(context.Context, Plan) ([]Planned, error)) (done Done, err error) {
	if err := s.CheckClock(ctx); err != nil {
		return done, err
	}
	if _, err := s.events.Replan(ctx); err != nil {
		return done, err
	}
	if err := s.Holds.end(ctx); err != nil {
		return done, err
	}
	plan, err := s.Plan(ctx)
	if err != nil {
		return done, err
	}
	var failed []error
	for _, e := range plan.Events {
		failed = append(failed, s.block(ctx, e, &done))
	}
	due, err := ready(ctx, plan)
	if err != nil {
		due = nil
	}
	if !errors.As(err, &done.Fuse) {
		failed = append(failed, err)
	}
	for _, e := range append(due, plan.cutOff(due)...) {
		n, err := s.Delete(ctx, e.ID)
		if failed = append(failed, err); err == nil {
			done.Deleted, done.People = append(done.Deleted, e.ID), done.People+n
		}
	}
	done.Peppers, err = s.Tidy(ctx)
	return done, errors.Join(append(failed, err, s.cameBy(ctx, done))...)
}

// Tidy does what is left besides blocking and deleting: it resumes cleaning up, and ends what
// ends by time. It returns of how many events no half opens any more.
func (s *Store) Tidy(ctx context.Context) (peppers int, err error) {
	all, err := s.events.List(ctx)
	failed := []error{err}
	for _, e := range all {
		if !e.Cleaned {
			failed = append(failed, s.CleanUp(ctx, e.ID))
		}
	}
	peppers, ended := s.endPeppers(ctx)
	_, asked := s.Upstream.Due(ctx)
	return peppers, errors.Join(append(failed, ended, asked, s.people.Sweep(ctx), s.pruneOpenings(ctx), s.vault.Rewrite(ctx))...)
}

// block takes an event as far as its blocking can be taken now.
func (s *Store) block(ctx context.Context, e Planned, done *Done) (err error) {
	switch {
	case e.Waits != nil:
		done.Waiting = append(done.Waiting, Waiting{e.ID, e.Waits})
	case e.DueToBlock(s.now()):
		switch err := s.Block(ctx, e.ID); {
		case err == nil:
			done.Blocked = append(done.Blocked, e.ID)
		case waits(err):
			done.Waiting = append(done.Waiting, Waiting{e.ID, err})
		default:
			return err
		}
	case e.State == attendees.Open && !e.Past(s.now()):
		n, err := s.people.DropUnmatched(ctx, e.ID)
		done.Unmatched += n
		return err
	}
	return nil
}

// cameBy records that a run came by, and what it did. Of those that did nothing the first of
// a day is worth a line.
func (s *Store) cameBy(ctx context.Context, done Done) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		_, last, err := db.Marked(ctx, tx, swept)
		if err == nil {
			err = db.SetMark(ctx, tx, swept, "", s.now())
		}
		idle := len(done.Blocked)+len(done.Deleted)+done.Peppers == 0
		if err != nil || idle && attendees.DateOf(last.UTC()) == attendees.DateOf(s.now().UTC()) {
			return err
		}
		return s.record(ctx, tx, events.Event{}, ledger.Entry{Kind: ledger.Run, Counts: map[string]int64{
			"block": int64(len(done.Blocked)), "delete": int64(len(done.Deleted)), "halves": int64(done.Peppers),
		}})
	})
}

// endPeppers closes people's own halves of events that were blocked longer ago than the
// policy lets them open: mailboxes get new owners.
func (s *Store) endPeppers(ctx context.Context) (n int, err error) {
	var open []struct {
		ID        attendees.EventID `db:"source_id"`
		BlockedAt time.Time         `db:"blocked_at"`
	}
	err = db.Select(ctx, s.pool, &open, `
		select source_id, blocked_at
		from events e
		where state = 'blocked' and exists (select from keys k where k.event_id = e.id and k.pepper is not null)
		order by source_id`)
	for _, o := range open {
		if err != nil || s.now().Before(o.BlockedAt.AddDate(0, s.policy.PersonOpensMonths, 0)) {
			continue
		}
		n++
		err = s.write(ctx, o.ID, func(tx db.Tx, e events.Event) error {
			if err := s.vault.EndPeppers(ctx, tx, reader.Ref(e)); err != nil {
				return err
			}
			return s.record(ctx, tx, e, ledger.Entry{Kind: ledger.HalvesDropped})
		})
	}
	return n, err
}

// pruneOpenings drops openings of ledger entries that are older than the policy's evidence
// years: from then on nobody can show who an entry was about. Those of active holds stay.
func (s *Store) pruneOpenings(ctx context.Context) (err error) {
	defer db.Wrap(&err, "prune openings")
	before := attendees.DateOf(s.now().UTC()).AddYears(-s.policy.EvidenceYears).String()
	_, err = db.Exec(ctx, s.pool, `
		delete from openings o
		using ledger_entries l
		where l.index = o.index
		  and substring(l.leaf from '"at":"([^"]{10})') < $1
		  and not exists (select from holds h where h.entry = o.index and h.released_at is null)`, before)
	return err
}
