// Package staff is who may sign in to the console: users, sign-in links, sessions, and limits
// on how often somebody may ask for mail. Addresses are of staff, not of attendees.
//
// Start at Store.SaveUser and Store.NewSignIn.
package staff

import (
	"time"

	"github.com/jmoiron/sqlx"
)

// Keys derive the keys of keyed hashes: one per secret, the newest first.
type Keys interface {
	Derive(use string) [][]byte
}

// Store keeps users, links, sessions and limits.
type Store struct {
	pool *sqlx.DB
	keys Keys
	now  func() time.Time
}

// New makes a store on a migrated database.
func New(pool *sqlx.DB, keys Keys, now func() time.Time) *Store { return &Store{pool, keys, now} }
