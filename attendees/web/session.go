package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"

	"lethe/attendees/old/postgres"
)

const (
	// idleFor ends a session that nobody used: overnight, so that a morning begins with
	// signing in and a lunch does not.
	idleFor = 12 * time.Hour
	// signedInFor ends every session: a week, after which the mailbox is asked again.
	signedInFor = 7 * 24 * time.Hour
)

// What a session holds.
const (
	sessionUser  = "user"
	sessionBegan = "began"
)

func (s *Site) newSessions() *scs.SessionManager {
	m := scs.New()
	m.Store = s.Store.Sessions(idleFor) // which keeps the idle limit itself, and says why
	m.HashTokenInStore = true
	m.Lifetime = signedInFor
	m.Cookie.Name = "lethe"
	m.Cookie.HttpOnly, m.Cookie.SameSite = true, http.SameSiteLaxMode
	if s.secure() {
		// The prefix keeps a neighbouring subdomain from setting it (RFC 6265bis 4.1.3).
		m.Cookie.Name, m.Cookie.Secure = "__Host-lethe", true
	}
	m.ErrorFunc = s.fail
	return m
}

// visitor is who is signed in; the zero user where nobody is. It asks the store each
// time, so that who is removed or loses a role is out at once.
func (s *Site) visitor(r *http.Request) (postgres.User, error) {
	if !s.sessions.Deadline(r.Context()).After(time.Now()) { // by scs's clock, which set it
		return postgres.User{}, s.sessions.Destroy(r.Context())
	}
	id, err := uuid.Parse(s.sessions.GetString(r.Context(), sessionUser))
	if err != nil {
		return postgres.User{}, nil
	}
	u, err := s.Store.User(r.Context(), id)
	if errors.Is(err, postgres.ErrNoUser) {
		return postgres.User{}, nil
	}
	if err != nil {
		return u, err
	}
	if began := time.UnixMicro(s.sessions.GetInt64(r.Context(), sessionBegan)); !began.After(u.SignedOutAt) {
		return postgres.User{}, nil
	}
	return u, nil
}

// signIn begins a session of a user's, under a token that nobody had before.
func (s *Site) signIn(r *http.Request, user uuid.UUID) error {
	ctx := r.Context()
	if err := s.sessions.RenewToken(ctx); err != nil {
		return err
	}
	s.sessions.Put(ctx, sessionUser, user.String())
	s.sessions.Put(ctx, sessionBegan, s.Now().UnixMicro())
	_, _, err := s.sessions.Commit(postgres.BeginsSession(ctx))
	return err
}
