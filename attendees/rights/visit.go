package rights

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/lib/pq"
	"golang.org/x/crypto/chacha20poly1305"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/seal"
)

const (
	// VisitLinkFor is how long a mailed link to /my-data can be used: long enough for slow
	// mail, too short to be found in a mailbox later.
	VisitLinkFor = 15 * time.Minute
	// VisitFor is how long a visit lasts without a click: a browser in a library is left
	// behind sooner than closed.
	VisitFor = 15 * time.Minute
)

// Keyed hashes of two uses say nothing of each other.
const (
	visitUse = "visit"
	ownerUse = "case owner"
)

// ErrLink says that a link, or a visit, has expired or was used.
var ErrLink = errors.New("this link has expired or was used")

// Visit is what a browser that proved an address may see: what is stored under it, and how
// the requests made meanwhile ended.
type Visit struct {
	Address attendees.Personal // normalised
	Cases   []int
}

// visitText is Visit as it is sealed: Personal hides itself from JSON.
type visitText struct {
	Address string `json:"address"`
	Cases   []int  `json:"cases,omitempty"`
}

// keyed are the HMACs of a text for one use under all secrets, the newest first.
func (s *Store) keyed(use, text string) pq.ByteaArray {
	var all pq.ByteaArray
	for _, key := range s.keys.Derive(use) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		all = append(all, h.Sum(nil))
	}
	return all
}

// NewVisitLink makes a token that shows what is stored under an address to the browser
// that presses the button behind it, once, within VisitLinkFor. The database has its HMAC,
// and the address sealed under the token. cases are those in whose letter the link is:
// using it proves that they came from that mailbox.
func (s *Store) NewVisitLink(ctx context.Context, address attendees.Personal, cases ...int) (token string, err error) {
	v := Visit{attendees.Personal(seal.Normalise(address.Reveal())), cases}
	return s.newVisit(ctx, s.pool, v, true, VisitLinkFor)
}

func (s *Store) newVisit(ctx context.Context, q db.Queryer, v Visit, mailed bool, lasts time.Duration) (token string, err error) {
	defer db.Wrap(&err, "begin a visit")
	token = rand.Text() // 128 bits and more
	hash := s.keyed(visitUse, token)[0]
	sealed, err := v.seal(token, hash)
	if err != nil {
		return "", err
	}
	_, err = db.Exec(ctx, q, `
		insert into visits (hash, mailed, sealed, expires_at)
		values ($1, $2, $3, $4)`, hash, mailed, sealed, s.now().Add(lasts))
	return token, err
}

// UseVisitLink uses a mailed link up. It gives a token for the browser that pressed its
// button, and what that may see; ErrLink where the link is not valid.
func (s *Store) UseVisitLink(ctx context.Context, link string) (token string, v Visit, err error) {
	defer db.Wrap(&err, "use a link to a visit")
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		var row visitRow
		err := db.Get(ctx, tx, &row, `
			delete from visits
			where mailed and hash = any($1)
			returning hash, sealed, expires_at`, s.keyed(visitUse, link))
		if errors.Is(err, sql.ErrNoRows) || err == nil && !s.now().Before(row.Expires) {
			return ErrLink
		}
		if err != nil {
			return err
		}
		if v, err = row.open(link); err != nil {
			return err
		}
		token, err = s.newVisit(ctx, tx, v, false, VisitFor)
		return err
	})
	return token, v, err
}

// Visit gives what the browser with a token may see, and extends the visit by VisitFor;
// ErrLink where it has ended.
func (s *Store) Visit(ctx context.Context, token string) (v Visit, err error) {
	defer db.Wrap(&err, "find a visit")
	now := s.now()
	var row visitRow
	err = db.Get(ctx, s.pool, &row, `
		update visits
		set expires_at = $3
		where not mailed and hash = any($1) and expires_at > $2
		returning hash, sealed, expires_at`, s.keyed(visitUse, token), now, now.Add(VisitFor))
	if errors.Is(err, sql.ErrNoRows) {
		return v, ErrLink
	}
	if err != nil {
		return v, err
	}
	return row.open(token)
}

// KeepVisit stores what a visit has come to.
func (s *Store) KeepVisit(ctx context.Context, token string, v Visit) (err error) {
	defer db.Wrap(&err, "keep a visit")
	for _, hash := range s.keyed(visitUse, token) {
		sealed, err := v.seal(token, hash)
		if err != nil {
			return err
		}
		if _, err := db.Exec(ctx, s.pool, `update visits set sealed = $2 where not mailed and hash = $1`, hash, sealed); err != nil {
			return err
		}
	}
	return nil
}

// EndVisit ends a visit.
func (s *Store) EndVisit(ctx context.Context, token string) (err error) {
	defer db.Wrap(&err, "end a visit")
	_, err = db.Exec(ctx, s.pool, `delete from visits where not mailed and hash = any($1)`, s.keyed(visitUse, token))
	return err
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
	return Visit{}, ErrLink // a row that somebody changed
}

func (v Visit) seal(token string, hash []byte) ([]byte, error) {
	box, err := visitBox(token)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(visitText{v.Address.Reveal(), v.Cases})
	if err != nil {
		return nil, errors.New("a visit cannot be stored") // its words could quote the address
	}
	nonce := make([]byte, box.NonceSize(), box.NonceSize()+len(text)+box.Overhead())
	rand.Read(nonce) //nolint:errcheck // it never fails (crypto/rand)
	return box.Seal(nonce, nonce, text, hash), nil
}

// visitBox seals a visit under its token alone.
func visitBox(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "lethe visit", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.NewX(key)
}
