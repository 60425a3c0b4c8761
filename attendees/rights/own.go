package rights

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// under is one reading of what is stored under an address.
type under struct {
	*Store
	q       db.Queryer
	address string // normalised
	all     []Holding
}

// found is what was found in one event.
type found struct {
	event                attendees.EventID
	index                []byte // of the address there
	attendees, responses []uuid.UUID
}

// Under reads everything that is stored under an address that was proved, of every event at
// once, the event that ends last first. Sealed records are opened in memory by the person's
// half; what does not open for exactly this address stays closed.
func (s *Store) Under(ctx context.Context, address attendees.Personal) (_ []Holding, err error) {
	defer db.Wrap(&err, "read what is stored under an address")
	u := under{Store: s, address: string(normalised(address))}
	if u.address == "" {
		return nil, nil
	}
	err = db.Snapshot(ctx, u.Pool, func(tx db.Tx) error {
		u.q = tx
		hits, err := u.find(ctx)
		if err != nil {
			return err
		}
		var ids []attendees.EventID
		for _, f := range hits {
			ids = append(ids, f.event)
		}
		known, err := u.Events.Known(ctx, tx, ids)
		for i := 0; err == nil && i < len(hits); i++ {
			err = u.event(ctx, known[hits[i].event], hits[i])
		}
		return err
	})
	slices.SortStableFunc(u.all, func(a, b Holding) int {
		return cmp.Or(b.EndsOn.Compare(a.EndsOn), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Own.id(), b.Own.id()))
	})
	return u.all, err
}

func (r *Registration) id() attendees.AttendeeID {
	if r == nil {
		return ""
	}
	return r.ID
}

// find looks in every event by the address's index there, in one statement.
func (u *under) find(ctx context.Context) (hits []found, err error) {
	var list []struct {
		Key    uuid.UUID         `db:"id"`
		ID     attendees.EventID `db:"source_id"`
		Secret string            `db:"secret"`
	}
	if err := db.Select(ctx, u.q, &list, `select id, source_id, secret from events where state <> 'deleted'`); err != nil {
		return nil, err
	}
	var keys pq.StringArray
	var indexes pq.ByteaArray
	for _, e := range list {
		h, err := u.Secrets.Hashes(e.Secret)
		if err != nil {
			return nil, err
		}
		keys, indexes = append(keys, e.Key.String()), append(indexes, h.Address(string(e.ID), u.address))
	}
	var rows []struct {
		Event     int       `db:"event"` // its place in the list, from 1
		ID        uuid.UUID `db:"id"`
		Responded bool      `db:"responded"`
	}
	err = db.Select(ctx, u.q, &rows, `
		select asked.event, hit.id, hit.responded
		from unnest($1::uuid[], $2::bytea[]) with ordinality as asked (event_id, address_index, event)
		cross join lateral (
			select id, false as responded
			from attendees
			where event_id = asked.event_id and address_index = asked.address_index
			union all
			select id, true
			from responses
			where event_id = asked.event_id and address_index = asked.address_index and layer is not null
			offset 0 -- two look-ups by index for each: as a join it might read everybody
		) as hit
		order by asked.event, hit.id`, keys, indexes)
	for _, r := range rows {
		if n := len(hits); n == 0 || hits[n-1].event != list[r.Event-1].ID {
			hits = append(hits, found{event: list[r.Event-1].ID, index: indexes[r.Event-1]})
		}
		f := &hits[len(hits)-1]
		if r.Responded {
			f.responses = append(f.responses, r.ID)
		} else {
			f.attendees = append(f.attendees, r.ID)
		}
	}
	return hits, err
}

// event reads what is stored in one event.
func (u *under) event(ctx context.Context, e events.Event, f found) error {
	several, err := u.Reader.These(ctx, u.q, e, f.attendees)
	if err != nil {
		return err
	}
	bare := u.holding(e)
	if bare.Shared = sharedBy(several); bare.Shared > 0 {
		u.all = append(u.all, bare)
		return nil
	}
	for _, p := range several {
		h := u.holding(e)
		if err := u.registration(ctx, &h, p, f.index); err != nil {
			return err
		}
		f.responses = slices.DeleteFunc(f.responses, func(id uuid.UUID) bool {
			return slices.ContainsFunc(p.Responses, func(r reader.Response) bool { return r.ID == id })
		})
		u.all = append(u.all, h)
	}
	if len(f.responses) == 0 {
		return nil
	}
	if len(several) == 0 {
		u.all = append(u.all, bare)
	}
	u.all[len(u.all)-1].Answers, err = u.answers(ctx, e, f.responses)
	return err
}

// sharedBy is how many registrations have the address, where they may be several people's:
// attending or former holders, or cancelled tickets of another name.
func sharedBy(all []reader.Person) int {
	live, marked, names := 0, false, map[string]bool{}
	for _, p := range all {
		marked = marked || p.Shared
		if p.Standing == attendees.Attending || p.Standing == attendees.Gone {
			live++
		}
		if !p.Registration.IsZero() {
			names[seal.FoldName(p.Registration.Name().Reveal())] = true
		}
	}
	if marked || live > 1 || len(names) > 1 {
		return len(all)
	}
	return 0
}

// registration reads one registration: readable, or by the person's own halves. Under each
// address what was given under it is shown.
func (u *under) registration(ctx context.Context, h *Holding, p reader.Person, index []byte) error {
	h.Own = &Registration{
		Key: p.ID, State: active, Reason: p.Reason, Withdrawn: []attendees.PurposeName{}, Agreed: p.Agreed || p.CountsAsAgreed, Fields: []Field{},
	}
	if err := u.uses(ctx, h); err != nil {
		return err
	}
	if p.State != attendees.Open || h.Event.State != attendees.Open {
		h.Own.State = attendees.Blocked
		return u.sealed(ctx, h)
	}
	p.Responses = slices.DeleteFunc(p.Responses, func(r reader.Response) bool {
		return len(r.AddressIndex) > 0 && !bytes.Equal(r.AddressIndex, index)
	})
	u.show(h.Own, p.Merged(u.Policy))
	return nil
}

// show fills a registration with all that is stored of an attendee.
func (u *under) show(own *Registration, a attendees.Attendee) {
	u.showRecord(own, a.Record(u.Policy, "", true))
	own.Fields = append(own.Fields, Field{
		Field: "status", Values: []Value{Value(a.Standing)}, From: attendees.Eventbrite, Purposes: []Use{},
	})
}

func (u *under) showRecord(own *Registration, r attendees.Record) {
	// A former holder's id names the holder.
	if own.ID = r.Attendee; r.Standing == attendees.Gone {
		own.ID = people.HolderID(r.Attendee, r.Holder)
	}
	own.Registered, own.Fields, own.Other = r.Registered, u.fields(r.Fields, attendees.Eventbrite), u.fields(r.Other, attendees.Eventbrite)
}

func (u *under) fields(said []attendees.RecordField, from attendees.SourceName) []Field {
	all := make([]Field, 0, len(said))
	for _, f := range said {
		one := Field{Field: f.Field, From: from, Corrected: f.Corrected, Purposes: []Use{}}
		if f.Origin == attendees.FromResponse {
			one.From = attendees.Typeform
		}
		for _, v := range f.Values {
			one.Values = append(one.Values, Value(v))
		}
		for _, name := range f.Purposes {
			purpose, _ := u.Policy.Purpose(name)
			one.Purposes = append(one.Purposes, Use{name, purpose.Basis})
		}
		all = append(all, one)
	}
	return all
}

// sealed opens a registration's records by the person's halves. A restricted one opens only
// where every number does. Else the record that has most in it is shown: a hold's has all
// that a duty's has.
func (u *under) sealed(ctx context.Context, h *Holding) error {
	records, err := u.Reader.Records(ctx, u.q, h.Event, h.Own.Key)
	if err != nil {
		return err
	}
	var best attendees.Record
	closed := len(records) == 0
	for _, r := range records {
		h.Own.SealedOn = r.On
		var text []byte
		halves, err := u.Vault.Halves(ctx, u.q, reader.Ref(h.Event), vault.KeyOf(r.Kind), r.Generation)
		if err == nil {
			text, err = halves.Open(u.address, r.Attendee, r.Number, r.Kind, r.Half)
		}
		if errors.Is(err, vault.ErrDestroyed) || errors.Is(err, seal.ErrKey) {
			closed = closed || r.Kind != "corrected" && r.Kind != string(vault.Doubt)
			continue
		}
		if err != nil {
			return err
		}
		switch r.Kind {
		case "restricted":
			h.Opened = append(h.Opened, text)
		case "corrected":
		default:
			one, err := attendees.ParseRecord(text)
			if err != nil {
				return err
			}
			if len(one.Fields) >= len(best.Fields) {
				best = one
			}
		}
	}
	switch {
	case len(h.Opened) > 0 && !closed:
		a, err := people.Opened(u.Policy, h.Opened)
		if err != nil {
			return err
		}
		u.show(h.Own, a)
	case best.Attendee != "":
		u.showRecord(h.Own, best)
	default:
		h.Opened, h.Closed = nil, true
	}
	return nil
}

// uses reads which exports include a person, when staff looked at them, which consents they
// withdrew, and whether a hold is active.
func (u *under) uses(ctx context.Context, h *Holding) error {
	exports, err := u.Exports.Of(ctx, u.q, h.Event, h.Own.Key)
	if err != nil {
		return err
	}
	for _, r := range exports {
		h.Lists = append(h.Lists, List{r.Purpose, r.At.UTC()})
	}
	var marks []struct {
		What    string                `db:"what"`
		Purpose attendees.PurposeName `db:"purpose"`
		At      time.Time             `db:"at"`
	}
	err = db.Select(ctx, u.q, &marks, `
		select 'look' as what, '' as purpose, at
		from looks
		where event_id = $1 and attendee_id = $2
		union all
		select what, purpose, made_on
		from bars
		where event_id = $1 and hash = $2 and what in ('withdrawn', 'held')
		order by at desc, purpose`, h.Event.Key, h.Own.Key)
	for _, m := range marks {
		switch m.What {
		case "look":
			h.Looks = append(h.Looks, m.At.UTC())
		case "withdrawn":
			h.Own.Withdrawn = append(h.Own.Withdrawn, m.Purpose)
		default:
			h.OnHold = true
		}
	}
	return err
}

// answers reads responses under the address that its registration does not show.
func (u *under) answers(ctx context.Context, e events.Event, ids []uuid.UUID) (all []Answer, err error) {
	responses, err := u.Reader.Responses(ctx, u.q, e, ids)
	for _, r := range responses {
		form, _ := r.Layer.Response()
		one := Answer{Key: r.ID, Matched: r.Attendee != uuid.Nil, Form: form, Submitted: r.Layer.Submitted()}
		if !one.Matched && r.Claims == uuid.Nil {
			one.DropsOn = r.CameOn.AddDays(u.Policy.UnmatchedDays)
		}
		a := attendees.Merge(u.Policy, attendees.Layer{}, []attendees.Layer{r.Layer}, attendees.Layer{})
		a.Standing = attendees.Attending
		said := a.Record(u.Policy, "", true)
		one.Fields = u.fields(append(said.Fields, said.Other...), attendees.Typeform)
		all = append(all, one)
	}
	return all, err
}
