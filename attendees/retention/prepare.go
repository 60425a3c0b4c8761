package retention

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"

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

// ErrChanged says that somebody wrote to an event while it was prepared: it is prepared again.
var ErrChanged = errors.New("it changed while its blocking was prepared: the next run prepares it again")

// preparation is one preparation of an event's blocking.
type preparation struct {
	*Store
	run     uuid.UUID
	event   events.Event
	leaving bool // its delete date has come: nothing but holds keeps anybody
	asks    bool // a link fills agreed: without a yes there is no contract
	ask     bool // all who never agreed are in doubt, and staff are asked
	keys    map[vault.Name]vault.Sealer
	shared  map[string]bool    // address indexes of several people
	claims  map[uuid.UUID]bool // attendees with an open claim that says yes
	held    map[uuid.UUID]bool // attendees who are on hold by themselves
	hashes  seal.Hashes

	mu     sync.Mutex // of what is counted
	total  outcome
	counts map[string]int
}

// outcome is what a preparation came to, in attendees.
type outcome struct {
	Sealed  int `db:"sealed"`
	Doubted int `db:"doubted"`
	Dropped int `db:"dropped"`
}

// Prepare seals what is kept of an event while it is still open, in batches, and holds no
// lock meanwhile. It destroys the keys of earlier preparations first, so that it always
// begins at the beginning, and belongs to one version of the event: ErrChanged where
// somebody wrote, or prepared it too, meanwhile.
func (s *Store) Prepare(ctx context.Context, id attendees.EventID) (err error) {
	defer db.Wrap(&err, "prepare the blocking of event %s", id)
	p := &preparation{Store: s, run: uuid.New(), keys: map[vault.Name]vault.Sealer{}, counts: map[string]int{}}
	if err := db.InTx(ctx, s.pool, func(tx db.Tx) error { return p.begin(ctx, tx, id) }); err != nil {
		return err
	}
	if err := s.sweep(ctx, p.event, dropDead); err != nil { // of earlier preparations
		return err
	}
	err = db.Snapshot(ctx, s.pool, func(tx db.Tx) error {
		for _, step := range []func(context.Context, db.Tx) error{p.decide, p.look, p.fill} {
			if err := step(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !(p.leaving && errors.Is(err, vault.ErrDestroyed)) { // damage keeps nobody from being deleted
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
	if err := p.mayEnd(ctx, tx, e); err != nil {
		return err
	}
	if p.hashes, err = p.secrets.Hashes(e.Secret); err != nil {
		return err
	}
	links, err := p.events.Forms.Links(ctx, tx, e.Key)
	if err != nil {
		return err
	}
	p.leaving, p.asks = e.Expired(p.now()), events.AsksToAgree(links, e.ID)
	if p.held, err = p.set(ctx, tx, `select hash from bars where event_id = $1 and what = 'held'`); err != nil {
		return err
	}
	if err := p.vault.DropPrepared(ctx, tx, reader.Ref(e)); err != nil {
		return err
	}
	keeps := !p.leaving && p.policy.Keeps()
	for name, needed := range map[vault.Name]bool{vault.Kept: keeps, vault.Doubt: keeps && p.asks, vault.Held: e.Held || len(p.held) > 0} {
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

// decide finds who is in doubt: all who never agreed where more than half did not, a source
// could not be read, or more than a handful of unmatched responses say yes. Otherwise only
// those who may have sent a response that says yes: it names them, or gives their address.
func (p *preparation) decide(ctx context.Context, tx db.Tx) error {
	var n struct {
		Version int64 `db:"version"`
		All     int   `db:"n"`
		Agreed  int   `db:"agreed"`
		Strayed int   `db:"strayed"`
	}
	err := db.Get(ctx, tx, &n, `
		select count(*) as n, count(*) filter (where agreed or counts_as_agreed) as agreed,
			(select count(*) from responses where event_id = $1 and attendee_id is null and agreed) as strayed,
			(select version from events where id = $1) as version
		from attendees
		where event_id = $1`, p.event.Key)
	if err == nil && n.Version != p.event.Version {
		err = ErrChanged
	}
	if err != nil {
		return err
	}
	sources, err := p.events.SourcesOf(ctx, tx, p.event)
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

// look finds which addresses several people share: a group order, attending or former
// holders; not a cancelled ticket of the same name.
func (p *preparation) look(ctx context.Context, tx db.Tx) error {
	p.shared = map[string]bool{}
	several, err := p.set(ctx, tx, `
		select id
		from (select id, address_index, count(*) over (partition by address_index) from attendees where event_id = $1) as a
		where address_index <> '' and count > 1`)
	if err != nil || len(several) == 0 {
		return err
	}
	all, err := p.reader.These(ctx, tx, p.event, slices.Collect(maps.Keys(several)))
	if err != nil {
		return err
	}
	live, names := map[string]int{}, map[string]string{}
	for _, one := range all {
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
	generations := pq.ByteaArray{}
	for name, k := range p.keys {
		if name != vault.Doubt || p.total.Doubted > 0 {
			generations = append(generations, k.Cipher.Generation())
		}
	}
	counts, err := json.Marshal(suppressed(p.counts))
	if err != nil {
		return err
	}
	n, err := db.Exec(ctx, tx, `
		update preparations
		set version = $3, generations = $4, sealed = $5, doubted = $6, dropped = $7, counts = $8
		where event_id = $1 and run = $2`, e.Key, p.run, e.Version, generations, p.total.Sealed, p.total.Doubted, p.total.Dropped,
		p.secrets.SealText(countsPlace(e), counts))
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return err
}

// prepared is what a finished preparation came to.
type prepared struct {
	Generations pq.ByteaArray `db:"generations"`
	Keeps       pq.ByteaArray `db:"keeps"`
	outcome
}

// prepared reads it for a caller who has just raised the event's version; ErrChanged where
// there is none for the version before.
func (s *Store) prepared(ctx context.Context, tx db.Tx, e events.Event) (p prepared, err error) {
	err = db.Get(ctx, tx, &p, `
		select generations, keeps, sealed, doubted, dropped
		from preparations
		where event_id = $1 and version = $2 - 1`, e.Key, e.Version)
	if errors.Is(err, sql.ErrNoRows) || err == nil && e.State != attendees.Open {
		err = ErrChanged
	}
	return p, err
}
