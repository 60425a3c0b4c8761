// Package rights is what people may ask for, GDPR Art. 15 to 21, and how they are answered:
// what is stored under an address (own.go), requests and their deadlines (case.go,
// deadline), deeds (deed.go) and letters (letter.go, words).
//
// What needs no human judgement is done at once; the rest waits for staff, with its deadline
// in view. Nothing here opens what belongs to another address, and no answer is sent to one
// that was not proved. A deed that touches several stages, such as an erasure, is composed
// here of the packages below, in one transaction.
//
// Start at Desk.
package rights

import (
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/ledger"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/retention"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// Store reads what is stored under an address, does what people may ask for, and keeps
// requests and visits. It is made of all that is set here.
type Store struct {
	Pool      *sqlx.DB
	Events    *events.Store
	Vault     *vault.Store
	People    *people.Store
	Reader    *reader.Store
	Exports   *export.Store
	Retention *retention.Store
	Ledger    *ledger.Store
	Secrets   *seal.Keyring
	Policy    *attendees.Policy
	Now       func() time.Time
}

func (s *Store) today() attendees.Date { return attendees.DateOf(s.Now().UTC()) }

// statute is the statute of a retention rule.
func (s *Store) statute(rule string) string {
	if r, ok := s.Policy.RuleNamed(rule); ok {
		return r.Statute
	}
	return rule
}
