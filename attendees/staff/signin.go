package staff

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees/db"
)

// SignInFor is how long a sign-in link is good: long enough for slow mail, too short to
// be found in a mailbox later.
const SignInFor = 15 * time.Minute

// ErrLink says that a link was used, is too old, or never was one.
var ErrLink = errors.New("the link is not good any more")

// NewSignIn makes a token that signs a user in, once, within SignInFor. The database
// keeps its HMAC alone.
func (s *Store) NewSignIn(ctx context.Context, user uuid.UUID) (token string, err error) {
	token = rand.Text() // 128 bits and more
	_, err = s.pool.ExecContext(ctx, `
		insert into signins (hash, user_id, expires_at)
		values ($1, $2, $3)`, s.keyed(signInUse, token)[0], user, s.now().Add(SignInFor))
	return token, db.Failed("keep a sign-in link", err)
}

// UseSignIn uses a token up, and tells whom it signs in; ErrLink where it is none.
func (s *Store) UseSignIn(ctx context.Context, token string) (user uuid.UUID, err error) {
	var link struct {
		User    uuid.UUID `db:"user_id"`
		Expires time.Time `db:"expires_at"`
	}
	err = s.pool.GetContext(ctx, &link, `
		delete from signins
		where hash = any($1)
		returning user_id, expires_at`, pq.ByteaArray(s.keyed(signInUse, token)))
	if errors.Is(err, sql.ErrNoRows) {
		return user, ErrLink
	}
	if err != nil {
		return user, db.Failed("use a sign-in link", err)
	}
	if !s.now().Before(link.Expires) {
		return user, ErrLink
	}
	return link.User, nil
}

// dropSignIns forgets a user's links that were not used yet.
func dropSignIns(ctx context.Context, tx db.Tx, user uuid.UUID) error {
	_, err := tx.ExecContext(ctx, `delete from signins where user_id = $1`, user)
	return db.Failed("drop a user's sign-in links", err)
}

// What keyed hashes are for: one says nothing of another.
const (
	signInUse = "sign-in link"
	limitUse  = "limit"
)

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
