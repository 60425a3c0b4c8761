package export

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/roster"
)

// AnyStanding lists everyone, cancelled registrations included.
const AnyStanding attendees.Standing = ""

// List is one list about to leave, by the command or through the browser.
type List struct {
	Event    attendees.EventID
	Purpose  attendees.PurposeName
	Standing attendees.Standing // AnyStanding: everyone
	Unagreed bool               // only those who attend and have not agreed yet
	Format   string
	By       string // who takes it
	At       time.Time
	Streams  bool // what was written before it fails has left all the same: its receipt is kept, too
}

// formats are those that a list may leave in.
var formats = map[string]func(io.Writer, Header) (sheet, error){"csv": newCSV, "json": newJSON, "xlsx": newXLSX}

// Formats are the names of the formats.
func Formats() []string { return []string{"csv", "json", "xlsx"} }

// sheet is a list in one format, being written.
type sheet interface {
	person(v roster.View) error
	end() error
}

// UnknownFormatError says that there is no such format.
type UnknownFormatError struct{ Format string }

func (e *UnknownFormatError) Error() string {
	return fmt.Sprintf("no list is written as %q: there are %s", e.Format, strings.Join(Formats(), ", "))
}

// UnknownPurposeError says that the policy has no such purpose.
type UnknownPurposeError struct {
	Purpose attendees.PurposeName
	Known   []string
}

func (e *UnknownPurposeError) Error() string {
	known := strings.Join(e.Known, ", ")
	if last := strings.LastIndex(known, ", "); last >= 0 {
		known = known[:last] + " and " + known[last+2:]
	}
	return fmt.Sprintf("no purpose is called %q. The policy knows %s", e.Purpose, known)
}

const (
	// receiptTimeout bounds how long the receipt of a list that was cut off takes to be kept.
	receiptTimeout = 10 * time.Second
	// attempts is how often a list begins again that was overtaken before any of it left.
	attempts = 3
)

// Write writes the list to w and keeps its receipt: who took it when and what for, how
// many are on it, its SHA-256, and until the event is blocked who they are. The receipt is
// kept before the last piece leaves, so nobody holds a whole list that is written down
// nowhere. What went out when it fails is cut off and must not be taken for a list.
//
// It refuses an event whose people are not to be read, then before the first byte. Where the
// event's block date comes meanwhile, no piece leaves any more: *events.BlockedError. Where
// somebody on the list is erased, restricted or corrected meanwhile, it begins again, and is
// recalled at once where some of it has left.
func (s *Store) Write(ctx context.Context, w io.Writer, l List) (r Receipt, err error) {
	purpose, ok := s.policy.Purpose(l.Purpose)
	if !ok {
		e := &UnknownPurposeError{Purpose: l.Purpose}
		for _, u := range s.policy.Purposes {
			e.Known = append(e.Known, string(u.Name))
		}
		return r, e
	}
	if formats[l.Format] == nil {
		return r, &UnknownFormatError{l.Format}
	}
	for attempt := 1; ; attempt++ {
		p := &passage{Store: s, List: l, purpose: purpose, hash: sha256.New(), out: &holdBack{to: w}}
		p.Receipt = Receipt{ID: uuid.New(), Event: l.Event, Purpose: l.Purpose, Format: l.Format, By: l.By, At: l.At.UTC()}
		if l.Unagreed {
			p.Receipt.Format += ", not agreed"
		}
		err := p.write(ctx)
		if err == nil && s.beforeReceipt != nil && attempt == 1 {
			s.beforeReceipt()
		}
		if err == nil {
			err = s.keep(ctx, p, p.out.sent || attempt == attempts, false)
		}
		if errors.Is(err, errOvertaken) {
			continue
		}
		if err == nil {
			return p.Receipt, p.out.release()
		}
		if l.Streams && p.out.sent {
			kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiptTimeout)
			defer cancel()
			p.Receipt.Format += ", cut off"
			err = errors.Join(err, s.keep(kept, p, true, true))
		}
		return p.Receipt, err
	}
}

// passage is one attempt of a list to leave.
type passage struct {
	*Store
	List
	Receipt Receipt
	purpose attendees.Purpose
	event   events.Event // as of the version that was read
	sheet   sheet
	on      [][]uuid.UUID // who is on it, in chunks
	hash    io.Writer
	out     *holdBack
}

func (p *passage) write(ctx context.Context) error {
	place := slices.IndexFunc(p.policy.Purposes, func(u attendees.Purpose) bool { return u.Name == p.Purpose })
	begin := func(from roster.Source) (err error) {
		p.event = from.Event
		p.out.may = func() error { return p.event.Readable(p.now()) }
		links, err := p.events.Forms.Links(ctx, from, p.event.Key)
		if err != nil {
			return err
		}
		p.sheet, err = formats[p.Format](io.MultiWriter(p.out, p.hash), Header{
			Event: p.Event, Name: p.event.Name, Purpose: p.Purpose, At: p.At, By: p.By, Until: p.event.BlockOn, Columns: Columns(p.purpose, links),
		})
		return err
	}
	err := p.rosters.Walk(ctx, p.Event, begin, func(v roster.View) error {
		switch {
		case !v.For(place), p.Standing != AnyStanding && v.Standing() != p.Standing,
			p.Unagreed && (v.HasAgreed() || v.Standing() != attendees.Attending):
			return nil
		}
		p.saw(v.Key())
		return p.sheet.person(v)
	})
	if err == nil {
		err = p.sheet.end()
	}
	p.Receipt.SHA256 = p.hash.(interface{ Sum([]byte) []byte }).Sum(nil)
	return err
}

func (p *passage) saw(key uuid.UUID) {
	last := len(p.on) - 1
	if last < 0 || len(p.on[last]) == chunkSize {
		p.on = append(p.on, make([]uuid.UUID, 0, min(chunkSize, 64+p.Receipt.Rows)))
		last++
	}
	p.on[last] = append(p.on[last], key)
	p.Receipt.Rows++
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

// release passes on the piece that was kept back.
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

// errOvertaken says that somebody on a list is not to be on it any more.
var errOvertaken = errors.New("somebody on the list was erased, restricted or corrected meanwhile")

// keep keeps a list's receipt. Of a whole list: errOvertaken where somebody on it is not to be
// any more; where it leaves all the same, its receipt is recalled at once. Of a list of which
// some has left before it was cut off: whatever the date is by now. Its event may be blocked,
// and what recalls the other lists may have been here.
func (s *Store) keep(ctx context.Context, p *passage, leaves, cutOff bool) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.Look(ctx, tx, p.Event)
		if err == nil && !cutOff {
			err = e.Readable(s.now())
		}
		if err != nil {
			return err
		}
		overtaken := e.State != attendees.Open
		if !overtaken {
			if overtaken, err = s.overtaken(ctx, tx, e, p); err != nil {
				return err
			}
		}
		if overtaken && !leaves {
			return errOvertaken
		}
		return s.save(ctx, tx, e, p, overtaken)
	})
}
