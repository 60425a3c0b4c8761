package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Sessions keeps the web's sessions, as github.com/alexedwards/scs wants it, which
// hashes their tokens first. It goes by the database's clock, since scs knows no other:
// a session lasts hours, not the years that a simulated clock leaps over.
type Sessions struct{ store *Store }

// Sessions is where the web's sessions are kept.
func (s *Store) Sessions() *Sessions { return &Sessions{s} }

// FindCtx gives what was kept under a token, unless it has ended.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.store.db.GetContext(ctx, &data, `select data from sessions where token = $1 and expires_at > now()`, token)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return data, err == nil, quiet("find a session", err)
}

// CommitCtx keeps a session. That it was used a moment later is not worth a write: scs
// commits on every page, to put the end off.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expires time.Time) error {
	_, err := s.store.db.ExecContext(ctx, `
		insert into sessions (token, data, expires_at)
		values ($1, $2, $3)
		on conflict (token) do update set data = excluded.data, expires_at = excluded.expires_at
		where sessions.data <> excluded.data or sessions.expires_at < excluded.expires_at - interval '1 minute'`, token, data, expires)
	return quiet("keep a session", err)
}

// DeleteCtx ends a session.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	_, err := s.store.db.ExecContext(ctx, `delete from sessions where token = $1`, token)
	return quiet("end a session", err)
}

// Find is FindCtx without a context; scs calls the others.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Sessions) Commit(token string, data []byte, expires time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expires)
}

// Delete is DeleteCtx without a context.
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
