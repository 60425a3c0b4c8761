package rights

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

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

// ErrLink says that a link, or a visit, has expired or was used.
var ErrLink = errors.New("this link has expired or was used")

// Visit is what a browser that proved an address may see: what is stored under it, and how
// the requests made meanwhile ended.
type Visit struct {
	Address attendees.Personal // normalised
	Cases   []int
}

// split takes a token apart: by one half of its hash the database finds it, the other half is
// the key to what is sealed there. So the database opens nothing, and how long it takes to
// look a token up says nothing about the tokens that are good.
func split(token string) (hash []byte, c *seal.Cipher) {
	sum := sha512.Sum512([]byte(token))
	return sum[:32], seal.NewCipher(seal.Key(sum[32:]), "", "visit", nil)
}

// sealed is Visit as it is stored. Personal hides itself from JSON.
func (v Visit) sealed(c *seal.Cipher) []byte {
	text, _ := json.Marshal(visitText{v.Address.Reveal(), v.Cases}) // strings and numbers are always JSON
	return c.Seal(nil, [16]byte{}, 0, "visit", text)
}

type visitText struct {
	Address string
	Cases   []int
}

// visit reads what a statement gives of a token's row; ErrLink where it gives none.
func (s *Store) visit(ctx context.Context, q db.Queryer, c *seal.Cipher, statement string, args ...any) (Visit, error) {
	var sealed []byte
	err := db.Get(ctx, q, &sealed, statement, args...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Visit{}, err
	}
	var v visitText
	if text, err := c.Open(nil, [16]byte{}, 0, "visit", sealed); err != nil || json.Unmarshal(text, &v) != nil {
		return Visit{}, ErrLink // no row, or one that somebody changed
	}
	return Visit{attendees.Personal(v.Address), v.Cases}, nil
}

// NewVisitLink makes a token that shows what is stored under an address to the browser
// that presses the button behind it, once, within VisitLinkFor. cases are those in whose
// letter the link is: using it proves that they came from that mailbox.
func (s *Store) NewVisitLink(ctx context.Context, address attendees.Personal, cases ...int) (token string, err error) {
	v := Visit{attendees.Personal(seal.Normalise(address.Reveal())), cases}
	return s.newVisit(ctx, s.Pool, v, true, VisitLinkFor)
}

func (s *Store) newVisit(ctx context.Context, q db.Queryer, v Visit, mailed bool, lasts time.Duration) (token string, err error) {
	defer db.Wrap(&err, "begin a visit")
	token = rand.Text() // 128 bits and more
	hash, c := split(token)
	_, err = db.Exec(ctx, q, `
		insert into visits (hash, mailed, sealed, expires_at)
		values ($1, $2, $3, $4)`, hash, mailed, v.sealed(c), s.Now().Add(lasts))
	return token, err
}

// UseVisitLink uses a mailed link up. It gives a token for the browser that pressed its
// button, and what that may see; ErrLink where the link is not valid.
func (s *Store) UseVisitLink(ctx context.Context, link string) (token string, v Visit, err error) {
	defer db.Wrap(&err, "use a link to a visit")
	hash, c := split(link)
	err = db.InTx(ctx, s.Pool, func(tx db.Tx) error {
		v, err = s.visit(ctx, tx, c, `
			delete from visits
			where mailed and hash = $1 and expires_at > $2
			returning sealed`, hash, s.Now())
		if err != nil {
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
	hash, c := split(token)
	now := s.Now()
	return s.visit(ctx, s.Pool, c, `
		update visits
		set expires_at = $3
		where not mailed and hash = $1 and expires_at > $2
		returning sealed`, hash, now, now.Add(VisitFor))
}

// KeepVisit stores what a visit has come to.
func (s *Store) KeepVisit(ctx context.Context, token string, v Visit) (err error) {
	defer db.Wrap(&err, "keep a visit")
	hash, c := split(token)
	_, err = db.Exec(ctx, s.Pool, `update visits set sealed = $2 where not mailed and hash = $1`, hash, v.sealed(c))
	return err
}

// EndVisit ends a visit.
func (s *Store) EndVisit(ctx context.Context, token string) (err error) {
	defer db.Wrap(&err, "end a visit")
	hash, _ := split(token)
	_, err = db.Exec(ctx, s.Pool, `delete from visits where not mailed and hash = $1`, hash)
	return err
}
