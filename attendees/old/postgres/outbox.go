package postgres

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"lethe/attendees/mail"
)

// KeepMail keeps a letter until it is sent.
func (s *Store) KeepMail(ctx context.Context, letter mail.Letter, enqueue func(tx *sql.Tx, id uuid.UUID) error) error {
	return s.outbox().Keep(ctx, letter, enqueue)
}

// SendMail sends a kept letter and drops it.
func (s *Store) SendMail(ctx context.Context, id uuid.UUID, send func(mail.Letter) error) error {
	return s.outbox().Send(ctx, id, send)
}

// DropMail gives a letter up.
func (s *Store) DropMail(ctx context.Context, id uuid.UUID) error { return s.outbox().Drop(ctx, id) }

func (s *Store) outbox() *mail.Outbox { return mail.NewOutbox(s.db, s.keys, s.now) }
