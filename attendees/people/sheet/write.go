package sheet

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// Flush looks whose waiting responses are by now, derives and writes all that changed on the
// sheet, with one statement for each table to delete what was there and one to insert what
// is there now, in the order of the keys, so that row order tells nothing.
func (sh *Sheet) Flush(ctx context.Context) error {
	if err := sh.rematch(ctx); err != nil {
		return err
	}
	for _, p := range sh.People {
		if p.dirty && !p.removed && !p.late() {
			sh.derive(p)
		}
	}
	if err := sh.leaveAddresses(ctx); err != nil {
		return err
	}
	var oldPeople, oldAnswers, removed, unclaimed []uuid.UUID
	var people, corrected []*Person
	var answers, claims []*Answer
	for _, p := range sh.People {
		if p.old() {
			oldPeople = append(oldPeople, p.ID)
		}
		if p.removed {
			removed = append(removed, p.ID)
		}
		if p.fresh() {
			people = append(people, p)
		}
		if p.fresh() && !p.Correction.IsZero() {
			corrected = append(corrected, p)
		}
	}
	for _, a := range sh.Answers {
		if a.old() {
			oldAnswers = append(oldAnswers, a.ID)
		}
		if a.removed && !a.Fresh {
			removed = append(removed, a.ID)
		}
		if a.fresh() {
			answers = append(answers, a)
		}
		if a.claimed != nil && (a.removed || a.Claims == nil) {
			unclaimed = append(unclaimed, *a.claimed)
		}
		if a.asks && !a.removed {
			claims = append(claims, a)
		}
	}
	slices.SortFunc(people, func(a, b *Person) int { return Compare(a.ID, b.ID) })
	slices.SortFunc(answers, func(a, b *Answer) int { return Compare(a.ID, b.ID) })
	for _, step := range []func() error{
		func() error { return sh.delete(ctx, `delete from attendees where id = any($1::uuid[])`, oldPeople) },
		func() error {
			return sh.delete(ctx, `delete from corrections where attendee_id = any($1::uuid[])`, oldPeople)
		},
		func() error { return sh.delete(ctx, `delete from responses where id = any($1::uuid[])`, oldAnswers) },
		func() error { return sh.mark(ctx, removed) },
		func() error { return sh.writePeople(ctx, people) },
		func() error { return sh.writeAnswers(ctx, answers) },
		func() error { return sh.writeCorrections(ctx, corrected) },
		func() error { return sh.askAbout(ctx, claims) },
		func() error { return sh.settle(ctx, unclaimed) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (sh *Sheet) delete(ctx context.Context, statement string, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := db.Exec(ctx, sh.Tx, statement, Texts(ids))
	return err
}

// leaveAddresses marks those who have an address that somebody else leaves: whose it was, it
// does not say any more.
func (sh *Sheet) leaveAddresses(ctx context.Context) error {
	var leaving []*Person
	var left pq.ByteaArray
	for _, p := range sh.People {
		if p.Fresh || len(p.index) == 0 {
			continue
		}
		if p.removed && (p.Standing == attendees.Attending || p.Standing == attendees.Gone) || !p.removed && !bytes.Equal(p.index, p.AddressIndex) {
			leaving, left = append(leaving, p), append(left, p.index)
		}
	}
	if err := sh.loadAt(ctx, left); err != nil {
		return err
	}
	for _, p := range leaving {
		for _, other := range sh.sharing(p, p.index) {
			other.dirty = other.dirty || !other.Shared
			other.Shared = true
		}
	}
	return nil
}

// sharing are the other people who have an address: not those with another ticket of the
// same name where one of both does not attend, because it was cancelled and bought again.
func (sh *Sheet) sharing(p *Person, index []byte) (all []*Person) {
	name := sh.nameHash(p)
	for _, o := range sh.at[string(index)] {
		same := (p.Standing != attendees.Attending || o.Standing != attendees.Attending) && len(name) > 0 && bytes.Equal(name, sh.nameHash(o))
		if o != p && !o.removed && bytes.Equal(o.AddressIndex, index) && !same {
			all = append(all, o)
		}
	}
	return all
}

// nameHash is of the name that the registration itself gives: a corrected one does not
// say who the source names.
func (sh *Sheet) nameHash(p *Person) []byte {
	if p.Registration.IsZero() {
		return p.NameHash
	}
	name := p.Registration.Name()
	if name.Empty() {
		name = sh.merged(p).Name
	}
	return sh.hashes.Name(string(sh.Event.ID), name.Reveal())
}

// IsAnother tells that a registration names somebody else than a holder: both name and
// address differ, by their hashes where nobody can read the holder's. What lacks either says
// nothing.
func (sh *Sheet) IsAnother(p *Person, l attendees.Layer) bool {
	hash := func(l attendees.Layer) (name, address []byte) {
		return sh.hashes.Name(string(sh.Event.ID), l.Name().Reveal()), sh.address(l.Email())
	}
	name, address := p.NameHash, p.AddressIndex
	if !p.Registration.IsZero() {
		name, address = hash(p.Registration)
	}
	differ := func(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && !bytes.Equal(a, b) }
	otherName, otherAddress := hash(l)
	return differ(name, otherName) && differ(address, otherAddress)
}

// askAbout asks staff about responses that claim to be somebody's.
func (sh *Sheet) askAbout(ctx context.Context, claims []*Answer) error {
	for _, a := range claims {
		err := sh.desk.Events.Tasks.Ask(ctx, sh.Tx, events.Task{
			Kind: events.TaskClaim, Event: sh.Event.Key, Attendee: *a.Claims, Count: 1, Sealed: sh.desk.Secrets.SealText(events.IDs(sh.Event.Key), []byte(a.Layer.Claims())),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// settle ends the tasks about registrations that no response claims any more.
func (sh *Sheet) settle(ctx context.Context, bases []uuid.UUID) error {
	if len(bases) == 0 {
		return nil
	}
	_, err := db.Exec(ctx, sh.Tx, `
		update tasks t
		set done_at = $4, done_by = 'lethe', sealed = null
		where kind = $1 and event_id = $2 and attendee_id = any($3::uuid[]) and done_at is null
		  and not exists (select from responses where event_id = $2 and claims = t.attendee_id)`,
		events.TaskClaim, sh.Event.Key, Texts(bases), sh.desk.Now())
	return err
}

// row is one attendee as stored.
type row struct {
	ID             uuid.UUID            `db:"id"`
	Source         attendees.SourceName `db:"source"`
	Standing       attendees.Standing   `db:"standing"`
	State          attendees.State      `db:"state"`
	Reason         attendees.Reason     `db:"reason"`
	AddressIndex   []byte               `db:"address_index"`
	NameHash       []byte               `db:"name_hash"`
	Shared         bool                 `db:"shared"`
	Agreed         bool                 `db:"agreed"`
	CountsAsAgreed bool                 `db:"counts_as_agreed"`
	CameOn         attendees.Date       `db:"came_on"`
	Sealed         []byte               `db:"layer"`
	Corrected      []byte               `db:"correction"`
}

const personColumns = `a.id, a.source, a.standing, a.state, a.reason, a.address_index, a.name_hash, a.shared, a.agreed, a.counts_as_agreed, a.came_on, a.layer,
	(select layer from corrections where attendee_id = a.id) as correction`

// answerRow is one response as stored.
type answerRow struct {
	ID           uuid.UUID        `db:"id"`
	Form         attendees.FormID `db:"form_id"`
	Attendee     *uuid.UUID       `db:"attendee_id"`
	Claims       *uuid.UUID       `db:"claims"`
	MatchedBy    string           `db:"matched_by"`
	AddressIndex []byte           `db:"address_index"`
	Agreed       bool             `db:"agreed"`
	CameOn       attendees.Date   `db:"came_on"`
	Sealed       []byte           `db:"layer"`
}

const answerColumns = `r.id, r.form_id, r.attendee_id, r.claims, r.matched_by, r.address_index, r.agreed, r.came_on, r.layer`

func (sh *Sheet) writePeople(ctx context.Context, all []*Person) error {
	event := sh.Event.Key.String()
	return sh.write(ctx, len(all), `copy attendees (id, event_id, source, standing, state, reason, address_index, name_hash, shared, agreed, counts_as_agreed, version, came_on, layer) from stdin`, func(i int) []any {
		p := all[i]
		if p.late() {
			sh.derive(p)
		}
		return []any{
			p.ID.String(), event, string(p.Source), string(p.Standing), string(p.State), string(p.Reason), p.AddressIndex, db.Bytes(p.NameHash),
			p.Shared, p.Agreed, p.CountsAsAgreed, sh.Event.Version, p.CameOn, sh.layer(p.ID, p.Registration),
		}
	})
}

func (sh *Sheet) writeAnswers(ctx context.Context, all []*Answer) error {
	event := sh.Event.Key.String()
	return sh.write(ctx, len(all), `copy responses (id, event_id, form_id, attendee_id, claims, matched_by, address_index, agreed, version, came_on, layer) from stdin`, func(i int) []any {
		a := all[i]
		return []any{
			a.ID.String(), event, string(a.Form), a.Attendee, a.Claims, a.MatchedBy, a.AddressIndex, a.Agreed,
			sh.Event.Version, a.CameOn, sh.layer(a.ID, a.Layer),
		}
	})
}

func (sh *Sheet) writeCorrections(ctx context.Context, all []*Person) error {
	event := sh.Event.Key.String()
	return sh.write(ctx, len(all), `copy corrections (attendee_id, event_id, version, layer) from stdin`, func(i int) []any {
		return []any{all[i].ID.String(), event, sh.Event.Version, sh.layer(all[i].ID, all[i].Correction)}
	})
}

// write inserts n rows, which one processor makes while another sends them.
func (sh *Sheet) write(ctx context.Context, n int, statement string, values func(i int) []any) (err error) {
	if n == 0 {
		return nil
	}
	copied, err := sh.Tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	const ahead = 256 // rows: enough that neither waits for the other
	rows := make(chan []any, ahead)
	go func() {
		defer close(rows)
		for i := range n {
			rows <- values(i)
		}
	}()
	defer func() {
		for range rows { // where it failed, the rest is made for nothing
		}
	}()
	for row := range rows {
		if _, err := copied.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	_, err = copied.ExecContext(ctx)
	return err
}

// mark leaves markers of removed rows for those who remember the event's people.
func (sh *Sheet) mark(ctx context.Context, removed []uuid.UUID) error {
	if len(removed) == 0 {
		return nil
	}
	_, err := db.Exec(ctx, sh.Tx, `
		insert into removed (event_id, id, version, removed_on)
		select $1, id, $3, $4::date
		from unnest($2::uuid[]) as id
		on conflict (event_id, id) do update set version = excluded.version, removed_on = excluded.removed_on`,
		sh.Event.Key, Texts(removed), sh.Event.Version, sh.desk.today())
	return err
}

func (sh *Sheet) layer(id uuid.UUID, l attendees.Layer) any {
	if l.IsZero() {
		return nil
	}
	return sh.cipher.Seal(nil, id, 0, string(l.Origin()), l.Text())
}

// Compare orders keys.
func Compare(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// Texts are keys as PostgreSQL takes an array of them.
func Texts(ids []uuid.UUID) pq.StringArray {
	all := make(pq.StringArray, len(ids))
	for i, id := range ids {
		all[i] = id.String()
	}
	return all
}
