package sheet

import (
	"bytes"
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
			p.Shared, p.Agreed, p.CountsAsAgreed, sh.Event.Version, sh.since(p.CameOn), sh.layer(p.ID, p.Registration),
		}
	})
}

func (sh *Sheet) writeAnswers(ctx context.Context, all []*Answer) error {
	event := sh.Event.Key.String()
	return sh.write(ctx, len(all), `copy responses (id, event_id, form_id, attendee_id, claims, matched_by, address_index, agreed, version, came_on, layer) from stdin`, func(i int) []any {
		a := all[i]
		return []any{
			a.ID.String(), event, string(a.Form), nullable(a.Attendee), nullable(a.Claims), a.MatchedBy, a.AddressIndex, a.Agreed,
			sh.Event.Version, sh.since(a.CameOn), sh.layer(a.ID, a.Layer),
		}
	})
}

func (sh *Sheet) writeCorrections(ctx context.Context, all []*Person) error {
	event := sh.Event.Key.String()
	return sh.write(ctx, len(all), `copy corrections (attendee_id, event_id, version, came_on, layer) from stdin`, func(i int) []any {
		return []any{all[i].ID.String(), event, sh.Event.Version, sh.desk.today(), sh.layer(all[i].ID, all[i].Correction)}
	})
}

// since is the day on which something came: today, where it comes now.
func (sh *Sheet) since(came attendees.Date) string {
	if came.IsZero() {
		return sh.desk.today()
	}
	return came.String()
}

// write inserts n rows.
func (sh *Sheet) write(ctx context.Context, n int, statement string, values func(i int) []any) (err error) {
	if n == 0 {
		return nil
	}
	copied, err := sh.Tx.PrepareContext(ctx, statement)
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

func nullable(id *uuid.UUID) any {
	if id == nil {
		return nil
	}
	return id.String()
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
