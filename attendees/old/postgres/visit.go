package postgres

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"golang.org/x/crypto/chacha20poly1305"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

const (
	// VisitLinkFor is how long a mailed link to /my-data is good: as long as one to sign in.
	VisitLinkFor = SignInFor
	// VisitFor is how long a visit lasts that nobody uses: a browser in a library is left
	// behind sooner than closed.
	VisitFor = 15 * time.Minute
	visitUse = "visit"
)

// Visit is what a browser that proved an address may see: what is held under it, and how
// the requests that were made meanwhile ended.
type Visit struct {
	Address attendees.Personal
	Cases   []int
}

// visitText is Visit as it is sealed: Personal hides itself from JSON.
type visitText struct {
	Address string `json:"address"`
	Cases   []int  `json:"cases,omitempty"`
}

// NewVisitLink makes a token that lets whoever presses the button behind it see what is
// held under an address, once, within VisitLinkFor. The database keeps its HMAC, and the
// address encrypted under the token, which it does not keep. cases are those whose mail it
// stands in: whoever uses it says that they are hers.
func (s *Store) NewVisitLink(ctx context.Context, address attendees.Personal, cases ...int) (token string, err error) {
	return s.newVisit(ctx, s.db, Visit{attendees.Personal(seal.Normalise(address.Reveal())), cases}, true, VisitLinkFor)
}

func (s *Store) newVisit(ctx context.Context, q sqlx.ExecerContext, v Visit, mailed bool, lasts time.Duration) (token string, err error) {
	token = rand.Text() // 128 bits and more
	hash := s.keyed(visitUse, token)[0]
	sealed, err := v.seal(token, hash)
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
func (s *Store) UseVisitLink(ctx context.Context, link string) (token string, v Visit, err error) {
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
		if v, err = row.open(link); err != nil {
			return err
		}
		token, err = s.newVisit(ctx, tx, v, false, VisitFor)
		return err
	})
	return token, v, err
}

// Visit gives what the browser with a token may see, and lets the visit last on; ErrLink
// where it has ended.
func (s *Store) Visit(ctx context.Context, token string) (Visit, error) {
	now := s.now()
	var row visitRow
	err := s.db.GetContext(ctx, &row, `
		update visits
		set expires_at = $3
		where not mailed and hash = any($1) and expires_at > $2
		returning hash, sealed, expires_at`, pq.ByteaArray(s.keyed(visitUse, token)), now, now.Add(VisitFor))
	if err != nil {
		return Visit{}, missing("find a visit", err, ErrLink)
	}
	return row.open(token)
}

// KeepVisit keeps what a visit has come to.
func (s *Store) KeepVisit(ctx context.Context, token string, v Visit) error {
	for _, hash := range s.keyed(visitUse, token) {
		sealed, err := v.seal(token, hash)
		if err != nil {
			return err
		}
		if _, err := s.db.ExecContext(ctx, `update visits set sealed = $2 where not mailed and hash = $1`, hash, sealed); err != nil {
			return quiet("keep a visit", err)
		}
	}
	return nil
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

func (r visitRow) open(token string) (Visit, error) {
	box, err := visitBox(token)
	if err != nil {
		return Visit{}, err
	}
	var v visitText
	if n := box.NonceSize(); len(r.Sealed) > n {
		text, err := box.Open(nil, r.Sealed[:n], r.Sealed[n:], r.Hash)
		if err == nil && json.Unmarshal(text, &v) == nil {
			return Visit{attendees.Personal(v.Address), v.Cases}, nil
		}
	}
	return Visit{}, ErrLink // a token's hash that another token made: it cannot be
}

func (v Visit) seal(token string, hash []byte) ([]byte, error) {
	box, err := visitBox(token)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(visitText{v.Address.Reveal(), v.Cases})
	if err != nil {
		return nil, errors.New("a visit cannot be kept") // its words could quote the address
	}
	nonce := make([]byte, box.NonceSize(), box.NonceSize()+len(text)+box.Overhead())
	rand.Read(nonce) //nolint:errcheck // it never fails (crypto/rand)
	return box.Seal(nonce, nonce, text, hash), nil
}

// visitBox is the lock of a visit: its key is made of the token alone.
func visitBox(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "lethe visit", chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("visit: %w", err)
	}
	return chacha20poly1305.NewX(key)
}
