package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees/db"
	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// Why the ledger, or its copy, is not as it should be: see package ledger.
var (
	ErrClock       = ledger.ErrClock
	ErrNoEntry     = ledger.ErrNoEntry
	ErrRestored    = ledger.ErrRestored
	ErrNoCopy      = ledger.ErrNoCopy
	ErrReplaying   = ledger.ErrReplaying
	ErrUnconfirmed = ledger.ErrUnconfirmed
)

// Copied is the mark that a copy of the ledger is kept.
const Copied = Mark(ledger.Copied)

// Entry is one entry of the ledger with its place.
type Entry = ledger.Indexed

func (s *Store) signers() ([]*ledger.Signer, error) { return s.book.Signers() }

func (s *Store) record(ctx context.Context, tx *sqlx.Tx, entries ...ledger.Entry) (int64, error) {
	return s.book.Record(ctx, tx, entries...)
}

func (s *Store) recordPerson(ctx context.Context, tx *sqlx.Tx, e ledger.Entry, keyedID []byte) error {
	return s.book.RecordPerson(ctx, tx, e, keyedID)
}

func (s *Store) ledgerHead(ctx context.Context, q db.Queryer) (int64, time.Time, error) {
	return s.book.Head(ctx, q)
}

func readHashes(ctx context.Context, q db.Queryer, indexes []int64) ([]tlog.Hash, error) {
	return ledger.ReadHashes(ctx, q, indexes)
}

func keepOpening(ctx context.Context, tx *sqlx.Tx, o ledger.Opening) error {
	return ledger.KeepOpening(ctx, tx, o)
}

// LedgerKeys are the keys that verify the ledger's checkpoints, the newest first.
func (s *Store) LedgerKeys() ([]string, error) { return s.book.PublicKeys() }

// Verifiers know the keys of this store's ledger.
func (s *Store) Verifiers() (*ledger.Verifiers, error) { return s.book.Verifiers() }

// LedgerTime is when the ledger's newest entry was made; the zero time: there is none.
func (s *Store) LedgerTime(ctx context.Context) (time.Time, error) { return s.book.Time(ctx) }

// Ledger reads the whole ledger, as it stands at one moment.
func (s *Store) Ledger(ctx context.Context) (ledger.Table, error) { return s.book.Read(ctx) }

// Checkpoint is the newest signed checkpoint; empty where nothing was done yet.
func (s *Store) Checkpoint(ctx context.Context) (string, error) { return s.book.Checkpoint(ctx) }

// LedgerPage gives the newest n entries that stand before a place; 0 is the end.
func (s *Store) LedgerPage(ctx context.Context, before int64, n int) ([]Entry, int64, error) {
	return s.book.Page(ctx, before, n)
}

// CertificateAt makes a certificate of the entry at a place; ErrNoEntry where there is none.
func (s *Store) CertificateAt(ctx context.Context, index int64) (ledger.Certificate, error) {
	return s.book.CertificateAt(ctx, index)
}

// Certificate makes a certificate of the newest entry about an event, or about one
// registration that was erased.
func (s *Store) Certificate(ctx context.Context, event attendees.EventID, attendee attendees.AttendeeID) (ledger.Certificate, error) {
	var person [][]byte
	if attendee != "" {
		person = s.keys.KeyedIDs(string(attendees.Eventbrite), string(attendee), "")
	}
	return s.book.Certificate(ctx, string(event), person)
}

// CheckCopy compares the ledger with its copy.
func (s *Store) CheckCopy(ctx context.Context, f ledger.File) error { return s.book.CheckCopy(ctx, f) }

// CopyLedger lets the copy grow by what was recorded since.
func (s *Store) CopyLedger(ctx context.Context, f ledger.File) error { return s.book.GrowCopy(ctx, f) }

// RestoreCopy writes a missing copy anew.
func (s *Store) RestoreCopy(ctx context.Context, f ledger.File) error {
	return s.book.RestoreCopy(ctx, f)
}

// CheckConfirmed is for machines that keep no copy.
func (s *Store) CheckConfirmed(ctx context.Context) error { return s.book.CheckConfirmed(ctx) }

// AdoptLedger gives a lost copy up.
func (s *Store) AdoptLedger(ctx context.Context, reason string) error {
	return s.book.Adopt(ctx, reason)
}
