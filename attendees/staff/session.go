package staff

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"lethe/attendees/db"
)

// Sessions keeps the web's sessions, as github.com/alexedwards/scs wants it, which
// hashes their tokens first. It goes by the database's clock, since scs knows no other:
// a session lasts hours, not the years that a simulated clock leaps over.
//
// It ends what nobody used for so long, too: where scs does, it writes every session
// back at the end of every page, as the page found it, over what others did meanwhile.
type Sessions struct {
	store *Store
	idle  time.Duration
}

// Sessions is where the web's sessions are kept, each until it was idle for so long.
func (s *Store) Sessions(idle time.Duration) *Sessions { return &Sessions{s, idle} }

// FindCtx gives what was kept under a token, unless it has ended, and puts its end off.
// That it was used a moment later is not worth a write.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.store.pool.GetContext(ctx, &data, `
		with used as (
			update sessions
			set expires_at = now() + make_interval(secs => $2)
			where token = $1
			  and expires_at > now()
			  and expires_at < now() + make_interval(secs => $2) - interval '1 minute')
		select data
		from sessions
		where token = $1
		  and expires_at > now()`, token, s.idle.Seconds())
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return data, err == nil, db.Failed("find a session", err)
}

type beginsKey struct{}

// BeginsSession is a context in which Sessions.CommitCtx begins a session.
func BeginsSession(ctx context.Context) context.Context {
	return context.WithValue(ctx, beginsKey{}, true)
}

// CommitCtx keeps what a session holds now, until it ends by itself, or until expires
// where that comes first. It begins one in a context of BeginsSession alone: a page that
// was still under way brings none back that was signed out meanwhile.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expires time.Time) error {
	doing, how := "keep a session", `
		update sessions
		set data = $2, expires_at = least($3, now() + make_interval(secs => $4))
		where token = $1`
	if ctx.Value(beginsKey{}) != nil {
		doing, how = "begin a session", `
		insert into sessions (token, data, expires_at)
		values ($1, $2, least($3, now() + make_interval(secs => $4)))`
	}
	_, err := s.store.pool.ExecContext(ctx, how, token, data, expires, s.idle.Seconds())
	return db.Failed(doing, err)
}

// DeleteCtx ends a session.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	_, err := s.store.pool.ExecContext(ctx, `delete from sessions where token = $1`, token)
	return db.Failed("end a session", err)
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
