package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"golang.org/x/crypto/chacha20poly1305"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// Case is a request of a person about what is held of her. Once it is closed it tells of
// nobody.
type Case struct {
	Number    int
	Asks      attendees.Right
	Event     attendees.EventID // empty: all
	CameBy    string            // page, mail, letter or phone
	Received  attendees.Date
	Verified  time.Time // zero: the person has not proved her address
	Deadline  attendees.Date
	PausedOn  attendees.Date // zero: it was never doubted who asks
	ResumedOn attendees.Date
	Extended  bool
	Outcome   attendees.Outcome
	ClosedAt  time.Time // zero: it is open
	DecidedBy string    // lethe: by itself
	RedoneAt  time.Time // zero: no backup has undone it
}

// Open tells whether the case waits for an answer.
func (c Case) Open() bool { return c.ClosedAt.IsZero() }

// Paused tells whether it is doubted who asks.
func (c Case) Paused() bool { return c.Open() && !c.PausedOn.IsZero() && c.ResumedOn.IsZero() }

// CaseText is what a case holds of a person while it is open.
type CaseText struct {
	Contact  attendees.Personal // the normalised address
	Message  attendees.Personal
	Field    attendees.Field
	Value    attendees.Personal // proposed for the field
	Language string
}

// caseText is CaseText as it is sealed: Personal hides itself from JSON.
type caseText struct {
	Contact, Message, Field, Value, Language string
}

type caseRow struct {
	Number    int               `db:"number"`
	Asks      attendees.Right   `db:"asks"`
	Event     attendees.EventID `db:"event_id"`
	CameBy    string            `db:"came_by"`
	Received  day               `db:"received_on"`
	Verified  *time.Time        `db:"verified_at"`
	Deadline  day               `db:"deadline"`
	PausedOn  *day              `db:"paused_on"`
	ResumedOn *day              `db:"resumed_on"`
	Extended  bool              `db:"extended"`
	Outcome   attendees.Outcome `db:"outcome"`
	ClosedAt  *time.Time        `db:"closed_at"`
	DecidedBy string            `db:"decided_by"`
	RedoneAt  *time.Time        `db:"redone_at"`
	Key       string            `db:"key"`
	Sealed    []byte            `db:"sealed"`
}

const caseColumns = `number, asks, event_id, came_by, received_on, verified_at, deadline, paused_on, resumed_on, extended,
	outcome, closed_at, decided_by, redone_at, key, sealed`

func (r caseRow) asCase() Case {
	c := Case{
		Number: r.Number, Asks: r.Asks, Event: r.Event, CameBy: r.CameBy, Received: r.Received.Date, Deadline: r.Deadline.Date,
		Extended: r.Extended, Outcome: r.Outcome, DecidedBy: r.DecidedBy,
	}
	for into, t := range map[*time.Time]*time.Time{&c.Verified: r.Verified, &c.ClosedAt: r.ClosedAt, &c.RedoneAt: r.RedoneAt} {
		if t != nil {
			*into = *t
		}
	}
	for into, d := range map[*attendees.Date]*day{&c.PausedOn: r.PausedOn, &c.ResumedOn: r.ResumedOn} {
		if d != nil {
			*into = d.Date
		}
	}
	return c
}

const (
	caseUse  = "cases"
	ownerUse = "case owner"
)

// UnknownCaseError says that there is no case of a number, or none that is open.
type UnknownCaseError struct{ Number int }

func (e *UnknownCaseError) Error() string {
	return fmt.Sprintf("no request %d is open: `lethe requests list` shows those that are", e.Number)
}

// OpenCase opens a case, and gives it its number. Where a verified one of the same person
// for the same thing is open already, that one is it: the new message goes with it, and
// merged tells so.
func (s *Store) OpenCase(ctx context.Context, c Case, text CaseText) (_ Case, merged bool, err error) {
	text.Contact = attendees.Personal(seal.Normalise(text.Contact.Reveal()))
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `lock table cases in share row exclusive mode`); err != nil {
			return quiet("lock the requests", err)
		}
		if !c.Verified.IsZero() {
			same, old, err := s.sameCase(ctx, tx, c, text)
			if err != nil {
				return err
			}
			if same != nil {
				if text.Message == "" {
					text.Message = old.Message
				} else if old.Message != "" && old.Message != text.Message {
					text.Message = attendees.Personal(clipText(old.Message.Reveal() + "\n\n" + text.Message.Reveal()))
				}
				c, merged = *same, true
				return s.keepText(ctx, tx, c.Number, text)
			}
		}
		err := tx.GetContext(ctx, &c.Number, `
			insert into cases (asks, event_id, came_by, received_on, verified_at, deadline, whose)
			values ($1, $2, $3, $4, $5, $6, $7)
			returning number`,
			c.Asks, c.Event, c.CameBy, day{c.Received}, moment(c.Verified), day{c.Deadline}, s.whose(c.Event, text.Contact)[0])
		if err != nil {
			return quiet("open a request", err)
		}
		return s.keepText(ctx, tx, c.Number, text)
	})
	return c, merged, err
}

// maxCaseText bounds what messages grow to, in bytes.
const maxCaseText = 16 << 10

func clipText(text string) string {
	if len(text) > maxCaseText {
		return text[:maxCaseText]
	}
	return text
}

// sameCase finds an open and verified case of the same person for the same thing.
func (s *Store) sameCase(ctx context.Context, tx *sqlx.Tx, c Case, text CaseText) (*Case, CaseText, error) {
	var rows []caseRow
	err := tx.SelectContext(ctx, &rows, `
		select `+caseColumns+`
		from cases
		where closed_at is null and verified_at is not null and whose = any($1) and asks = $2 and event_id = $3 and number <> $4
		order by number`, pq.ByteaArray(s.whose(c.Event, text.Contact)), c.Asks, c.Event, c.Number)
	if err != nil {
		return nil, CaseText{}, quiet("look for the same request", err)
	}
	for _, r := range rows {
		old, err := s.openText(r)
		if err != nil {
			return nil, CaseText{}, err
		}
		if old.Field == text.Field {
			same := r.asCase()
			return &same, old, nil
		}
	}
	return nil, CaseText{}, nil
}

func (s *Store) keepText(ctx context.Context, tx *sqlx.Tx, number int, t CaseText) error {
	plain, err := json.Marshal(caseText{t.Contact.Reveal(), t.Message.Reveal(), string(t.Field), t.Value.Reveal(), t.Language})
	if err != nil {
		return errors.New("a request cannot be kept") // its words could quote the person
	}
	cipher, err := chacha20poly1305.NewX(s.keys.Derive(caseUse)[0])
	if err != nil {
		return fmt.Errorf("encrypt a request: %w", err)
	}
	nonce := make([]byte, cipher.NonceSize(), cipher.NonceSize()+len(plain)+cipher.Overhead())
	rand.Read(nonce) //nolint:errcheck // it never fails (crypto/rand)
	_, err = tx.ExecContext(ctx, `update cases set key = $2, sealed = $3 where number = $1`,
		number, s.keys.Newest(), cipher.Seal(nonce, nonce, plain, fmt.Append(nil, number)))
	return quiet("keep a request", err)
}

func (s *Store) openText(r caseRow) (CaseText, error) {
	if r.Sealed == nil {
		return CaseText{}, nil
	}
	i := slices.Index(s.keys.IDs(), r.Key)
	if i < 0 {
		return CaseText{}, fmt.Errorf("request %d is encrypted under the secret %s, which LETHE_SECRET does not list", r.Number, r.Key)
	}
	cipher, err := chacha20poly1305.NewX(s.keys.Derive(caseUse)[i])
	if err != nil {
		return CaseText{}, fmt.Errorf("open a request: %w", err)
	}
	var t caseText
	if n := cipher.NonceSize(); len(r.Sealed) > n {
		plain, err := cipher.Open(nil, r.Sealed[:n], r.Sealed[n:], fmt.Append(nil, r.Number))
		if err == nil && json.Unmarshal(plain, &t) == nil {
			return CaseText{attendees.Personal(t.Contact), attendees.Personal(t.Message), attendees.Field(t.Field), attendees.Personal(t.Value), t.Language}, nil
		}
	}
	return CaseText{}, fmt.Errorf("request %d is damaged", r.Number)
}

// Cases lists all cases, open ones first, those due next before others, then the closed.
func (s *Store) Cases(ctx context.Context) ([]Case, error) {
	return s.cases(ctx, `select `+caseColumns+` from cases order by closed_at desc nulls first, deadline, number`)
}

// CasesOf lists the open cases of the person of an address.
func (s *Store) CasesOf(ctx context.Context, address attendees.Personal) ([]Case, error) {
	var events []attendees.EventID
	err := s.db.SelectContext(ctx, &events, `select distinct event_id from cases where closed_at is null`)
	if err != nil {
		return nil, quiet("look for requests", err)
	}
	var hers pq.ByteaArray
	for _, event := range events {
		hers = append(hers, s.whose(event, attendees.Personal(seal.Normalise(address.Reveal())))...)
	}
	return s.cases(ctx, `
		select `+caseColumns+`
		from cases
		where closed_at is null and whose = any($1)
		order by number`, hers)
}

// whose is by whom a case is found again, under each of the instance's keys, the newest
// first. It differs by event: nobody who has the database alone sees that two are one
// person's.
func (s *Store) whose(event attendees.EventID, contact attendees.Personal) [][]byte {
	return s.keyed(ownerUse, string(event)+"\x00"+contact.Reveal())
}

func (s *Store) cases(ctx context.Context, query string, args ...any) ([]Case, error) {
	var rows []caseRow
	if err := s.db.SelectContext(ctx, &rows, query, args...); err != nil {
		return nil, quiet("list requests", err)
	}
	all := make([]Case, len(rows))
	for i, r := range rows {
		all[i] = r.asCase()
	}
	return all, nil
}

// Case reads one case, with what it holds of the person while it is open.
func (s *Store) Case(ctx context.Context, number int) (Case, CaseText, error) {
	var r caseRow
	err := s.db.GetContext(ctx, &r, `select `+caseColumns+` from cases where number = $1`, number)
	if err != nil {
		return Case{}, CaseText{}, missing("read a request", err, &UnknownCaseError{number})
	}
	text, err := s.openText(r)
	return r.asCase(), text, err
}

// VerifyCases notes that the person of an address has proved that these cases are hers: a
// doubt about who asked ends. It returns those that were not verified before. One for which
// another stands already goes on as that. Others of hers stay as they are: who proves an
// address for one thing has not asked for what a stranger wrote in her name.
func (s *Store) VerifyCases(ctx context.Context, address attendees.Personal, numbers []int) (fresh []Case, err error) {
	waiting, err := s.CasesOf(ctx, address)
	if err != nil {
		return nil, err
	}
	for _, c := range waiting {
		if !slices.Contains(numbers, c.Number) || !c.Verified.IsZero() && !c.Paused() {
			continue
		}
		_, text, err := s.Case(ctx, c.Number)
		if err != nil {
			return nil, err
		}
		var same *Case
		err = s.InTx(ctx, func(tx *sqlx.Tx) error {
			var err error
			if same, _, err = s.sameCase(ctx, tx, c, text); err != nil || same != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `
				update cases
				set verified_at = coalesce(verified_at, $2),
				    resumed_on = case when paused_on is null then null else coalesce(resumed_on, $3) end
				where number = $1 and closed_at is null`, c.Number, s.now(), s.today())
			return quiet("verify a request", err)
		})
		if err != nil {
			return nil, err
		}
		if same != nil && c.Verified.IsZero() {
			if err := s.CloseCase(ctx, c.Number, attendees.Merged, "lethe", ""); err != nil {
				return nil, err
			}
			continue
		}
		if c.Verified.IsZero() {
			c.Verified = s.now()
			fresh = append(fresh, c)
		}
	}
	return fresh, nil
}

// MoveDeadline keeps what moves a case's deadline, and where to.
func (s *Store) MoveDeadline(ctx context.Context, c Case) error {
	optional := func(d attendees.Date) any {
		if d.IsZero() {
			return nil
		}
		return day{d}
	}
	result, err := s.db.ExecContext(ctx, `
		update cases
		set deadline = $2, paused_on = $3, resumed_on = $4, extended = $5, reminded_on = null
		where number = $1 and closed_at is null`,
		c.Number, day{c.Deadline}, optional(c.PausedOn), optional(c.ResumedOn), c.Extended)
	if err != nil {
		return quiet("move a deadline", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, &UnknownCaseError{c.Number})
	}
	return nil
}

// CloseCase answers a case: contact, message and proposed value go, what stays tells of
// nobody, and the ledger has it. reason, staff's words, goes into the ledger alone.
func (s *Store) CloseCase(ctx context.Context, number int, outcome attendees.Outcome, by, reason string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		var r caseRow
		err := tx.GetContext(ctx, &r, `
			update cases
			set outcome = $2, closed_at = $3, decided_by = $4, key = '', sealed = null, whose = null
			where number = $1 and closed_at is null
			returning `+caseColumns, number, outcome, s.now(), by)
		if err != nil {
			return missing("close a request", err, &UnknownCaseError{number})
		}
		_, err = s.record(ctx, tx, ledger.Entry{
			Kind: ledger.Decided, Event: string(r.Event), Right: string(r.Asks), Outcome: string(outcome), Reason: reason,
			Received: r.Received.String(), Counts: map[string]int64{"request": int64(number)},
		})
		return err
	})
}

// CasesToRemind lists the open cases whose deadline comes within some days, or has passed,
// and of which staff were not told today; and notes that they are.
func (s *Store) CasesToRemind(ctx context.Context, today attendees.Date, days []int) ([]Case, error) {
	var dates []string
	for _, n := range days {
		dates = append(dates, today.AddDays(n).String())
	}
	var rows []caseRow
	err := s.db.SelectContext(ctx, &rows, `
		update cases
		set reminded_on = $1
		where closed_at is null and (paused_on is null or resumed_on is not null)
		  and (deadline = any($2::date[]) or deadline < $1) and reminded_on is distinct from $1
		returning `+caseColumns, day{today}, pq.Array(dates))
	all := make([]Case, len(rows))
	for i, r := range rows {
		all[i] = r.asCase()
	}
	slices.SortFunc(all, func(a, b Case) int { return a.Deadline.Compare(b.Deadline) })
	return all, quiet("look for requests that are due", err)
}

// DropCases forgets cases that were closed longer ago than the policy keeps them.
func (s *Store) DropCases(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `delete from cases where closed_at < $1::date`, day{s.today().AddYears(-s.policy.CaseYears)})
	return quiet("drop old requests", err)
}
