package rights

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/ledger"
	"lethe/attendees/seal"
)

// Case is one request. A closed one says nothing of a person.
type Case struct {
	Number    int
	Asks      attendees.Right
	Event     attendees.EventID // empty: all
	CameBy    string            // page, mail, letter or phone
	Received  attendees.Date
	Verified  time.Time // zero: the person has not proved their address
	Deadline  attendees.Date
	PausedOn  attendees.Date // zero: proof of identity was never asked for
	ResumedOn attendees.Date
	Extended  bool
	Outcome   attendees.Outcome
	ClosedAt  time.Time // zero: it is open
	DecidedBy string    // ByLethe: without staff
	RedoneAt  time.Time // zero: no restored backup has undone it
}

// ByLethe decided a case that needed no human judgement.
const ByLethe = "lethe"

// Open tells whether the case waits for an answer.
func (c Case) Open() bool { return c.ClosedAt.IsZero() }

// Paused tells whether the case waits for proof of identity.
func (c Case) Paused() bool { return c.Open() && !c.PausedOn.IsZero() && c.ResumedOn.IsZero() }

// CaseText is what an open case says of a person.
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
	Received  time.Time         `db:"received_on"`
	Verified  sql.NullTime      `db:"verified_at"`
	Deadline  time.Time         `db:"deadline"`
	PausedOn  sql.NullTime      `db:"paused_on"`
	ResumedOn sql.NullTime      `db:"resumed_on"`
	Extended  bool              `db:"extended"`
	Outcome   attendees.Outcome `db:"outcome"`
	ClosedAt  sql.NullTime      `db:"closed_at"`
	DecidedBy string            `db:"decided_by"`
	RedoneAt  sql.NullTime      `db:"redone_at"`
	Sealed    []byte            `db:"sealed"`
}

const caseColumns = `number, asks, event_id, came_by, received_on, verified_at, deadline, paused_on, resumed_on, extended,
	outcome, closed_at, decided_by, redone_at, sealed`

func (r caseRow) asCase() Case {
	day := func(t sql.NullTime) (d attendees.Date) {
		if t.Valid {
			d = attendees.DateOf(t.Time)
		}
		return d
	}
	return Case{
		Number: r.Number, Asks: r.Asks, Event: r.Event, CameBy: r.CameBy, Received: attendees.DateOf(r.Received), Verified: r.Verified.Time,
		Deadline: attendees.DateOf(r.Deadline), PausedOn: day(r.PausedOn), ResumedOn: day(r.ResumedOn), Extended: r.Extended,
		Outcome: r.Outcome, ClosedAt: r.ClosedAt.Time, DecidedBy: r.DecidedBy, RedoneAt: r.RedoneAt.Time,
	}
}

// UnknownCaseError says that there is no case of a number, or none that is open.
type UnknownCaseError struct{ Number int }

func (e *UnknownCaseError) Error() string {
	return fmt.Sprintf("request %d is not open: `lethe requests list` shows those that are", e.Number)
}

// openCase opens a case and gives it its number. Where a verified one of the same person
// for the same thing is open already, the message is added to that one.
func (s *Store) openCase(ctx context.Context, c Case, text CaseText) (_ Case, err error) {
	defer db.Wrap(&err, "open a request")
	text.Contact = attendees.Personal(seal.Normalise(text.Contact.Reveal()))
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if _, err := db.Exec(ctx, tx, `lock table cases in share row exclusive mode`); err != nil {
			return err
		}
		if !c.Verified.IsZero() {
			same, old, err := s.sameCase(ctx, tx, c, text)
			if err != nil {
				return err
			}
			if same != nil {
				text.Message = joined(old.Message, text.Message)
				c = *same
				return s.keepText(ctx, tx, c.Number, text)
			}
		}
		err := db.Get(ctx, tx, &c.Number, `
			insert into cases (asks, event_id, came_by, received_on, verified_at, deadline, owner)
			values ($1, $2, $3, $4, $5, $6, $7)
			returning number`,
			c.Asks, c.Event, c.CameBy, c.Received.String(), moment(c.Verified), c.Deadline.String(), s.owners(c.Event, text.Contact)[0])
		if err != nil {
			return err
		}
		return s.keepText(ctx, tx, c.Number, text)
	})
	return c, err
}

// maxCaseText bounds what the messages of one case grow to, in bytes.
const maxCaseText = 16 << 10

// joined are two messages of one case as one.
func joined(old, more attendees.Personal) attendees.Personal {
	switch {
	case more == "" || more == old:
		return old
	case old == "":
		return more
	}
	text := old.Reveal() + "\n\n" + more.Reveal()
	return attendees.Personal(text[:min(len(text), maxCaseText)])
}

// sameCase finds an open and verified case of the same person for the same thing.
func (s *Store) sameCase(ctx context.Context, tx db.Tx, c Case, text CaseText) (*Case, CaseText, error) {
	var rows []caseRow
	err := db.Select(ctx, tx, &rows, `
		select `+caseColumns+`
		from cases
		where closed_at is null and verified_at is not null and owner = any($1) and asks = $2 and event_id = $3 and number <> $4
		order by number`, s.owners(c.Event, text.Contact), c.Asks, c.Event, c.Number)
	if err != nil {
		return nil, CaseText{}, err
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

func (s *Store) keepText(ctx context.Context, tx db.Tx, number int, t CaseText) error {
	plain, err := json.Marshal(caseText{t.Contact.Reveal(), t.Message.Reveal(), string(t.Field), t.Value.Reveal(), t.Language})
	if err != nil {
		return errors.New("a request cannot be stored") // its words could quote the person
	}
	_, err = db.Exec(ctx, tx, `update cases set sealed = $2 where number = $1`, number, s.keys.SealText(textPlace(number), plain))
	return err
}

// textPlace binds a case's text to its case.
func textPlace(number int) seal.Place { return seal.Place{Key: "case", Number: number} }

func (s *Store) openText(r caseRow) (CaseText, error) {
	if r.Sealed == nil {
		return CaseText{}, nil
	}
	plain, err := s.keys.OpenText(textPlace(r.Number), r.Sealed)
	if err != nil {
		return CaseText{}, fmt.Errorf("request %d: %w", r.Number, err)
	}
	var t caseText
	if json.Unmarshal(plain, &t) != nil {
		return CaseText{}, fmt.Errorf("request %d is damaged", r.Number)
	}
	return CaseText{attendees.Personal(t.Contact), attendees.Personal(t.Message), attendees.Field(t.Field), attendees.Personal(t.Value), t.Language}, nil
}

// Cases lists all cases: open ones first, those due next before others, then the closed.
func (s *Store) Cases(ctx context.Context) (_ []Case, err error) {
	defer db.Wrap(&err, "list requests")
	return s.cases(ctx, s.pool, `select `+caseColumns+` from cases order by closed_at desc nulls first, deadline, number`)
}

// CasesOf lists the open cases of the person of an address.
func (s *Store) CasesOf(ctx context.Context, address attendees.Personal) (_ []Case, err error) {
	defer db.Wrap(&err, "look for a person's requests")
	var events []attendees.EventID
	if err := db.Select(ctx, s.pool, &events, `select distinct event_id from cases where closed_at is null`); err != nil {
		return nil, err
	}
	var owned pq.ByteaArray
	for _, event := range events {
		owned = append(owned, s.owners(event, attendees.Personal(seal.Normalise(address.Reveal())))...)
	}
	return s.cases(ctx, s.pool, `
		select `+caseColumns+`
		from cases
		where closed_at is null and owner = any($1)
		order by number`, owned)
}

// owners are by what a case is found again, under each secret, the newest first. It differs
// by event: with the database alone nobody sees that two cases are one person's.
func (s *Store) owners(event attendees.EventID, contact attendees.Personal) pq.ByteaArray {
	return s.keyed(ownerUse, string(event)+"\x00"+contact.Reveal())
}

func (s *Store) cases(ctx context.Context, q db.Queryer, query string, args ...any) ([]Case, error) {
	var rows []caseRow
	if err := db.Select(ctx, q, &rows, query, args...); err != nil {
		return nil, err
	}
	all := make([]Case, len(rows))
	for i, r := range rows {
		all[i] = r.asCase()
	}
	return all, nil
}

// Case reads one case, with what it says of the person while it is open.
func (s *Store) Case(ctx context.Context, number int) (c Case, text CaseText, err error) {
	defer db.Wrap(&err, "read request %d", number)
	var r caseRow
	err = db.Get(ctx, s.pool, &r, `select `+caseColumns+` from cases where number = $1`, number)
	if errors.Is(err, sql.ErrNoRows) {
		err = &UnknownCaseError{number}
	}
	if err != nil {
		return c, text, err
	}
	text, err = s.openText(r)
	return r.asCase(), text, err
}

// verifyCases records that the person of an address has proved that these cases came from
// them, and returns those that were not verified before. One for which another is open
// already is merged into that. Their other cases stay as they are: who proves an address
// for one request has not asked for what a stranger wrote in their name.
func (s *Store) verifyCases(ctx context.Context, address attendees.Personal, numbers []int) (fresh []Case, err error) {
	defer db.Wrap(&err, "verify requests")
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
		var merged bool
		err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
			same, _, err := s.sameCase(ctx, tx, c, text)
			if err != nil {
				return err
			}
			if merged = same != nil && c.Verified.IsZero(); merged {
				return s.closeCase(ctx, tx, c.Number, attendees.Merged, ByLethe, "")
			}
			_, err = db.Exec(ctx, tx, `
				update cases
				set verified_at = coalesce(verified_at, $2),
				    resumed_on = case when paused_on is null then null else coalesce(resumed_on, $3::date) end
				where number = $1 and closed_at is null`, c.Number, s.now(), s.today().String())
			return err
		})
		if err != nil {
			return nil, err
		}
		if !merged && c.Verified.IsZero() {
			c.Verified = s.now()
			fresh = append(fresh, c)
		}
	}
	return fresh, nil
}

// moveDeadline stores what moves a case's deadline, and where to.
func (s *Store) moveDeadline(ctx context.Context, c Case) (err error) {
	defer db.Wrap(&err, "move the deadline of request %d", c.Number)
	n, err := db.Exec(ctx, s.pool, `
		update cases
		set deadline = $2, paused_on = $3, resumed_on = $4, extended = $5, reminded_on = null
		where number = $1 and closed_at is null`,
		c.Number, c.Deadline.String(), day(c.PausedOn), day(c.ResumedOn), c.Extended)
	if err == nil && n == 0 {
		err = &UnknownCaseError{c.Number}
	}
	return err
}

// closeCase closes a case: contact, message and proposed value go, what stays names no
// person, and the ledger has it. reason, staff's words, is in the ledger alone.
func (s *Store) closeCase(ctx context.Context, tx db.Tx, number int, outcome attendees.Outcome, by, reason string) error {
	var r caseRow
	err := db.Get(ctx, tx, &r, `
		update cases
		set outcome = $2, closed_at = $3, decided_by = $4, sealed = null, owner = null
		where number = $1 and closed_at is null
		returning `+caseColumns, number, outcome, s.now(), by)
	if errors.Is(err, sql.ErrNoRows) {
		return &UnknownCaseError{number}
	}
	if err != nil {
		return err
	}
	_, err = s.ledger.Record(ctx, tx, ledger.Entry{
		Kind: ledger.Decided, Event: string(r.Event), Right: string(r.Asks), Outcome: string(outcome), Reason: reason,
		Received: attendees.DateOf(r.Received).String(), Counts: map[string]int64{"request": int64(number)},
	})
	return err
}

// casesToRemind lists the open cases whose deadline is in one of days, or has passed, and of
// which staff were not told today; and records that they are.
func (s *Store) casesToRemind(ctx context.Context, days []int) (all []Case, err error) {
	defer db.Wrap(&err, "look for requests that are due")
	today := s.today()
	var dates pq.StringArray
	for _, n := range days {
		dates = append(dates, today.AddDays(n).String())
	}
	all, err = s.cases(ctx, s.pool, `
		update cases
		set reminded_on = $1::date
		where closed_at is null and (paused_on is null or resumed_on is not null)
		  and (deadline = any($2::date[]) or deadline < $1::date) and reminded_on is distinct from $1::date
		returning `+caseColumns, today.String(), dates)
	slices.SortFunc(all, func(a, b Case) int { return a.Deadline.Compare(b.Deadline) })
	return all, err
}

// dropSpent removes cases that were closed longer ago than the policy keeps them, and
// visits that have ended.
func (s *Store) dropSpent(ctx context.Context) (err error) {
	defer db.Wrap(&err, "drop old requests and visits")
	if _, err := db.Exec(ctx, s.pool, `delete from cases where closed_at < $1::date`, s.today().AddYears(-s.policy.CaseYears).String()); err != nil {
		return err
	}
	_, err = db.Exec(ctx, s.pool, `delete from visits where expires_at < $1`, s.now())
	return err
}

// day is a date as a parameter; the zero date is null.
func day(d attendees.Date) any {
	if d.IsZero() {
		return nil
	}
	return d.String()
}

// moment is a time as a parameter; the zero time is null.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
