package postgres_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"pgregory.net/rapid"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// pull lets a source list some people, as a listing or a single pull does: known ones, new
// ones, forgotten ones, and such as have moved from the other event.
func (l *life) pull(*rapid.T) {
	id := l.event()
	var who []string
	for range rapid.IntRange(1, 4).Draw(l.T, "people") {
		who = append(who, l.anyone())
	}
	l.list(id, who...)
}

func (l *life) list(id attendees.EventID, people ...string) {
	open := l.look(id).Open(l.clock.now)
	l.upstream = l.upstream.Add(time.Minute)
	var batch []attendees.Minimised
	for _, who := range people {
		r := person(who, string(id), "Person "+who, who+"@example.org")
		r.Changed = l.upstream
		batch = append(batch, l.Policy().Minimise(r, nil))
	}
	ctx := l.world.t.Context()
	err := l.InTx(ctx, func(tx *sqlx.Tx) error {
		_, err := l.Save(ctx, tx, l.sealer, attendees.Eventbrite, batch)
		return err
	})
	if errors.Is(err, postgres.ErrClock) { // who moves takes a hold along, and that is recorded
		return
	}
	l.must(err)
	l.done(nil)
	for _, who := range people {
		s := l.souls[who]
		switch {
		case !open && s != nil && s.event != id:
			s.unsure = true // her source has her elsewhere: she is gone here
		case !open || l.forgotten[who]:
		case s == nil:
			l.souls[who] = l.comer(who, id)
		case s.event != id && s.why == "" && !s.early && l.look(s.event).Open(l.clock.now):
			// Back where she was, what she answered there finds her again.
			l.souls[who] = &soul{event: id, withdrawn: s.withdrawn, moved: true, unsure: s.moved || s.unsure, agreed: s.moved && l.hasAgreed(who)}
			l.moveHolds(who, id)
		case s.event == id && s.why == "":
			s.unsure = s.unsure || s.lab == "" // she may have been gone, and her answers with her
		}
	}
	holds, err := l.Holds(ctx)
	l.must(err)
	for _, h := range holds { // who moved took one along from her event, and who came in met one that waited
		if was, known := l.holds[h.ID]; (!known || was.Waits) && h.Attendee != "" {
			l.holds[h.ID] = h
		}
	}
}

// comer is somebody who comes in: sealed at once, where she was before a backup that does
// not have her was restored.
func (l *life) comer(who string, id attendees.EventID) *soul {
	s := &soul{event: id}
	l.must(l.DB().Get(&s.why, `select reason from attendees where source_id = $1`, who))
	if s.early, s.unsure = s.why != "", s.why != ""; s.early && !l.sealed[who] {
		l.Fatalf("%s comes in sealed (%s), and nobody asked for that", who, s.why)
	}
	return s
}

func (l *life) hasAgreed(who string) bool {
	return l.count(`select count(*) from personal where part = 'registration' and source_id = $1 and agreed_at is not null`, who) > 0
}

func (l *life) moveHolds(who string, to attendees.EventID) {
	for n, h := range l.holds {
		if string(h.Attendee) == who {
			h.Event = to
			l.holds[n] = h
		}
	}
}

// answer lets somebody fill in a form.
func (l *life) answer(*rapid.T) {
	who := l.anyone()
	s := l.souls[who]
	if s == nil {
		return // an answer of somebody who comes later is tried elsewhere
	}
	id := s.event
	l.labs++
	lab := fmt.Sprint("Lab ", l.labs)
	r := response("r"+who, who, "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {attendees.Personal(lab)}})
	l.upstream = l.upstream.Add(time.Minute)
	r.Submitted = l.upstream
	l.world.answer(id, r)
	if s.why != "" || s.early || !l.look(id).Open(l.clock.now) {
		return
	}
	s.agreed = true
	if !s.withdrawn {
		s.lab, s.unsure = lab, l.count(`select count(*) from personal where part = 'registration' and source_id = $1 and status <> 'attending'`, who) > 0
	}
}

// gone lets somebody be gone upstream, as a reconcile finds it.
func (l *life) gone(*rapid.T) {
	who := l.anyone()
	s := l.souls[who]
	if s == nil {
		return
	}
	_, err := l.MarkGone(l.world.t.Context(), l.look(s.event), attendees.Eventbrite, []attendees.AttendeeID{attendees.AttendeeID(who)})
	l.must(err)
	if s.why == "" && l.look(s.event).Open(l.clock.now) {
		s.unsure = true
	}
}

func (l *life) block(*rapid.T) {
	id := l.event()
	before := l.look(id)
	n, err := l.Block(l.world.t.Context(), id, l.sealer)
	var early *postgres.TooEarlyError
	if errors.As(err, &early) || !l.done(err) || before.State != attendees.Active {
		return
	}
	if n.Coming { // it was to be read anew, and its day came first
		n = l.comeIn(id)
	}
	all, agreed := 0, 0
	for _, s := range l.souls {
		if s.event == id && s.why == "" && !s.early {
			all++
			if s.agreed {
				agreed++
			}
		}
	}
	doubted := id == asksAgreement && 2*agreed < all
	if n.Doubted != doubted {
		l.Fatalf("of %d people %d agreed: doubted %v", all, agreed, n.Doubted)
	}
	l.doubted[id] = doubted
	if id != asksAgreement || doubted {
		return
	}
	dropped := l.leave(id, func(who string, s *soul) bool { return s.why == "" && !s.early && !s.agreed && !l.stands(id, who) })
	if n.Dropped != dropped {
		l.Fatalf("%d were dropped, want %d without an agreement", n.Dropped, dropped)
	}
}

// doubt answers the fuse of an event of which too few agreed.
func (l *life) doubt(*rapid.T) {
	id := asksAgreement
	drop := rapid.Bool().Draw(l.T, "drop")
	_, err := l.AnswerDoubt(l.world.t.Context(), id, drop, "looked at", "ops")
	if e := l.look(id); !l.doubted[id] || e.State != attendees.Blocked || e.BlockedAt == nil {
		if err == nil {
			l.Fatal("where nothing is in doubt an answer is taken")
		}
		return
	}
	if !l.done(err) {
		return
	}
	l.doubted[id] = false
	if !drop {
		for _, s := range l.souls {
			s.stays = s.stays || s.event == id
		}
		return
	}
	l.leave(id, l.unkept)
}

// unkept tells who never agreed and is kept by nothing else.
func (l *life) unkept(who string, s *soul) bool {
	return !s.agreed && !s.stays && !s.restricted() && !l.stands(s.event, who)
}

func (l *life) delete(*rapid.T) {
	id := l.event()
	n, err := l.Delete(l.world.t.Context(), id)
	if n > 0 && l.look(id).Today(l.clock.now).Before(l.earliest[id]) {
		l.Fatalf("%d of event %s went before %s, which is the earliest that any plan said", n, id, l.earliest[id])
	}
	if err != nil {
		if n > 0 {
			l.Fatalf("%d went although it failed: %v", n, err)
		}
		return
	}
	l.done(nil)
	if want := l.leave(id, func(who string, s *soul) bool { return !s.restricted() && !l.stands(id, who) }); want != n {
		l.Fatalf("%d of event %s went, want %d", n, id, want)
	}
}

func (l *life) forget(*rapid.T) {
	who := l.anyone()
	_, err := l.Forget(l.world.t.Context(), attendees.AttendeeID(who), "asked")
	if l.refused(who, err) {
		return
	}
	delete(l.souls, who)
	l.forgotten[who] = true
}

// refused tells whether a request about somebody was refused, and that it was rightly.
func (l *life) refused(who string, err error) bool {
	var unknown *postgres.UnknownAttendeeError
	var held *postgres.HeldError
	s := l.souls[who]
	switch {
	case errors.As(err, &unknown):
		if s != nil {
			l.Fatalf("%s is held and not known", who)
		}
		return true
	case errors.As(err, &held):
		if !l.stands(s.event, who) {
			l.Fatalf("%s is under no hold and is refused for one", who)
		}
		return true
	}
	if !l.done(err) {
		return true
	}
	if l.stands(s.event, who) {
		l.Fatalf("%s was erased under a hold", who)
	}
	return false
}

func (l *life) erase(*rapid.T) {
	who := l.anyone()
	out, err := l.Erase(l.world.t.Context(), attendees.AttendeeID(who), "asked", l.sealer)
	if l.refused(who, err) {
		return
	}
	s := l.souls[who]
	duty := s.event != asksAgreement || s.agreed || s.stays
	if out.Whole && (s.event != asksAgreement || s.agreed) {
		l.Fatalf("%s was erased as a whole, although a duty keeps her", who)
	}
	if out.Whole {
		delete(l.souls, who)
		l.forgotten[who] = true
		return
	}
	if !duty && l.look(s.event).State == attendees.Active && !s.early {
		l.Fatalf("%s never agreed and was kept", who)
	}
	s.why, s.early, s.lab, l.sealed[who] = attendees.ErasureAsked, true, "", true
}

func (l *life) restrict(*rapid.T) {
	who := l.anyone()
	why := rapid.SampledFrom([]attendees.Reason{attendees.RestrictionAsked, attendees.Objected}).Draw(l.T, "why")
	_, err := l.Restrict(l.world.t.Context(), attendees.AttendeeID(who), why, l.sealer)
	s := l.souls[who]
	var unknown *postgres.UnknownAttendeeError
	if errors.As(err, &unknown) && s == nil || errors.Is(err, postgres.ErrErased) && s.why == attendees.ErasureAsked || !l.done(err) {
		return
	}
	if readable := s.why == "" && !s.early && l.look(s.event).BlockedAt == nil; !readable {
		s.unsure = true // what no duty keeps may have gone long ago
	}
	s.why, s.early, l.sealed[who] = why, true, true
}

// lift lifts a restriction, by the person's own visit where she still can, else by the
// officer's key.
func (l *life) lift(*rapid.T) {
	who := l.anyone()
	s := l.souls[who]
	if s == nil || !s.restricted() {
		return
	}
	ctx, id := l.world.t.Context(), attendees.AttendeeID(who)
	err := seal.ErrKey
	if rapid.Bool().Draw(l.T, "own visit") {
		err = l.Lift(ctx, id, l.OpenedBy(attendees.Personal(who+"@example.org")), "told")
	}
	if errors.Is(err, seal.ErrKey) {
		err = l.Lift(ctx, id, openedWith(l.officer), "told")
	}
	if !l.done(err) {
		return
	}
	s.why = ""
	if l.look(s.event).Open(l.clock.now) {
		s.early = false
		if s.withdrawn {
			s.lab, s.unsure = "", s.unsure || l.stands(s.event, who)
		}
	}
}

func (l *life) withdraw(*rapid.T) {
	who := l.anyone()
	_, err := l.Withdraw(l.world.t.Context(), attendees.AttendeeID(who), attendees.Forum)
	s := l.souls[who]
	var unknown *postgres.UnknownAttendeeError
	if errors.As(err, &unknown) && s == nil || !l.done(err) {
		return
	}
	if s.why == "" && !s.early { // what a hold keeps goes with the sweep after it
		s.lab, s.unsure = "", l.stands(s.event, who) || s.withdrawn && s.unsure
	}
	s.withdrawn = true
}

func (l *life) hold(*rapid.T) {
	id, who := l.event(), ""
	if rapid.Bool().Draw(l.T, "one person") {
		ids := slices.Sorted(maps.Keys(l.souls))
		if len(ids) == 0 {
			return
		}
		who = rapid.SampledFrom(ids).Draw(l.T, "who")
		id = l.souls[who].event
	}
	if l.look(id).State == attendees.Deleted {
		return
	}
	h, err := l.AddHold(l.world.t.Context(), id, attendees.AttendeeID(who), fmt.Sprint("claim ", len(l.holds)), "ops", attendees.Date{})
	if l.done(err) {
		l.holds[h.ID] = h
	}
}

func (l *life) release(*rapid.T) {
	ids := slices.Sorted(maps.Keys(l.holds))
	if len(ids) == 0 {
		return
	}
	id := rapid.SampledFrom(ids).Draw(l.T, "hold")
	if l.done(l.ReleaseHold(l.world.t.Context(), id)) {
		delete(l.holds, id)
	}
}

func (l *life) wait(*rapid.T) {
	days := rapid.SampledFrom([]int{1, 20, 60, 400, 3000}).Draw(l.T, "days")
	l.clock.now = l.clock.now.AddDate(0, 0, days)
}

// back sets the clock back, as a wrong host's is.
func (l *life) back(*rapid.T) { l.clock.now = l.clock.now.Add(-36 * time.Hour) }

// plan lets the source describe an event again, under the policy as it is.
func (l *life) plan(id attendees.EventID) {
	e := attendees.Event{
		ID: id, Organization: "900", Name: "Example Days", Status: "live", Zone: "Europe/Berlin", Start: l.ends[id].Add(-8 * time.Hour), End: l.ends[id],
	}
	_, err := l.SaveEvents(l.world.t.Context(), attendees.Eventbrite, []attendees.Event{e})
	l.must(err)
	s, err := l.Policy().Schedule(e, attendees.DateOf(june))
	l.must(err)
	if first, known := l.earliest[id]; !known || s.DeleteOn.Before(first) {
		l.earliest[id] = s.DeleteOn
	}
}

func (l *life) postpone(*rapid.T) {
	id := l.event()
	l.ends[id] = l.ends[id].AddDate(0, 0, rapid.SampledFrom([]int{-200, -10, 10, 200}).Draw(l.T, "days"))
	l.plan(id)
}

// rule changes the policy's retention rule.
func (l *life) rule(*rapid.T) {
	l.Policy().Rule = rapid.SampledFrom([]string{"de-ao-6", "de-ao-10", "us-tx-4"}).Draw(l.T, "rule")
	for _, id := range bothEvents {
		l.plan(id)
	}
}

func (l *life) tidy(*rapid.T) {
	_, err := l.Tidy(l.world.t.Context())
	if !l.done(err) {
		return
	}
	id := asksAgreement
	if l.look(id).BlockedAt != nil && !l.doubted[id] {
		l.leave(id, l.unkept)
	}
}

// backUp makes a backup of the database.
func (l *life) backUp(*rapid.T) {
	name := pgtest.Name(l.world.t, l.DB())
	l.must(l.DB().Close()) // what is connected to is not copied
	then := *l
	then.souls, then.forgotten, then.holds = map[string]*soul{}, maps.Clone(l.forgotten), maps.Clone(l.holds)
	for who, s := range l.souls {
		was := *s
		then.souls[who] = &was
	}
	then.ends, then.earliest, then.doubted = maps.Clone(l.ends), maps.Clone(l.earliest), maps.Clone(l.doubted)
	if l.backup != nil {
		pgtest.Drop(l.world.t, l.backup.name)
	}
	l.backup = &past{name: pgtest.Copy(l.world.t, name), life: then}
	l.reopen(name)
}

func (l *life) reopen(name string) {
	l.world.Store = postgres.New(pgtest.Open(l.world.t, name), l.Keys(), l.Policy(), l.clock.Now)
}

// restore puts the backup in the database's place, and replays the ledger's copy.
func (l *life) restore(*rapid.T) {
	if l.backup == nil {
		return
	}
	name := pgtest.Name(l.world.t, l.DB())
	l.must(l.DB().Close())
	pgtest.Drop(l.world.t, name)
	then := l.backup
	l.reopen(then.name)
	l.backup = nil
	l.replay(then)
}

// replay does again what the ledger says was done since a backup, and takes the model from
// there: all of it must be true again, and nobody else may be missing.
func (l *life) replay(then *past) {
	ctx := l.world.t.Context()
	if _, err := os.Stat(l.copy.Path); err != nil {
		l.souls = then.souls // nothing was done yet
		return
	}
	redone, err := l.Replay(ctx, l.copy, l.sealer)
	if errors.Is(err, postgres.ErrClock) { // the ledger is younger than the clock
		l.clock.now = l.clock.now.AddDate(0, 0, 30)
		redone, err = l.Replay(ctx, l.copy, l.sealer)
	}
	l.must(err)
	l.done(nil)
	l.doubted[asksAgreement] = l.look(asksAgreement).Doubted
	before := l.souls
	l.souls = then.souls
	if redone.Lost > 0 { // openings were pruned years ago: staff are asked whom the entries were about
		before = nil
		maps.DeleteFunc(l.forgotten, func(who string, _ bool) bool {
			ids := pq.ByteaArray(l.Keys().KeyedIDs(string(attendees.Eventbrite), who, ""))
			return l.count(`select count(*) from tombstones where keyed_id = any($1)`, ids) == 0
		})
	}
	for who, s := range l.souls {
		l.recall(who, s, before[who])
	}
	holds, err := l.Holds(ctx)
	l.must(err)
	for _, h := range l.holds {
		again := slices.ContainsFunc(holds, func(o postgres.Hold) bool {
			return o.Reason == h.Reason && o.Attendee == h.Attendee && (h.Attendee != "" || o.Event == h.Event)
		})
		if s := l.souls[string(h.Attendee)]; !again && (h.Attendee == "" || s != nil) {
			l.Fatalf("hold %q is gone after a replay", h.Reason)
		}
	}
	l.holds = map[int]postgres.Hold{}
	for _, h := range holds {
		l.holds[h.ID] = h
	}
	for _, id := range bothEvents {
		l.endAgain(id)
	}
}

// endAgain ends an event that was blocked again and is read once more: its sources have
// nobody else, so nobody goes but who never agreed, where it was in doubt meanwhile.
func (l *life) endAgain(id attendees.EventID) {
	if !l.look(id).SealsAsItComes(l.clock.now) {
		return
	}
	n := l.comeIn(id)
	if n.Dropped > 0 && n.Dropped != l.leave(id, l.unkept) {
		l.Fatalf("event %s, blocked again and read once more, ends as %+v", id, n)
	}
	l.doubted[id] = n.Doubted // blocked once more, it may be in doubt once more
}

// comeIn blocks an event that seals as it comes, when its sources have nobody else.
func (l *life) comeIn(id attendees.EventID) postgres.Blocking {
	for _, statement := range []string{`update events set pulled_at = $1 where source_id = $2`, `update feeds set watermark = $1 where name <> $2`} {
		_, err := l.DB().Exec(statement, l.clock.now, id)
		l.must(err)
	}
	n, err := l.Block(l.world.t.Context(), id, l.sealer)
	l.must(err)
	if n.Coming {
		l.Fatalf("event %s still comes in though all of it was read", id)
	}
	return n
}

// recall takes somebody from a replayed database into the model, or sees why she is not
// in it. was is what was true of her before; nil: nobody knows.
func (l *life) recall(who string, s, was *soul) {
	var rows []struct {
		Event     attendees.EventID `db:"event"`
		Reason    attendees.Reason  `db:"reason"`
		Withdrawn bool              `db:"withdrawn"`
		Readable  *bool             `db:"readable"` // whether she agreed; null: she is not readable
		Sealed    *bool             `db:"sealed"`
	}
	l.must(l.DB().Select(&rows, `
		select e.source_id as event, a.reason, a.withdrawn <> '{}' as withdrawn,
			(select agreed_at is not null from personal p where p.event_id = a.event_id and p.id = a.id) as readable,
			(select agreed from sealed s where s.event_id = a.event_id and s.attendee_id = a.id and part = 'registration') as sealed
		from attendees a
		join events e on e.id = a.event_id
		where a.source_id = $1`, who))
	e := l.look(s.event)
	if len(rows) == 0 {
		if !l.forgotten[who] && e.State == attendees.Active {
			l.Fatalf("%s is lost in a replay", who)
		}
		delete(l.souls, who)
		return
	}
	now := rows[0]
	if was != nil && was.event == now.Event {
		if was.why != now.Reason && was.why != "" || was.withdrawn && !now.Withdrawn {
			l.Fatalf("%s was sealed (%q, withdrawn %v) and is not after a replay (%q, %v)", who, was.why, was.withdrawn, now.Reason, now.Withdrawn)
		}
	}
	*s = soul{event: now.Event, why: now.Reason, withdrawn: now.Withdrawn, moved: true, unsure: true, early: now.Readable == nil}
	switch {
	case now.Readable != nil:
		s.agreed = *now.Readable
	case now.Sealed == nil:
		s.agreed, s.stays = true, true
	default:
		s.agreed = *now.Sealed
	}
}
