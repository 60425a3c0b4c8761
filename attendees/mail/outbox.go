package mail

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"golang.org/x/crypto/chacha20poly1305"

	"lethe/attendees/db"
)

// Keys derive the keys that letters are encrypted under: one per secret, the newest first.
type Keys interface {
	Derive(use string) [][]byte
	IDs() []string
}

// Outbox keeps letters until they are sent.
type Outbox struct {
	pool *sqlx.DB
	keys Keys
	now  func() time.Time
}

// NewOutbox makes an outbox on a migrated database.
func NewOutbox(pool *sqlx.DB, keys Keys, now func() time.Time) *Outbox {
	return &Outbox{pool, keys, now}
}

// outboxUse is what the secrets are derived for.
const outboxUse = "outbox"

// outboxFor is how long a letter may wait: longer than its job tries, and a bound on how
// long an address lies there should the job be lost.
const outboxFor = 48 * time.Hour

// Keep keeps a letter until it is sent, encrypted under the newest secret. enqueue
// asks, in the same transaction, for the job that sends it, which knows the id alone.
func (o *Outbox) Keep(ctx context.Context, letter Letter, enqueue func(tx *sql.Tx, id uuid.UUID) error) error {
	text, err := json.Marshal(letter)
	if err != nil {
		return errors.New("a letter cannot be kept") // its words could quote the letter
	}
	cipher, err := chacha20poly1305.NewX(o.keys.Derive(outboxUse)[0])
	if err != nil {
		return fmt.Errorf("encrypt a letter: %w", err)
	}
	id := uuid.New()
	nonce := make([]byte, cipher.NonceSize(), cipher.NonceSize()+len(text)+cipher.Overhead())
	rand.Read(nonce) //nolint:errcheck // it never fails (crypto/rand)
	return db.InTx(ctx, o.pool, func(tx db.Tx) error {
		_, err := tx.ExecContext(ctx, `
			insert into outbox (id, key, sealed, made_at)
			values ($1, $2, $3, $4)`, id, o.keys.IDs()[0], cipher.Seal(nonce, nonce, text, id[:]), o.now())
		if err != nil {
			return db.Failed("keep a letter", err)
		}
		return enqueue(tx.Tx, id)
	})
}

// Send sends a kept letter and drops it. One that is gone was sent before. Two who
// send it at once wait for each other.
func (o *Outbox) Send(ctx context.Context, id uuid.UUID, send func(Letter) error) error {
	return db.InTx(ctx, o.pool, func(tx db.Tx) error {
		var row struct {
			Key    string `db:"key"`
			Sealed []byte `db:"sealed"`
		}
		err := tx.GetContext(ctx, &row, `delete from outbox where id = $1 returning key, sealed`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return db.Failed("take a letter", err)
		}
		letter, err := o.open(id, row.Key, row.Sealed)
		if err != nil {
			return err
		}
		return send(letter) // where it fails the letter stays
	})
}

func (o *Outbox) open(id uuid.UUID, key string, sealed []byte) (letter Letter, err error) {
	i := slices.Index(o.keys.IDs(), key)
	if i < 0 {
		return letter, fmt.Errorf("letter %s is encrypted under the secret %s, which LETHE_SECRET does not list", id, key)
	}
	cipher, err := chacha20poly1305.NewX(o.keys.Derive(outboxUse)[i])
	if err != nil {
		return letter, fmt.Errorf("open a letter: %w", err)
	}
	if len(sealed) < cipher.NonceSize() {
		return letter, fmt.Errorf("letter %s is damaged", id)
	}
	text, err := cipher.Open(nil, sealed[:cipher.NonceSize()], sealed[cipher.NonceSize():], id[:])
	if err != nil || json.Unmarshal(text, &letter) != nil {
		return letter, fmt.Errorf("letter %s is damaged", id)
	}
	return letter, nil
}

// Drop gives a letter up.
func (o *Outbox) Drop(ctx context.Context, id uuid.UUID) error {
	_, err := o.pool.ExecContext(ctx, `delete from outbox where id = $1`, id)
	return db.Failed("give a letter up", err)
}

// DropOld gives up letters that waited for longer than anybody tries to send them.
func (o *Outbox) DropOld(ctx context.Context) error {
	_, err := o.pool.ExecContext(ctx, `delete from outbox where made_at < $1`, o.now().Add(-outboxFor))
	return db.Failed("drop old mail", err)
}
