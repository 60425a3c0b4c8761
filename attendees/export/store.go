// Package export writes lists of attendees for a purpose, as CSV, JSON or Excel workbooks, and
// remembers what left: each export has a receipt, with who was on it until the event is
// blocked.
//
// An export for a purpose has exactly that purpose's fields, and those attendees that
// the purpose has a reason for. Start at Store.Write, the one way in which a list leaves.
package export

import (
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/reader"
	"lethe/attendees/roster"
)

// Store writes exports.
type Store struct {
	pool    *sqlx.DB
	events  *events.Store
	reader  *reader.Store
	rosters *roster.Store
	policy  *attendees.Policy
	now     func() time.Time

	beforeReceipt func() // a test's; nil: nothing
}

// New makes a store of exports.
func New(pool *sqlx.DB, e *events.Store, r *reader.Store, people *roster.Store, policy *attendees.Policy, now func() time.Time) *Store {
	return &Store{pool: pool, events: e, reader: r, rosters: people, policy: policy, now: now}
}
