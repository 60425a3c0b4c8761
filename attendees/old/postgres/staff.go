package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

	"lethe/attendees/old/attendees"
	"lethe/attendees/staff"
)

// What package staff has.
type (
	User     = staff.User
	Limit    = staff.Limit
	Sessions = staff.Sessions
)

// What package staff says.
var (
	ErrNoUser     = staff.ErrNoUser
	ErrLink       = staff.ErrLink
	BeginsSession = staff.BeginsSession
)

// SignInFor is how long a sign-in link is good.
const SignInFor = staff.SignInFor

// SaveUser lets somebody sign in; see package staff.
func (s *Store) SaveUser(ctx context.Context, address string, roles []attendees.Role, events []attendees.EventID) (User, error) {
	known, err := s.KnownEvents(ctx, events)
	if err != nil {
		return User{}, err
	}
	for _, e := range events {
		if _, ok := known[e]; !ok {
			return User{}, &UnknownEventError{e}
		}
	}
	return s.Staff.SaveUser(ctx, address, roles, events)
}

// DropSpent drops what has ended.
func (s *Store) DropSpent(ctx context.Context) error {
	if err := s.Staff.DropSpent(ctx); err != nil {
		return err
	}
	if err := s.outbox().DropOld(ctx); err != nil {
		return err
	}
	return s.dropVisits(ctx)
}

// keyed are the HMACs of a text for one use under all secrets, the newest first.
func (s *Store) keyed(use, text string) [][]byte {
	var all [][]byte
	for _, key := range s.keys.Derive(use) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		all = append(all, h.Sum(nil))
	}
	return all
}
