package vault

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"lethe/attendees/db"
)

// MissingSecretError says that LETHE_SECRET lacks a secret that stored keys or addresses
// need.
type MissingSecretError struct {
	ID     string `db:"secret"` // as seal.Keyring.IDs has it
	Events int    `db:"events"` // how many need it
	First  string `db:"first"`  // one of them, by its id at the source
}

func (e *MissingSecretError) Error() string {
	return fmt.Sprintf("secret %s is missing: %d events need it, %s first. Without it nobody of theirs is found or opened. "+
		"Append it to LETHE_SECRET, separated by a comma", e.ID, e.Events, e.First)
}

// CheckSecrets is nil where every secret is here that an event's index or one of its keys
// needs, else a *MissingSecretError. It is asked before anything else starts.
func (s *Store) CheckSecrets(ctx context.Context) error {
	var missing []MissingSecretError
	err := db.Select(ctx, s.pool, &missing, `
		with needed (event_id, secret) as (
			select id, secret from events where secret <> ''
			union
			select event_id, encode(substr(sealed, 1, 4), 'hex')
			from keys, unnest(array[server, pepper, public_mac]) sealed
			where sealed is not null
		)
		select needed.secret, count(*) as events, min(source_id) as first
		from needed
		join events on id = event_id
		where not needed.secret = any($1)
		group by needed.secret
		order by needed.secret`, pq.Array(s.secrets.IDs()))
	if err != nil {
		return db.Failed("look which secrets are needed", err)
	}
	if len(missing) > 0 {
		return &missing[0]
	}
	return nil
}
