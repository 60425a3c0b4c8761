package people

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
)

// attendeeRow is one attendee as stored.
type attendeeRow struct {
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
	Layer          []byte               `db:"layer"`
}

const attendeeColumns = `a.id, a.source, a.standing, a.state, a.reason, a.address_index, a.name_hash, a.shared, a.agreed, a.counts_as_agreed, a.layer`

// responseRow is one response as stored.
type responseRow struct {
	ID           uuid.UUID        `db:"id"`
	Form         attendees.FormID `db:"form_id"`
	Attendee     *uuid.UUID       `db:"attendee_id"`
	Claims       *uuid.UUID       `db:"claims"`
	MatchedBy    string           `db:"matched_by"`
	AddressIndex []byte           `db:"address_index"`
	Agreed       bool             `db:"agreed"`
	Layer        []byte           `db:"layer"`
}

const responseColumns = `r.id, r.form_id, r.attendee_id, r.claims, r.matched_by, r.address_index, r.agreed, r.layer`

// flush derives and writes all that changed on the sheet: one statement for each table and
// kind of change, in the order of the keys, so that row order tells nothing.
func (sh *sheet) flush(ctx context.Context) error {
	var fresh, changed []*person
	var gone, uncorrected []uuid.UUID
	var corrected []*person
	for _, p := range sh.people {
		switch {
		case p.removed && !p.fresh:
			gone = append(gone, p.ID)
			uncorrected = append(uncorrected, p.ID)
			continue
		case p.removed || !p.dirty:
			continue
		}
		sh.derive(p)
		if p.fresh {
			fresh = append(fresh, p)
		} else {
			changed = append(changed, p)
		}
		switch {
		case p.corrected && p.correction.IsZero():
			uncorrected = append(uncorrected, p.ID)
		case p.corrected:
			corrected = append(corrected, p)
		}
	}
	var freshAnswers, changedAnswers []*answer
	var goneAnswers []uuid.UUID
	for _, a := range sh.answers {
		switch {
		case a.removed && !a.fresh:
			goneAnswers = append(goneAnswers, a.ID)
		case a.removed || !a.dirty:
		case a.fresh:
			freshAnswers = append(freshAnswers, a)
		default:
			changedAnswers = append(changedAnswers, a)
		}
	}
	for _, step := range []func() error{
		func() error { return sh.remove(ctx, "attendees", gone) },
		func() error { return sh.remove(ctx, "responses", goneAnswers) },
		func() error { return sh.uncorrect(ctx, uncorrected) },
		func() error { return sh.insertPeople(ctx, fresh) },
		func() error { return sh.updatePeople(ctx, changed) },
		func() error { return sh.insertAnswers(ctx, freshAnswers) },
		func() error { return sh.updateAnswers(ctx, changedAnswers) },
		func() error { return sh.saveCorrections(ctx, corrected) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func byID[T any](all []T, id func(T) uuid.UUID) []T {
	slices.SortFunc(all, func(a, b T) int {
		x, y := id(a), id(b)
		return bytes.Compare(x[:], y[:])
	})
	return all
}

// layerOf seals what an attendee's registration says; null of one who is restricted.
func (sh *sheet) layerOf(p *person) []byte {
	if p.State != attendees.Open || p.registration.IsZero() {
		return nil
	}
	return sh.seal(p.ID, p.registration)
}

func (a *answer) seal(sh *sheet) {
	if a.layer.IsZero() { // its attendee is restricted
		a.Layer = nil
		return
	}
	a.Agreed, a.AddressIndex, a.Layer = a.layer.Agreed(), sh.address(a.layer.Email()), sh.seal(a.ID, a.layer)
}

func (sh *sheet) today() string { return attendees.DateOf(sh.store.now().UTC()).String() }

func (sh *sheet) insertPeople(ctx context.Context, all []*person) (err error) {
	if len(all) == 0 {
		return nil
	}
	copied, err := sh.tx.PrepareContext(ctx, `copy attendees (id, event_id, source, standing, state, reason, address_index, name_hash, shared, agreed, counts_as_agreed, version, came_on, layer) from stdin`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	today := sh.today()
	event := sh.Key.String()
	for _, p := range byID(all, func(p *person) uuid.UUID { return p.ID }) {
		_, err := copied.ExecContext(ctx, p.ID.String(), event, string(p.Source), string(p.Standing), string(p.State), string(p.Reason), p.AddressIndex, db.Bytes(p.NameHash),
			p.Shared, p.Agreed, p.CountsAsAgreed, sh.Version, today, db.Bytes(sh.layerOf(p)))
		if err != nil {
			return err
		}
	}
	_, err = copied.ExecContext(ctx)
	return err
}

func (sh *sheet) updatePeople(ctx context.Context, all []*person) error {
	if len(all) == 0 {
		return nil
	}
	var ids, standings, states, reasons pq.StringArray
	var indexes, names, layers pq.ByteaArray
	var shared, agreed, counts pq.BoolArray
	for _, p := range byID(all, func(p *person) uuid.UUID { return p.ID }) {
		ids, standings, states, reasons = append(ids, p.ID.String()), append(standings, string(p.Standing)), append(states, string(p.State)), append(reasons, string(p.Reason))
		indexes, names, layers = append(indexes, p.AddressIndex), append(names, p.NameHash), append(layers, sh.layerOf(p))
		shared, agreed, counts = append(shared, p.Shared), append(agreed, p.Agreed), append(counts, p.CountsAsAgreed)
	}
	_, err := db.Exec(ctx, sh.tx, `
		update attendees a
		set standing = u.standing, state = u.state, reason = u.reason, address_index = u.address_index, name_hash = nullif(u.name_hash, ''),
		    shared = u.shared, agreed = u.agreed, counts_as_agreed = u.counts_as_agreed, version = $11, layer = nullif(u.layer, '')
		from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bool[], $8::bool[], $9::bool[], $10::bytea[])
			as u (id, standing, state, reason, address_index, name_hash, shared, agreed, counts_as_agreed, layer)
		where a.id = u.id`, ids, standings, states, reasons, indexes, names, shared, agreed, counts, layers, sh.Version)
	return err
}

func (sh *sheet) insertAnswers(ctx context.Context, all []*answer) (err error) {
	if len(all) == 0 {
		return nil
	}
	copied, err := sh.tx.PrepareContext(ctx, `copy responses (id, event_id, form_id, attendee_id, claims, matched_by, address_index, agreed, version, came_on, layer) from stdin`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	today, event := sh.today(), sh.Key.String()
	for _, a := range byID(all, func(a *answer) uuid.UUID { return a.ID }) {
		a.seal(sh)
		_, err := copied.ExecContext(ctx, a.ID.String(), event, string(a.Form), nullable(a.Attendee), nullable(a.Claims), a.MatchedBy, a.AddressIndex, a.Agreed, sh.Version, today, db.Bytes(a.Layer))
		if err != nil {
			return err
		}
	}
	_, err = copied.ExecContext(ctx)
	return err
}

func (sh *sheet) updateAnswers(ctx context.Context, all []*answer) error {
	if len(all) == 0 {
		return nil
	}
	var ids, how pq.StringArray
	var who, claims []any
	var indexes, layers pq.ByteaArray
	var agreed pq.BoolArray
	for _, a := range byID(all, func(a *answer) uuid.UUID { return a.ID }) {
		a.seal(sh)
		ids, how = append(ids, a.ID.String()), append(how, a.MatchedBy)
		who, claims = append(who, nullable(a.Attendee)), append(claims, nullable(a.Claims))
		indexes, layers, agreed = append(indexes, a.AddressIndex), append(layers, a.Layer), append(agreed, a.Agreed)
	}
	_, err := db.Exec(ctx, sh.tx, `
		update responses r
		set attendee_id = u.attendee_id, claims = u.claims, matched_by = u.matched_by, address_index = u.address_index,
		    agreed = u.agreed, version = $8, layer = nullif(u.layer, '')
		from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::bool[], $7::bytea[])
			as u (id, attendee_id, claims, matched_by, address_index, agreed, layer)
		where r.id = u.id`, ids, pq.Array(who), pq.Array(claims), how, indexes, agreed, layers, sh.Version)
	return err
}

func (sh *sheet) saveCorrections(ctx context.Context, all []*person) error {
	for _, p := range all {
		_, err := db.Exec(ctx, sh.tx, `
			insert into corrections (attendee_id, event_id, version, came_on, layer)
			values ($1, $2, $3, $4::date, $5)
			on conflict (attendee_id) do update set version = excluded.version, came_on = excluded.came_on, layer = excluded.layer`,
			p.ID, sh.Key, sh.Version, sh.today(), sh.seal(p.ID, p.correction))
		if err != nil {
			return err
		}
	}
	return nil
}

func (sh *sheet) uncorrect(ctx context.Context, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := db.Exec(ctx, sh.tx, `delete from corrections where attendee_id = any($1::uuid[])`, texts(ids))
	return err
}

// remove deletes rows, and leaves markers for those who remember the event's people.
func (sh *sheet) remove(ctx context.Context, table string, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	statement := `delete from attendees where id = any($1::uuid[])`
	if table == "responses" {
		statement = `delete from responses where id = any($1::uuid[])`
	}
	if _, err := db.Exec(ctx, sh.tx, statement, texts(ids)); err != nil {
		return err
	}
	_, err := db.Exec(ctx, sh.tx, `
		insert into removed (event_id, id, version, removed_on)
		select $1, id, $3, $4::date
		from unnest($2::uuid[]) as id
		on conflict (event_id, id) do update set version = excluded.version, removed_on = excluded.removed_on`,
		sh.Key, texts(ids), sh.Version, sh.today())
	return err
}

func nullable(id *uuid.UUID) any {
	if id == nil {
		return nil
	}
	return id.String()
}

func texts(ids []uuid.UUID) pq.StringArray {
	all := make(pq.StringArray, len(ids))
	for i, id := range ids {
		all[i] = id.String()
	}
	return all
}

func byteas(all [][]byte) pq.ByteaArray { return all }
