// Package export writes lists of attendees for a purpose, and remembers what left: each
// export has a receipt, with who was on it until the event is blocked.
//
// An export for a purpose has exactly that purpose's fields, and those attendees for whom
// the purpose has a reason. Start at Store.Write.
package export

import (
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/events"
)

// Store writes exports.
type Store struct {
	pool   *sqlx.DB
	events *events.Store
	policy *attendees.Policy
	now    func() time.Time
}

// New makes a store of exports.
func New(pool *sqlx.DB, e *events.Store, policy *attendees.Policy, now func() time.Time) *Store {
	return &Store{pool: pool, events: e, policy: policy, now: now}
}
