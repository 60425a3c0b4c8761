package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// sourcesFor is how long an event whose sources fail waits before it is blocked as it is.
const sourcesFor = 7 * 24 * time.Hour

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

// preparation is one preparation of an event's blocking, or of its deletion while it is open.
type preparation struct {
	*Store
	run      uuid.UUID
	event    events.Event
	leaving  bool // its delete date has come: nothing but holds keeps anybody
	whole    bool // the event is on hold: everything of everybody is sealed
	asks     bool // a link fills agreed: without a yes there is no contract
	ask      bool // all who never agreed are in doubt, and staff are asked
	keys     map[vault.Name]vault.Sealer
	shared   map[string]bool    // address indexes of several people
	claims   map[uuid.UUID]bool // attendees with an open claim that says yes
	heldOnly map[uuid.UUID]bool // attendees who are on hold by themselves
	hashes   seal.Hashes

	mu                       sync.Mutex // of what is counted
	sealed, doubted, dropped int
	counts                   map[string]int
}

// Prepare seals what is kept of an event while it is still open, in batches, and holds no
// lock meanwhile. It destroys the keys of earlier preparations first, so that it always
// begins at the beginning, and belongs to one version of the event: ErrChanged where
// somebody wrote, or prepared it too, meanwhile.
func (s *Store) Prepare(ctx context.Context, id attendees.EventID) error {
	return s.prepare(ctx, id, false)
}

func (s *Store) prepare(ctx context.Context, id attendees.EventID, leaving bool) (err error) {
	defer db.Wrap(&err, "prepare the blocking of event %s", id)
	p := &preparation{Store: s, run: uuid.New(), leaving: leaving, keys: map[vault.Name]vault.Sealer{}, counts: map[string]int{}}
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
		if err := p.decide(ctx, tx); err != nil {
			return err
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

// begin makes the keys of a preparation, for which it has the event's row for a moment.
func (p *preparation) begin(ctx context.Context, tx db.Tx, id attendees.EventID) (err error) {
	if p.event, err = p.events.Look(ctx, tx, id); err != nil {
		return err
	}
	e := p.event
	may := p.mayBlock
	if p.leaving {
		may = p.mayDelete
	}
	if err := may(ctx, tx, e); err != nil {
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
	if p.heldOnly, err = p.set(ctx, tx, `select hash from bars where event_id = $1 and what = 'held'`); err != nil {
		return err
	}
	if err := p.vault.DropPrepared(ctx, tx, reader.Ref(e)); err != nil {
		return err
	}
	for name, needed := range map[vault.Name]bool{
		vault.Kept:  !p.leaving && p.policy.Keeps(),
		vault.Doubt: !p.leaving && p.policy.Keeps() && p.asks,
		vault.Held:  p.whole || len(p.heldOnly) > 0,
	} {
		if !needed {
			continue
		}
		if p.keys[name], err = p.vault.Prepare(ctx, tx, reader.Ref(e), name, !p.policy.OfficersOnly); err != nil {
			return err
		}
	}
	_, err = db.Exec(ctx, tx, `
		insert into preparations (event_id, run)
		values ($1, $2)
		on conflict (event_id) do update set run = excluded.run, version = null`, e.Key, p.run)
	return err
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
	if err := s.vault.Sealable(); err != nil {
		return err
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
// those whom a response that says yes may belong to: it names them, or gives their address.
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
	p.claims, err = p.set(ctx, tx, `
		select max(a.id::text)::uuid -- the present holder
		from responses r
		join attendees a on a.id between r.claims and overlay(r.claims::text placing 'ff' from 35)::uuid
		where r.event_id = $1 and r.attendee_id is null and r.agreed
		group by r.claims
		union
		select a.id -- who may have given it, among those who share its address
		from responses r
		join attendees a on a.event_id = r.event_id and a.address_index = r.address_index
		where r.event_id = $1 and r.attendee_id is null and r.agreed and r.address_index <> ''`)
	return err
}

func (p *preparation) set(ctx context.Context, tx db.Tx, query string) (map[uuid.UUID]bool, error) {
	var ids []uuid.UUID
	err := db.Select(ctx, tx, &ids, query, p.event.Key)
	set := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set, err
}

// sweepEarlier deletes what earlier preparations have left: records whose keys are gone, and
// ids at sources of responses that are stored still. Those of an earlier blocking stay.
func (p *preparation) sweepEarlier(ctx context.Context) error {
	if err := p.dropDead(ctx, p.event); err != nil {
		return err
	}
	_, err := db.Exec(ctx, p.pool, `
		delete from upstream u
		where u.event_id = $1
		  and (exists (select from responses r where r.id = u.id)
			or u.due_at is null and exists (select from attendees a where a.id = u.attendee_id and a.state <> 'blocked'))`, p.event.Key)
	return err
}

// dropDead deletes records whose key is destroyed.
func (s *Store) dropDead(ctx context.Context, e events.Event) error {
	_, err := db.Exec(ctx, s.pool, `
		delete from records r
		where r.event_id = $1 and r.kind in ('kept', 'doubt', 'held')
		  and not exists (select from keys k where k.event_id = $1 and k.name = r.kind and k.generation = r.generation)`, e.Key)
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
	live, names := map[string]int{}, map[string]string{}
	for _, one := range several {
		index, name := string(one.AddressIndex), seal.FoldName(one.Merged(p.policy).Name.Reveal())
		if one.Standing == attendees.Attending || one.Standing == attendees.Gone {
			live[index]++
		}
		before, seen := names[index]
		names[index] = name
		p.shared[index] = p.shared[index] || live[index] > 1 || seen && before != name
	}
	return nil
}

// end stores what the preparation came to, if nobody wrote meanwhile, or prepares it too.
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
	generations := pq.ByteaArray{}
	for name, k := range p.keys {
		if name != vault.Doubt || p.doubted > 0 {
			generations = append(generations, k.Cipher.Generation())
		}
	}
	n, err := db.Exec(ctx, tx, `
		update preparations
		set version = $3, generations = $4, sealed = $5, doubted = $6, dropped = $7, counts = $8
		where event_id = $1 and run = $2`,
		e.Key, p.run, e.Version, generations, p.sealed, p.doubted, p.dropped, p.secrets.SealText(countsPlace(e.Key), text))
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return err
}

// prepared is what a finished preparation came to.
type prepared struct {
	Generations pq.ByteaArray `db:"generations"`
	Keeps       pq.ByteaArray `db:"keeps"`
	Sealed      int64         `db:"sealed"`
	Doubted     int64         `db:"doubted"`
	Dropped     int64         `db:"dropped"`
}

// prepared reads it for a caller who has just raised the event's version; ErrChanged where
// there is none for the version before.
func (s *Store) prepared(ctx context.Context, tx db.Tx, e events.Event) (p prepared, err error) {
	var all []prepared
	err = db.Select(ctx, tx, &all, `
		select generations, keeps, sealed, doubted, dropped
		from preparations
		where event_id = $1 and version = $2 - 1`, e.Key, e.Version)
	if err == nil && (len(all) == 0 || e.State != attendees.Open) {
		err = ErrChanged
	}
	if err != nil {
		return p, err
	}
	return all[0], nil
}
