package export

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// Formats are those that a list may leave in.
func Formats() []string { return []string{"csv", "json", "xlsx"} }

// UnknownFormatError says that there is no such format.
type UnknownFormatError struct{ Format string }

func (e *UnknownFormatError) Error() string {
	return fmt.Sprintf("no list is written as %q: there are %s", e.Format, strings.Join(Formats(), ", "))
}

// List is one list about to leave, by the command or through the browser.
type List struct {
	Store    *postgres.Store
	Event    attendees.EventID
	Purpose  attendees.PurposeName
	Standing attendees.Standing // postgres.AnyStatus: everyone
	Unagreed bool               // those alone who attend and have not agreed yet
	Format   string
	By       string // who takes it
	At       time.Time
	Streams  bool // what was written before it fails has left all the same: its receipt is kept, too
}

// receiptTimeout bounds how long the receipt of a list that was cut off takes to be kept.
const receiptTimeout = 10 * time.Second

// Write writes the list to w and keeps its receipt: who took it when and what for, how
// many are on it, its SHA-256, and in the event's room who they are. The receipt is kept
// before the last piece goes out, so nobody holds a whole list that is written down
// nowhere. What went out when it fails is cut off and must not be taken for a list.
//
// It refuses what postgres.Store.Attending refuses, then before the first byte. Where the
// event's block date comes meanwhile, no piece goes out any more: *postgres.BlockedError.
func (l List) Write(ctx context.Context, w io.Writer) (postgres.Receipt, error) {
	r := postgres.Receipt{ID: uuid.New(), Event: l.Event, Purpose: l.Purpose, Format: l.Format, By: l.By, At: l.At.UTC()}
	if !slices.Contains(Formats(), l.Format) {
		return r, &UnknownFormatError{l.Format}
	}
	if l.Unagreed {
		r.Format += ", not agreed"
	}
	e, err := l.Store.Event(ctx, l.Event)
	if err != nil {
		return r, err
	}
	if r.Begun, err = l.Store.LedgerSize(ctx); err != nil {
		return r, err
	}
	h := Header{Event: l.Event, Name: e.Name, Purpose: l.Purpose, At: r.At, By: l.By, Until: e.BlockOn.Date}
	listed := &postgres.Listing{}
	hash := sha256.New()
	last := &holdBack{to: w, may: func() error { return l.Store.StillOpen(e) }}
	r.Rows, err = l.write(io.MultiWriter(last, hash), h, l.rows(ctx, listed))
	r.SHA256 = hash.Sum(nil)
	if err == nil {
		err = l.Store.SaveReceipt(ctx, r, listed)
	}
	if err != nil {
		if l.Streams && last.sent {
			kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiptTimeout)
			defer cancel()
			err = errors.Join(err, l.Store.SaveCutOff(kept, r, listed))
		}
		return r, err
	}
	return r, last.release()
}

func (l List) write(w io.Writer, h Header, rows iter.Seq2[*Row, error]) (int, error) {
	switch l.Format {
	case "json":
		return JSON(w, h, rows)
	case "xlsx":
		return XLSX(w, h, rows)
	}
	return CSV(w, h, rows)
}

// rows are the people, each noted in listed.
func (l List) rows(ctx context.Context, listed *postgres.Listing) iter.Seq2[*Row, error] {
	people := l.Store.Attending(ctx, l.Event, l.Purpose, l.Standing)
	if l.Unagreed {
		people = l.Store.Unagreed(ctx, l.Event)
	}
	return func(yield func(*Row, error) bool) {
		for row, err := range people {
			if err != nil {
				yield(nil, err)
				return
			}
			listed.Saw(attendees.Eventbrite, attendees.AttendeeID(row.ID))
			if !yield(row, nil) {
				return
			}
		}
	}
}

// holdBack passes everything on but the last piece, for as long as it may.
type holdBack struct {
	to   io.Writer
	may  func() error // why nothing may leave any more
	last []byte
	sent bool // some of it has left
}

func (h *holdBack) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := h.may(); err != nil {
		return 0, err
	}
	if err := h.release(); err != nil {
		return 0, err
	}
	h.last = append(h.last[:0], p...)
	return len(p), nil
}

// release passes on the piece that is held.
func (h *holdBack) release() error {
	if len(h.last) == 0 {
		return nil
	}
	h.sent = true
	if _, err := h.to.Write(h.last); err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	h.last = h.last[:0]
	return nil
}
