package postgres

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"golang.org/x/crypto/chacha20poly1305"

	"lethe/attendees"
	"lethe/attendees/seal"
)

const (
	// VisitLinkFor is how long a mailed link to /my-data is good: as long as one to sign in.
	VisitLinkFor = SignInFor
	// VisitFor is how long a visit lasts that nobody uses: a browser in a library is left
	// behind sooner than closed.
	VisitFor = 15 * time.Minute
	visitUse = "visit"
)

// NewVisitLink makes a token that lets whoever presses the button behind it see what is
// held under an address, once, within VisitLinkFor. The database keeps its HMAC, and the
// address encrypted under the token, which it does not keep.
func (s *Store) NewVisitLink(ctx context.Context, address attendees.Personal) (token string, err error) {
	return s.newVisit(ctx, s.db, address, true, VisitLinkFor)
}

func (s *Store) newVisit(ctx context.Context, q sqlx.ExecerContext, address attendees.Personal, mailed bool, lasts time.Duration) (token string, err error) {
	token = rand.Text() // 128 bits and more
	hash := s.keyed(visitUse, token)[0]
	sealed, err := sealVisit(token, hash, seal.Normalise(address.Reveal()))
	if err != nil {
		return "", err
	}
	_, err = q.ExecContext(ctx, `
		insert into visits (hash, mailed, sealed, expires_at)
		values ($1, $2, $3, $4)`, hash, mailed, sealed, s.now().Add(lasts))
	return token, quiet("keep a visit", err)
}

// UseVisitLink uses a mailed link up. It gives a token for the browser that pressed its
// button, and the address that is proved by that; ErrLink where it is no good link.
func (s *Store) UseVisitLink(ctx context.Context, link string) (token string, address attendees.Personal, err error) {
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		var row visitRow
		err := tx.GetContext(ctx, &row, `
			delete from visits
			where mailed and hash = any($1)
			returning hash, sealed, expires_at`, pq.ByteaArray(s.keyed(visitUse, link)))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrLink
		}
		if err != nil {
			return quiet("use a link", err)
		}
		if !s.now().Before(row.Expires) {
			return ErrLink
		}
		if address, err = row.open(link); err != nil {
			return err
		}
		token, err = s.newVisit(ctx, tx, address, false, VisitFor)
		return err
	})
	return token, address, err
}

// Visit gives the address that the browser with a token has proved, and lets the visit
// last on; ErrLink where it has ended.
func (s *Store) Visit(ctx context.Context, token string) (attendees.Personal, error) {
	now := s.now()
	var row visitRow
	err := s.db.GetContext(ctx, &row, `
		update visits
		set expires_at = $3
		where not mailed and hash = any($1) and expires_at > $2
		returning hash, sealed, expires_at`, pq.ByteaArray(s.keyed(visitUse, token)), now, now.Add(VisitFor))
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrLink
	}
	if err != nil {
		return "", quiet("find a visit", err)
	}
	return row.open(token)
}

// EndVisit ends a visit.
func (s *Store) EndVisit(ctx context.Context, token string) error {
	_, err := s.db.ExecContext(ctx, `delete from visits where not mailed and hash = any($1)`, pq.ByteaArray(s.keyed(visitUse, token)))
	return quiet("end a visit", err)
}

// dropVisits forgets links and visits that have ended.
func (s *Store) dropVisits(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `delete from visits where expires_at < $1`, s.now())
	return quiet("drop old visits", err)
}

type visitRow struct {
	Hash    []byte    `db:"hash"`
	Sealed  []byte    `db:"sealed"`
	Expires time.Time `db:"expires_at"`
}

func (r visitRow) open(token string) (attendees.Personal, error) {
	box, nonce, err := visitBox(token)
	if err != nil {
		return "", err
	}
	text, err := box.Open(nil, nonce, r.Sealed, r.Hash)
	if err != nil {
		return "", ErrLink // a token's hash that another token made: it cannot be
	}
	return attendees.Personal(text), nil
}

func sealVisit(token string, hash []byte, address string) ([]byte, error) {
	box, nonce, err := visitBox(token)
	if err != nil {
		return nil, err
	}
	return box.Seal(nil, nonce, []byte(address), hash), nil
}

// visitBox is the lock of a visit's address. A token locks one address, once, so the nonce
// may come from the same place as the key.
func visitBox(token string) (box interface {
	Seal(dst, nonce, plaintext, additional []byte) []byte
	Open(dst, nonce, sealed, additional []byte) ([]byte, error)
}, nonce []byte, err error) {
	const size = chacha20poly1305.KeySize + chacha20poly1305.NonceSizeX
	both, err := hkdf.Key(sha256.New, []byte(token), nil, "lethe visit", size)
	if err != nil {
		return nil, nil, fmt.Errorf("visit: %w", err)
	}
	box, err = chacha20poly1305.NewX(both[:chacha20poly1305.KeySize])
	return box, both[chacha20poly1305.KeySize:], err
}
