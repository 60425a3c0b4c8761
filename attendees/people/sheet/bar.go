package sheet

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// What is what a bar decides.
type What string

// The bars.
const (
	Erased     What = "erased"
	Restricted What = "restricted"
	Held       What = "held"
	Withdrawn  What = "withdrawn"
)

// Bar is what is decided about one registration, or one response, in one event.
type Bar struct {
	// Hash is the key of the response, or of the attendee; of Erased that of the
	// registration's first holder.
	Hash    uuid.UUID             `db:"hash"`
	What    What                  `db:"what"`
	Purpose attendees.PurposeName `db:"purpose"` // of Withdrawn
	Reason  attendees.Reason      `db:"reason"`  // of Restricted
	Waits   bool                  `db:"waits"`   // it is for somebody who is not here yet
	MadeOn  attendees.Date        `db:"made_on"` // today, where it is set
}

const barColumns = `hash, what, purpose, reason, waits, made_on`

// SetBar decides something about somebody, for a caller who has the event's row in tx. The
// zero Event: in all events.
func (d *Desk) SetBar(ctx context.Context, tx db.Tx, e events.Event, b Bar) error {
	_, err := db.Exec(ctx, tx, `
		insert into bars (event_id, hash, what, purpose, reason, waits, made_on)
		values ($1, $2, $3, $4, $5, $6, $7::date)
		on conflict (hash, event_id, what, purpose) do update set reason = excluded.reason, waits = excluded.waits`,
		e.Key, b.Hash, b.What, b.Purpose, b.Reason, b.Waits, d.today())
	return err
}

// LiftBar takes a decision back, for a caller who has the event's row in tx.
func (d *Desk) LiftBar(ctx context.Context, tx db.Tx, e events.Event, hash uuid.UUID, what What) error {
	_, err := db.Exec(ctx, tx, `delete from bars where event_id = $1 and hash = $2 and what = $3`, e.Key, hash, what)
	return err
}

// SetBar decides something about somebody, on the sheet too.
func (sh *Sheet) SetBar(ctx context.Context, b Bar) error {
	sh.Bars[b.Hash] = append(sh.Bars[b.Hash], b)
	return sh.desk.SetBar(ctx, sh.Tx, sh.Event, b)
}

// loadBars loads what is decided about attendees and responses by their keys.
func (sh *Sheet) loadBars(ctx context.Context, hashes []uuid.UUID) error {
	if !sh.some.Bars {
		return nil
	}
	var rows []Bar
	err := db.Select(ctx, sh.Tx, &rows, `
		select `+barColumns+`
		from bars
		where hash = any($1::uuid[]) and event_id = $2`, Texts(hashes), sh.Event.Key)
	for _, b := range rows {
		if !slices.Contains(sh.Bars[b.Hash], b) {
			sh.Bars[b.Hash] = append(sh.Bars[b.Hash], b)
		}
	}
	return err
}

// loadEverywhere loads what is decided for all events about registrations or responses.
func (sh *Sheet) loadEverywhere(ctx context.Context, layers []attendees.Layer) error {
	if !sh.some.Everywhere {
		return nil
	}
	here := map[uuid.UUID]uuid.UUID{}
	var hashes []uuid.UUID
	for _, h := range sh.desk.Secrets.AllHashes() {
		for _, l := range layers {
			ticket, _ := l.Registration()
			hash, key := uuid.UUID(h.Registration("", string(sh.Event.Source), string(ticket))), sh.Base(ticket)
			if form, id := l.Response(); l.Origin() == attendees.FromResponse {
				hash, key = h.Response("", string(form), string(id)), sh.ResponseKey(form, id)
			}
			hashes, here[hash] = append(hashes, hash), key
		}
	}
	var rows []Bar
	err := db.Select(ctx, sh.Tx, &rows, `
		select `+barColumns+`
		from bars
		where hash = any($1::uuid[]) and event_id = $2`, Texts(hashes), uuid.Nil)
	for _, b := range rows {
		b.Hash = here[b.Hash]
		sh.Bars[b.Hash] = append(sh.Bars[b.Hash], b)
	}
	return err
}

// Barred is what is decided of a kind about a registration or response that was loaded.
func (sh *Sheet) Barred(hash uuid.UUID, what What) (b Bar, ok bool) {
	i := slices.IndexFunc(sh.Bars[hash], func(b Bar) bool { return b.What == what })
	if i < 0 {
		return b, false
	}
	return sh.Bars[hash][i], true
}

func (sh *Sheet) withdrawn(id uuid.UUID) (all []attendees.PurposeName) {
	for _, b := range sh.Bars[id] {
		if b.What == Withdrawn {
			all = append(all, b.Purpose)
		}
	}
	return all
}

// isHeld tells whether a hold on the event or the attendee is active.
func (sh *Sheet) isHeld(id uuid.UUID) bool {
	_, ok := sh.Barred(id, Held)
	return ok || sh.Event.Held
}
