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

// Bar is what is decided about one attendee, registration or response: in one event, or in
// all. Erased is decided about registrations, not about one holder.
type Bar struct {
	Hash    uuid.UUID             `db:"hash"` // the key in the event; in all events that of no event, under any secret
	What    What                  `db:"what"`
	Purpose attendees.PurposeName `db:"purpose"` // of Withdrawn
	Reason  attendees.Reason      `db:"reason"`  // of Restricted
	MadeOn  attendees.Date        `db:"made_on"` // today, where it is set
}

// SetBar decides something about somebody, for a caller who has the event's row in tx. The
// zero Event: in all events.
func (d *Desk) SetBar(ctx context.Context, tx db.Tx, e events.Event, b Bar) error {
	_, err := db.Exec(ctx, tx, `
		insert into bars (event_id, hash, what, purpose, reason, made_on)
		values ($1, $2, $3, $4, $5, $6::date)
		on conflict (hash, event_id, what, purpose) do update set reason = excluded.reason`,
		e.Key, b.Hash, b.What, b.Purpose, b.Reason, d.today())
	return err
}

// LiftBar takes a decision back, for a caller who has the event's row in tx.
func (d *Desk) LiftBar(ctx context.Context, tx db.Tx, e events.Event, hash uuid.UUID, what What) error {
	_, err := db.Exec(ctx, tx, `delete from bars where event_id = $1 and hash = $2 and what = $3`, e.Key, hash, what)
	return err
}

// SetBar decides something about somebody, on the sheet too.
func (sh *Sheet) SetBar(ctx context.Context, b Bar) error {
	sh.bars[b.Hash] = append(sh.bars[b.Hash], b)
	return sh.desk.SetBar(ctx, sh.Tx, sh.Event, b)
}

// ticket is the registration that a layer is of, or that a response names.
func ticket(l attendees.Layer) attendees.AttendeeID {
	if l.Origin() == attendees.FromResponse {
		return l.Claims()
	}
	id, _ := l.Registration()
	return id
}

// loadBars loads what is decided about attendees and responses by their keys, and what is
// decided for all events about what layers are of, or name.
func (sh *Sheet) loadBars(ctx context.Context, keys []uuid.UUID, layers []attendees.Layer) error {
	if !sh.some.Bars {
		return nil
	}
	here := make(map[uuid.UUID]uuid.UUID, len(keys)+2*len(layers))
	for _, k := range keys {
		here[k] = k
	}
	for _, h := range sh.desk.Secrets.AllHashes() {
		for _, l := range layers {
			if id := ticket(l); id != "" {
				here[h.Registration("", string(sh.Event.Source), string(id))] = sh.Base(id)
			}
			if form, id := l.Response(); l.Origin() == attendees.FromResponse {
				here[h.Response("", string(form), string(id))] = sh.ResponseKey(form, id)
			}
		}
	}
	hashes := make([]uuid.UUID, 0, len(here))
	for hash := range here {
		hashes = append(hashes, hash)
	}
	var rows []Bar
	err := db.Select(ctx, sh.Tx, &rows, `
		select hash, what, purpose, reason, made_on
		from bars
		where hash = any($1::uuid[]) and event_id in ($2, $3)`, Texts(hashes), sh.Event.Key, uuid.Nil)
	for _, b := range rows {
		if b.Hash = here[b.Hash]; !slices.Contains(sh.bars[b.Hash], b) {
			sh.bars[b.Hash] = append(sh.bars[b.Hash], b)
		}
	}
	return err
}

// BarsOf are what is decided about an attendee who was loaded.
func (sh *Sheet) BarsOf(p *Person) []Bar { return sh.bars[p.ID] }

// Barred is what is decided of a kind about a registration or response that was loaded.
func (sh *Sheet) Barred(hash uuid.UUID, what What) (b Bar, ok bool) {
	i := slices.IndexFunc(sh.bars[hash], func(b Bar) bool { return b.What == what })
	if i < 0 {
		return b, false
	}
	return sh.bars[hash][i], true
}

func (sh *Sheet) withdrawn(id uuid.UUID) (all []attendees.PurposeName) {
	for _, b := range sh.bars[id] {
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
