package rights

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/ledger"
	"lethe/attendees/seal"
)

// Request is what somebody asks for. It is sealed, and what it says of a person is gone once
// its case is closed.
type Request struct {
	Asks     attendees.Right   `db:"asks" json:"asks"`
	Event    attendees.EventID `db:"event_id" json:"event"`          // empty: all
	CameBy   string            `db:"came_by" json:"came_by"`         // page, mail, letter or phone
	Received attendees.Date    `db:"received_on" json:"received_on"` // zero: today
	Contact  Value             `db:"-" json:"contact"`               // the normalised address, which Desk sets
	Message  Value             `db:"-" json:"message"`
	Field    attendees.Field   `db:"-" json:"field,omitempty"` // of a rectification
	Value    Value             `db:"-" json:"value"`           // of a rectification
	Language string            `db:"-" json:"language"`
}

// Case is one request on its way to an answer.
type Case struct {
	Number int `db:"number" json:"number"`
	Request
	AnswerBy  attendees.Date `db:"-" json:"answer_by"` // in a File; elsewhere see Desk.Deadline
	Verified  *time.Time     `db:"verified_at" json:"-"`
	PausedOn  attendees.Date `db:"paused_on" json:"-"` // zero: proof of identity was never asked for
	ResumedOn attendees.Date `db:"resumed_on" json:"-"`
	Extended  bool           `db:"extended" json:"-"`
	// RemindedOn is the day on which staff were last told that it is due.
	RemindedOn attendees.Date    `db:"reminded_on" json:"-"`
	Outcome    attendees.Outcome `db:"outcome" json:"outcome"`
	ClosedAt   *time.Time        `db:"closed_at" json:"-"`
	DecidedBy  string            `db:"decided_by" json:"-"`
	RedoneAt   *time.Time        `db:"redone_at" json:"-"` // nil: no restored backup has undone it
}

const caseColumns = `number, asks, event_id, came_by, received_on, verified_at, paused_on, resumed_on, extended, reminded_on,
	outcome, closed_at, decided_by, redone_at, sealed`

// ByLethe decided a case that needed no human judgement.
const ByLethe = "lethe"

// Open tells whether the case waits for an answer.
func (c Case) Open() bool { return c.ClosedAt == nil }

// Paused tells whether the case waits for proof of identity.
func (c Case) Paused() bool { return c.Open() && !c.PausedOn.IsZero() && c.ResumedOn.IsZero() }

// same tells whether another open case is the same person's for the same thing.
func (c Case) same(o Case) bool {
	return o.Verified != nil && o.Number != c.Number && o.Asks == c.Asks && o.Event == c.Event && o.Field == c.Field
}

// UnknownCaseError says that there is no case of a number, or none that is open.
type UnknownCaseError struct{ Number int }

func (e *UnknownCaseError) Error() string {
	return fmt.Sprintf("request %d is not open: `lethe requests list` shows those that are", e.Number)
}

// cases reads cases with what they say of people.
func (s *Store) cases(ctx context.Context, q db.Queryer, query string, args ...any) (all []Case, err error) {
	var rows []struct {
		Case
		Sealed []byte `db:"sealed"`
	}
	if err := db.Select(ctx, q, &rows, query, args...); err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.Sealed != nil {
			text, err := s.Secrets.OpenText(casePlace(r.Number), r.Sealed)
			if err != nil {
				return nil, fmt.Errorf("request %d: %w", r.Number, err)
			}
			if json.Unmarshal(text, &r.Request) != nil {
				return nil, fmt.Errorf("request %d is damaged", r.Number)
			}
		}
		all = append(all, r.Case)
	}
	return all, nil
}

// casePlace binds a case's text to its case.
func casePlace(number int) seal.Place { return seal.Place{Key: "case", Number: number} }

// owners are by what a case is found again, under each secret, the newest first. It differs
// by event, and from the address index there: from the database no one sees that two
// cases are one person's, or whose.
func (s *Store) owners(event attendees.EventID, contact Value) (all pq.ByteaArray) {
	for _, h := range s.Secrets.AllHashes() {
		all = append(all, h.Address("request "+string(event), string(contact)))
	}
	return all
}

// Cases lists all cases: open ones first, in the order in which they came, then the closed.
func (s *Store) Cases(ctx context.Context) (_ []Case, err error) {
	defer db.Wrap(&err, "list requests")
	return s.cases(ctx, s.Pool, `
		select `+caseColumns+`
		from cases
		order by closed_at desc nulls first, received_on, number`)
}

// Case reads one case.
func (s *Store) Case(ctx context.Context, number int) (c Case, err error) {
	defer db.Wrap(&err, "read request %d", number)
	return s.one(ctx, s.Pool, number)
}

func (s *Store) one(ctx context.Context, q db.Queryer, number int) (Case, error) {
	all, err := s.cases(ctx, q, `select `+caseColumns+` from cases where number = $1`, number)
	if err == nil && len(all) == 0 {
		err = &UnknownCaseError{number}
	}
	if err != nil {
		return Case{}, err
	}
	return all[0], nil
}

// CasesOf lists the open cases of the person of an address.
func (s *Store) CasesOf(ctx context.Context, address attendees.Personal) (_ []Case, err error) {
	defer db.Wrap(&err, "look for a person's requests")
	return s.casesOf(ctx, s.Pool, normalised(address))
}

func (s *Store) casesOf(ctx context.Context, q db.Queryer, address Value) ([]Case, error) {
	var events []attendees.EventID
	if err := db.Select(ctx, q, &events, `select distinct event_id from cases where closed_at is null`); err != nil {
		return nil, err
	}
	var owned pq.ByteaArray
	for _, event := range events {
		owned = append(owned, s.owners(event, address)...)
	}
	return s.cases(ctx, q, `
		select `+caseColumns+`
		from cases
		where closed_at is null and owner = any($1)
		order by number`, owned)
}

// locked runs something in a transaction in which nobody else opens or changes a case.
func (s *Store) locked(ctx context.Context, do func(tx db.Tx) error) error {
	return db.InTx(ctx, s.Pool, func(tx db.Tx) error {
		if _, err := db.Exec(ctx, tx, `lock table cases in share row exclusive mode`); err != nil {
			return err
		}
		return do(tx)
	})
}

// save stores an open case as it is now. One that it closes loses contact, message and
// proposed value: what stays names no person.
func (s *Store) save(ctx context.Context, tx db.Tx, c Case) error {
	var sealed, owner []byte
	if c.Open() {
		text, _ := json.Marshal(c.Request) // texts are always JSON
		sealed, owner = s.Secrets.SealText(casePlace(c.Number), text), s.owners(c.Event, c.Contact)[0]
	}
	n, err := db.Exec(ctx, tx, `
		update cases
		set verified_at = $2, paused_on = $3, resumed_on = $4, extended = $5, reminded_on = $6, outcome = $7, closed_at = $8, decided_by = $9,
			sealed = $10, owner = $11
		where number = $1 and closed_at is null`,
		c.Number, c.Verified, c.PausedOn, c.ResumedOn, c.Extended, c.RemindedOn, c.Outcome, c.ClosedAt, c.DecidedBy, sealed, owner)
	if err == nil && n == 0 {
		err = &UnknownCaseError{c.Number}
	}
	return err
}

// change changes an open case.
func (s *Store) change(ctx context.Context, number int, how func(c *Case) error) (c Case, err error) {
	defer db.Wrap(&err, "change request %d", number)
	err = s.locked(ctx, func(tx db.Tx) error {
		if c, err = s.one(ctx, tx, number); err != nil {
			return err
		}
		if err := how(&c); err != nil {
			return err
		}
		return s.save(ctx, tx, c)
	})
	return c, err
}

// closeCase closes a case, and the ledger has it. reason, staff's words, is nowhere else.
func (s *Store) closeCase(ctx context.Context, tx db.Tx, c *Case, outcome attendees.Outcome, by, reason string) error {
	now := s.Now()
	c.Outcome, c.ClosedAt, c.DecidedBy = outcome, &now, by
	if err := s.save(ctx, tx, *c); err != nil {
		return err
	}
	_, err := s.Ledger.Record(ctx, tx, ledger.Entry{
		Kind: ledger.Decided, Event: string(c.Event), Right: string(c.Asks), Outcome: string(outcome), Reason: reason,
		Received: c.Received.String(), Counts: map[string]int64{"request": int64(c.Number)},
	})
	return err
}

// openCase opens a case and gives it its number. Where a verified one of the same person
// for the same thing is open already, the message is added to that one.
func (s *Store) openCase(ctx context.Context, c Case) (_ Case, err error) {
	defer db.Wrap(&err, "open a request")
	err = s.locked(ctx, func(tx db.Tx) error {
		open, err := s.casesOf(ctx, tx, c.Contact)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(open, c.same); i >= 0 && c.Verified != nil {
			same := open[i]
			same.Message, same.Value, same.Language = joined(same.Message, c.Message), c.Value, c.Language
			c = same
			return s.save(ctx, tx, c)
		}
		err = db.Get(ctx, tx, &c.Number, `
			insert into cases (asks, event_id, came_by, received_on)
			values ($1, $2, $3, $4)
			returning number`, c.Asks, c.Event, c.CameBy, c.Received)
		if err != nil {
			return err
		}
		return s.save(ctx, tx, c)
	})
	return c, err
}

// maxCaseText bounds what the messages of one case grow to, in bytes.
const maxCaseText = 16 << 10

// joined are two messages of one case as one.
func joined(old, more Value) Value {
	if more == "" || more == old {
		return old
	}
	text := Value(strings.TrimPrefix(string(old+"\n\n"+more), "\n\n"))
	return text[:min(len(text), maxCaseText)]
}

// verify records that the person of an address has proved that these cases came from them,
// and returns those that were not verified before. One for which another is open already is
// merged into that. Their other cases stay as they are: who proves an address for one
// request has not asked for what a stranger wrote in their name.
func (s *Store) verify(ctx context.Context, address attendees.Personal, numbers []int) (fresh []Case, err error) {
	defer db.Wrap(&err, "verify requests")
	err = s.locked(ctx, func(tx db.Tx) error {
		open, err := s.casesOf(ctx, tx, normalised(address))
		now := s.Now()
		for i := range open {
			c := &open[i]
			isNew := c.Verified == nil
			switch {
			case err != nil:
				return err
			case !slices.Contains(numbers, c.Number) || !isNew && !c.Paused():
				continue
			case isNew && slices.ContainsFunc(open, c.same):
				err = s.closeCase(ctx, tx, c, attendees.Merged, ByLethe, "")
				continue
			case c.Paused():
				c.ResumedOn = s.today()
			}
			if isNew {
				c.Verified = &now
				fresh = append(fresh, *c)
			}
			err = s.save(ctx, tx, *c)
		}
		return err
	})
	return fresh, err
}

// dropSpent removes cases that were closed longer ago than the policy keeps them, and
// visits that have ended.
func (s *Store) dropSpent(ctx context.Context) (err error) {
	defer db.Wrap(&err, "drop old requests and visits")
	if _, err := db.Exec(ctx, s.Pool, `delete from cases where closed_at < $1`, s.today().AddYears(-s.Policy.CaseYears)); err != nil {
		return err
	}
	_, err = db.Exec(ctx, s.Pool, `delete from visits where expires_at < $1`, s.Now())
	return err
}
