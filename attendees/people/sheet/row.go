package sheet

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
)

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
}

const columns = `a.id, a.source, a.standing, a.state, a.reason, a.address_index, a.name_hash, a.shared, a.agreed, a.counts_as_agreed, a.came_on, a.layer`

// answerRow is one response as stored.
type answerRow struct {
	ID           uuid.UUID        `db:"id"`
	Form         attendees.FormID `db:"form_id"`
	Attendee     *uuid.UUID       `db:"attendee_id"`
	Claims       *uuid.UUID       `db:"claims"`
	MatchedBy    string           `db:"matched_by"`
	AddressIndex []byte           `db:"address_index"`
	Agreed       bool             `db:"agreed"`
	Sealed       []byte           `db:"layer"`
}

const answerColumns = `r.id, r.form_id, r.attendee_id, r.claims, r.matched_by, r.address_index, r.agreed, r.layer`

func (sh *Sheet) insertPeople(ctx context.Context, all []*Person) error {
	today, event := sh.desk.today(), sh.Event.Key.String()
	return sh.copy(ctx, len(all), `copy attendees (id, event_id, source, standing, state, reason, address_index, name_hash, shared, agreed, counts_as_agreed, version, came_on, layer) from stdin`, func(i int) []any {
		p := all[i]
		return []any{
			p.ID.String(), event, string(p.Source), string(p.Standing), string(p.State), string(p.Reason), p.AddressIndex, db.Bytes(p.NameHash),
			p.Shared, p.Agreed, p.CountsAsAgreed, sh.Event.Version, today, db.Bytes(sh.seal(p.ID, p.Registration)),
		}
	})
}

func (sh *Sheet) insertAnswers(ctx context.Context, all []*Answer) error {
	today, event := sh.desk.today(), sh.Event.Key.String()
	return sh.copy(ctx, len(all), `copy responses (id, event_id, form_id, attendee_id, claims, matched_by, address_index, agreed, version, came_on, layer) from stdin`, func(i int) []any {
		a := all[i]
		return []any{
			a.ID.String(), event, string(a.Form), nullable(a.Attendee), nullable(a.Claims), a.MatchedBy, a.AddressIndex, a.Agreed,
			sh.Event.Version, today, db.Bytes(sh.seal(a.ID, a.Layer)),
		}
	})
}

// copy inserts n rows.
func (sh *Sheet) copy(ctx context.Context, n int, statement string, values func(i int) []any) (err error) {
	if n == 0 {
		return nil
	}
	copied, err := sh.tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	for i := range n {
		if _, err := copied.ExecContext(ctx, values(i)...); err != nil {
			return err
		}
	}
	_, err = copied.ExecContext(ctx)
	return err
}

func (sh *Sheet) updatePeople(ctx context.Context, all []*Person) error {
	if len(all) == 0 {
		return nil
	}
	var ids, standings, states, reasons pq.StringArray
	var indexes, names, layers pq.ByteaArray
	var shared, agreed, counts pq.BoolArray
	for _, p := range all {
		ids, standings, states, reasons = append(ids, p.ID.String()), append(standings, string(p.Standing)), append(states, string(p.State)), append(reasons, string(p.Reason))
		indexes, names, layers = append(indexes, p.AddressIndex), append(names, p.NameHash), append(layers, sh.seal(p.ID, p.Registration))
		shared, agreed, counts = append(shared, p.Shared), append(agreed, p.Agreed), append(counts, p.CountsAsAgreed)
	}
	_, err := db.Exec(ctx, sh.tx, `
		update attendees a
		set standing = u.standing, state = u.state, reason = u.reason, address_index = u.address_index, name_hash = nullif(u.name_hash, ''),
		    shared = u.shared, agreed = u.agreed, counts_as_agreed = u.counts_as_agreed, version = $11, layer = nullif(u.layer, '')
		from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bool[], $8::bool[], $9::bool[], $10::bytea[])
			as u (id, standing, state, reason, address_index, name_hash, shared, agreed, counts_as_agreed, layer)
		where a.id = u.id`, ids, standings, states, reasons, indexes, names, shared, agreed, counts, layers, sh.Event.Version)
	return err
}

func (sh *Sheet) updateAnswers(ctx context.Context, all []*Answer) error {
	if len(all) == 0 {
		return nil
	}
	var ids, how pq.StringArray
	var who, claims []any
	var indexes, layers pq.ByteaArray
	var agreed pq.BoolArray
	for _, a := range all {
		ids, how = append(ids, a.ID.String()), append(how, a.MatchedBy)
		who, claims = append(who, nullable(a.Attendee)), append(claims, nullable(a.Claims))
		indexes, layers, agreed = append(indexes, a.AddressIndex), append(layers, sh.seal(a.ID, a.Layer)), append(agreed, a.Agreed)
	}
	_, err := db.Exec(ctx, sh.tx, `
		update responses r
		set attendee_id = u.attendee_id, claims = u.claims, matched_by = u.matched_by, address_index = u.address_index,
		    agreed = u.agreed, version = $8, layer = nullif(u.layer, '')
		from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::bool[], $7::bytea[])
			as u (id, attendee_id, claims, matched_by, address_index, agreed, layer)
		where r.id = u.id`, ids, pq.Array(who), pq.Array(claims), how, indexes, agreed, layers, sh.Event.Version)
	return err
}

func (sh *Sheet) writeCorrections(ctx context.Context, all []*Person) error {
	var none []uuid.UUID
	for _, p := range all {
		if p.removed || p.Correction.IsZero() {
			none = append(none, p.ID)
			continue
		}
		_, err := db.Exec(ctx, sh.tx, `
			insert into corrections (attendee_id, event_id, version, came_on, layer)
			values ($1, $2, $3, $4::date, $5)
			on conflict (attendee_id) do update set version = excluded.version, came_on = excluded.came_on, layer = excluded.layer`,
			p.ID, sh.Event.Key, sh.Event.Version, sh.desk.today(), sh.seal(p.ID, p.Correction))
		if err != nil {
			return err
		}
	}
	if len(none) == 0 {
		return nil
	}
	_, err := db.Exec(ctx, sh.tx, `delete from corrections where attendee_id = any($1::uuid[])`, Texts(none))
	return err
}

// deleteRows deletes attendees and responses, and leaves markers for those who remember the
// event's people.
func (sh *Sheet) deleteRows(ctx context.Context, people, answers []uuid.UUID) error {
	if len(people)+len(answers) == 0 {
		return nil
	}
	if _, err := db.Exec(ctx, sh.tx, `delete from attendees where id = any($1::uuid[])`, Texts(people)); err != nil {
		return err
	}
	if _, err := db.Exec(ctx, sh.tx, `delete from responses where id = any($1::uuid[])`, Texts(answers)); err != nil {
		return err
	}
	_, err := db.Exec(ctx, sh.tx, `
		insert into removed (event_id, id, version, removed_on)
		select $1, id, $3, $4::date
		from unnest($2::uuid[]) as id
		on conflict (event_id, id) do update set version = excluded.version, removed_on = excluded.removed_on`,
		sh.Event.Key, Texts(append(people, answers...)), sh.Event.Version, sh.desk.today())
	return err
}

func nullable(id *uuid.UUID) any {
	if id == nil {
		return nil
	}
	return id.String()
}

// Texts are keys as PostgreSQL takes an array of them.
func Texts(ids []uuid.UUID) pq.StringArray {
	all := make(pq.StringArray, len(ids))
	for i, id := range ids {
		all[i] = id.String()
	}
	return all
}
