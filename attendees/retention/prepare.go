package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

const (
	// sourcesFor is how long an event whose sources fail waits before it is blocked as it is.
	sourcesFor = 7 * 24 * time.Hour
	// prepareBatch is how many people are sealed at a time by one processor.
	prepareBatch = 500
	// writeBatch is how many records are written in one transaction.
	writeBatch = 20_000
)

// ErrChanged says that somebody wrote to an event while it was prepared: it is prepared again.
var ErrChanged = errors.New("it changed while its blocking was prepared: the next run prepares it again")

// NotYetError says that an event's sources have not been read to the end, and until when
// they are waited for; zero: as long as they are only late.
type NotYetError struct {
	Event attendees.EventID
	Until time.Time
}

func (e *NotYetError) Error() string {
	if e.Until.IsZero() {
		return fmt.Sprintf("event %s has not been read to the end yet: it is blocked once it is", e.Event)
	}
	return fmt.Sprintf("a source of event %s fails: it is blocked as it is on %s", e.Event, e.Until.UTC().Format("2 January 2006"))
}

// preparation is one preparation of an event's blocking.
type preparation struct {
	*Store
	event    events.Event
	whole    bool // the event is on hold: everything of everybody is sealed
	asks     bool // a link fills agreed: without a yes there is no contract
	ask      bool // all who never agreed are in doubt, and staff are asked
	kept     vault.Sealer
	doubt    *vault.Sealer
	held     *vault.Sealer
	shared   map[string]bool    // address indexes of several people
	claims   map[uuid.UUID]bool // attendees with an open claim that says yes
	heldOnly map[uuid.UUID]bool // attendees who are on hold by themselves
	hashes   seal.Hashes

	sealed, doubted, dropped int
	counts                   map[string]int
}

// Prepare seals what is kept of an event while it is still open, in batches, and holds no
// lock meanwhile. It destroys the keys of earlier preparations first, so that it always
// begins at the beginning, and belongs to one version of the event: ErrChanged where
// somebody wrote meanwhile.
func (s *Store) Prepare(ctx context.Context, id attendees.EventID) (err error) {
	defer db.Wrap(&err, "prepare the blocking of event %s", id)
	p := &preparation{Store: s, counts: map[string]int{}}
	if err := db.InTx(ctx, s.pool, func(tx db.Tx) error { return p.begin(ctx, tx, id) }); err != nil {
		return err
	}
	if err := p.sweepEarlier(ctx); err != nil {
		return err
	}
	err = db.Snapshot(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		if e.Version != p.event.Version {
			return ErrChanged
		}
		if err := p.look(ctx, tx); err != nil {
			return err
		}
		return p.fill(ctx, tx)
	})
	if err != nil {
		return err
	}
	return db.InTx(ctx, s.pool, func(tx db.Tx) error { return p.end(ctx, tx) })
}

// begin decides how an event is sealed, and makes the keys.
func (p *preparation) begin(ctx context.Context, tx db.Tx, id attendees.EventID) (err error) {
	if p.event, err = p.events.Look(ctx, tx, id); err != nil {
		return err
	}
	e := p.event
	if err := p.mayBlock(ctx, tx, e); err != nil {
		return err
	}
	if p.hashes, err = p.secrets.Hashes(e.Secret); err != nil {
		return err
	}
	links, err := p.events.Forms.Links(ctx, tx, e.Key)
	if err != nil {
		return err
	}
	p.whole, p.asks = e.Held, events.AsksToAgree(links, e.ID)
	if err := p.decide(ctx, tx); err != nil {
		return err
	}
	if err := p.vault.DropPrepared(ctx, tx, reader.Ref(e)); err != nil {
		return err
	}
	ref, halves := reader.Ref(e), !p.policy.OfficersOnly
	if p.kept, err = p.vault.Prepare(ctx, tx, ref, vault.Kept, halves); err != nil {
		return err
	}
	if p.asks {
		made, err := p.vault.Prepare(ctx, tx, ref, vault.Doubt, halves)
		if err != nil {
			return err
		}
		p.doubt = &made
	}
	if p.whole || len(p.heldOnly) > 0 {
		made, err := p.vault.Prepare(ctx, tx, ref, vault.Held, halves)
		if err != nil {
			return err
		}
		p.held = &made
	}
	return nil
}

// mayBlock is nil where an event may be blocked now.
func (s *Store) mayBlock(ctx context.Context, q db.Queryer, e events.Event) error {
	switch {
	case e.State != attendees.Open:
		return fmt.Errorf("event %s is %s already", e.ID, e.State)
	case !e.Past(s.now()):
		return &TooEarlyError{e.ID, "blocked", e.BlockOn}
	}
	begun, err := s.Started(ctx)
	if err != nil {
		return err
	}
	if begun.IsZero() {
		return ErrNotStarted
	}
	sources, err := s.events.SourcesOf(ctx, q, e)
	if err != nil || sources.Dry {
		return err
	}
	since := e.BlockedFrom()
	for _, t := range []time.Time{begun, time.Date(e.FirstSeenOn.Year, e.FirstSeenOn.Month, e.FirstSeenOn.Day, 0, 0, 0, 0, time.UTC)} {
		if since.Before(t) {
			since = t
		}
	}
	if until := since.Add(sourcesFor); s.now().Before(until) {
		if sources.Failing.IsZero() {
			until = time.Time{}
		}
		return &NotYetError{e.ID, until}
	}
	return nil
}

// decide finds who is in doubt: all who never agreed where more than half did not, a source
// could not be read, or more than a handful of unmatched responses say yes. Otherwise only
// those with an open claim that says yes.
func (p *preparation) decide(ctx context.Context, tx db.Tx) error {
	e := p.event
	var n struct {
		All     int `db:"n"`
		Agreed  int `db:"agreed"`
		Strayed int `db:"strayed"`
	}
	err := db.Get(ctx, tx, &n, `
		select count(*) as n, count(*) filter (where agreed or counts_as_agreed) as agreed,
			(select count(*) from responses where event_id = $1 and attendee_id is null and agreed) as strayed
		from attendees
		where event_id = $1`, e.Key)
	if err != nil {
		return err
	}
	sources, err := p.events.SourcesOf(ctx, tx, e)
	if err != nil {
		return err
	}
	p.ask = p.asks && n.All > 0 && (2*n.Agreed < n.All || !sources.Dry || n.Strayed > people.Handful(n.All))
	p.claims, p.heldOnly = map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for what, query := range map[*map[uuid.UUID]bool]string{
		&p.claims: `
			select distinct a.id
			from responses r
			join attendees a on a.id between r.claims and overlay(r.claims::text placing 'ff' from 35)::uuid
			where r.event_id = $1 and r.attendee_id is null and r.agreed and a.standing <> 'gone'`,
		&p.heldOnly: `select hash from bars where event_id = $1 and what = 'held'`,
	} {
		var ids []uuid.UUID
		if err := db.Select(ctx, tx, &ids, query, e.Key); err != nil {
			return err
		}
		for _, id := range ids {
			(*what)[id] = true
		}
	}
	return nil
}

// sweepEarlier deletes what earlier preparations have left: their keys are gone.
func (p *preparation) sweepEarlier(ctx context.Context) error {
	for {
		n, err := db.Exec(ctx, p.pool, `
			delete from records
			where ctid = any(array(
				select r.ctid
				from records r
				where r.event_id = $1 and r.kind in ('kept', 'doubt', 'held')
				  and not exists (select from keys k where k.event_id = $1 and k.name = r.kind and k.generation = r.generation)
				limit $2))`, p.event.Key, writeBatch)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	_, err := db.Exec(ctx, p.pool, `delete from upstream where event_id = $1 and due_at is null and told_at is null`, p.event.Key)
	return err
}

// look finds which addresses several people share: a group order, attending or former
// holders; not a cancelled ticket of the same name.
func (p *preparation) look(ctx context.Context, tx db.Tx) error {
	p.shared = map[string]bool{}
	var ids []uuid.UUID
	err := db.Select(ctx, tx, &ids, `
		select a.id
		from attendees a
		join (
			select address_index
			from attendees
			where event_id = $1 and address_index <> ''
			group by address_index
			having count(*) > 1
		) as twice on twice.address_index = a.address_index
		where a.event_id = $1`, p.event.Key)
	if err != nil || len(ids) == 0 {
		return err
	}
	several, err := p.reader.These(ctx, tx, p.event, ids)
	if err != nil {
		return err
	}
	type group struct {
		live  int
		names map[string]bool
	}
	groups := map[string]*group{}
	for _, one := range several {
		g := groups[string(one.AddressIndex)]
		if g == nil {
			g = &group{names: map[string]bool{}}
			groups[string(one.AddressIndex)] = g
		}
		if one.Standing == attendees.Attending || one.Standing == attendees.Gone {
			g.live++
		}
		g.names[seal.FoldName(one.Merged(p.policy).Name.Reveal())] = true
	}
	for index, g := range groups {
		p.shared[index] = g.live > 1 || len(g.names) > 1
	}
	return nil
}

// end stores what the preparation came to, if nobody wrote meanwhile.
func (p *preparation) end(ctx context.Context, tx db.Tx) error {
	e, err := p.events.Look(ctx, tx, p.event.ID)
	if err != nil {
		return err
	}
	if e.Version != p.event.Version || e.State != attendees.Open {
		return ErrChanged
	}
	text, err := json.Marshal(suppressed(p.counts))
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, tx, `
		insert into preparations (event_id, ask, sealed, doubted, dropped, counts)
		values ($1, $2, $3, $4, $5, $6)
		on conflict (event_id) do update set ask = excluded.ask, sealed = excluded.sealed, doubted = excluded.doubted,
			dropped = excluded.dropped, counts = excluded.counts`,
		e.Key, p.ask && p.doubted > 0, p.sealed, p.doubted, p.dropped, p.secrets.SealText(countsPlace(e.Key), text))
	if err != nil {
		return err
	}
	return p.events.Prepared(ctx, tx, e)
}
