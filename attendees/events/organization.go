package events

import (
	"context"

	"lethe/attendees"
	"lethe/attendees/db"
)

// Organization is an Eventbrite organisation that the token sees.
type Organization struct {
	ID   attendees.OrganizationID `db:"id"`
	Name string                   `db:"name"`
}

// SaveOrganizations stores the organisations that the token sees now, and drops others.
func (s *Store) SaveOrganizations(ctx context.Context, seen []Organization) (err error) {
	defer db.Wrap(&err, "save organisations")
	now := s.now()
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		for _, o := range seen {
			_, err := db.Exec(ctx, tx, `
				insert into organizations (id, name, seen_at)
				values ($1, $2, $3)
				on conflict (id) do update set name = excluded.name, seen_at = excluded.seen_at`, o.ID, o.Name, now)
			if err != nil {
				return err
			}
		}
		_, err := db.Exec(ctx, tx, `delete from organizations where seen_at < $1`, now)
		return err
	})
}

// Organizations lists them by id.
func (s *Store) Organizations(ctx context.Context) (all []Organization, err error) {
	defer db.Wrap(&err, "list organisations")
	err = db.Select(ctx, s.pool, &all, `select id, name from organizations order by id`)
	return all, err
}
