package postgres

import (
	"context"

	"github.com/lib/pq"
)

// Setup is what of a database's own set-up may keep names beside the tables.
type Setup struct {
	Settings map[string]string // by their names in pg_settings; those that are not there are left out
	Slots    []Slot
	// Statements tells whether pg_stat_statements keeps what was asked.
	Statements bool
}

// Slot is a replication slot: it keeps the write-ahead log for somebody.
type Slot struct {
	Name   string `db:"name"`
	Active bool   `db:"active"`
}

// Setup reads how the database logs, archives and replicates; any role may.
func (s *Store) Setup(ctx context.Context, names ...string) (Setup, error) {
	setup := Setup{Settings: map[string]string{}}
	var settings []struct {
		Name  string `db:"name"`
		Value string `db:"setting"`
	}
	err := s.db.SelectContext(ctx, &settings, `select name, setting from pg_settings where name = any($1)`, pq.Array(names))
	if err != nil {
		return setup, quiet("read the database's settings", err)
	}
	for _, v := range settings {
		setup.Settings[v.Name] = v.Value
	}
	err = s.db.SelectContext(ctx, &setup.Slots, `select slot_name as name, active from pg_replication_slots order by slot_name`)
	if err != nil {
		return setup, quiet("list replication slots", err)
	}
	err = s.db.GetContext(ctx, &setup.Statements, `select exists (select from pg_extension where extname = 'pg_stat_statements')`)
	return setup, quiet("look for extensions", err)
}
