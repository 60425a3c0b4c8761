package rights

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// Holding is what is stored for one event under one address, as its person may see it: a
// registration, or what is there without one.
type Holding struct {
	Event events.Event
	Own   *OwnRecord // nil where it cannot be shown: see Shared
	// Shared is how many registrations have the address where it may be several people's:
	// whose each is only staff can say, so the person sees the number and nothing else.
	Shared  int
	Closed  bool        // the record is sealed and does not open for its person any more
	Answers []OwnAnswer // responses under the address that are not matched to its registration
	Lists   []export.Receipt
	Looks   []Look
	OnHold  bool
}

// Look is one look of a member of staff at a person.
type Look struct {
	By uuid.UUID `db:"looked_by"` // the user
	At time.Time `db:"at"`
}

// OwnRecord is one registration of the person who asks.
type OwnRecord struct {
	Key        uuid.UUID
	ID         attendees.AttendeeID // former holders: ID~1
	State      attendees.State
	Reason     attendees.Reason
	Registered time.Time
	SealedOn   attendees.Date // zero: it is not sealed
	Withdrawn  []attendees.PurposeName
	Agreed     bool
	Fields     []OwnField
	opened     [][]byte // what was sealed for a restriction, in its order
}

// OwnField is one field with its source.
type OwnField struct {
	Field     attendees.Field // of a custom answer: answers.NAME
	Values    []attendees.Personal
	From      attendees.SourceName
	Corrected bool // at the person's request, and the source does not say so yet
	Purposes  []attendees.PurposeName
}

// OwnAnswer is a response that the person gave.
type OwnAnswer struct {
	Form      attendees.FormID
	ID        attendees.ResponseID
	Submitted time.Time
	DropsOn   attendees.Date // zero: with its event
	Fields    []OwnField
}

// Anything tells whether anything is stored under an address, a request included.
func (s *Store) Anything(ctx context.Context, address attendees.Personal) (bool, error) {
	held, err := s.Under(ctx, address)
	if err != nil || len(held) > 0 {
		return err == nil, err
	}
	cases, err := s.CasesOf(ctx, address)
	return len(cases) > 0, err
}

// under is one reading of what is stored under an address.
type under struct {
	*Core
	q       db.Queryer
	address string // normalised
	all     []Holding
}

// found is an event in which something is stored under the address.
type found struct {
	index     []byte
	attendees []uuid.UUID
	responses []uuid.UUID
}

// Under reads everything that is stored under an address that was proved, of every event at
// once, the event that ends last first. Sealed records are opened in memory by the person's
// half; what does not open for exactly this address stays closed.
func (s *Store) Under(ctx context.Context, address attendees.Personal) (_ []Holding, err error) {
	defer db.Wrap(&err, "read what is stored under an address")
	u := under{Core: &s.core, address: seal.Normalise(address.Reveal())}
	if u.address == "" {
		return nil, nil
	}
	err = db.Snapshot(ctx, s.pool, func(tx db.Tx) error {
		u.q = tx
		hits, err := u.find(ctx)
		if err != nil {
			return err
		}
		for key, f := range hits {
			e, err := u.Events.ByKey(ctx, tx, key)
			if err != nil {
				return err
			}
			if err := u.event(ctx, e, f); err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortFunc(u.all, func(a, b Holding) int {
		if c := b.Event.EndsOn.Compare(a.Event.EndsOn); c != 0 {
			return c
		}
		return strings.Compare(string(a.Event.ID)+a.id(), string(b.Event.ID)+b.id())
	})
	return u.all, err
}

func (h Holding) id() string {
	if h.Own == nil {
		return ""
	}
	return " " + string(h.Own.ID)
}

// find looks in every event by the address's index there, in one statement for each table.
func (u *under) find(ctx context.Context) (map[uuid.UUID]*found, error) {
	var list []struct {
		Key    uuid.UUID         `db:"id"`
		ID     attendees.EventID `db:"source_id"`
		Secret string            `db:"secret"`
	}
	if err := db.Select(ctx, u.q, &list, `select id, source_id, secret from events where state <> 'deleted'`); err != nil {
		return nil, err
	}
	indexes := map[uuid.UUID][]byte{}
	var keys pq.StringArray
	var all pq.ByteaArray
	for _, e := range list {
		h, err := u.Secrets.Hashes(e.Secret)
		if err != nil {
			return nil, err
		}
		indexes[e.Key] = h.Address(string(e.ID), u.address)
		keys, all = append(keys, e.Key.String()), append(all, indexes[e.Key])
	}
	hits := map[uuid.UUID]*found{}
	for table, query := range map[string]string{
		"attendees": `
			select a.event_id, a.id
			from unnest($1::uuid[], $2::bytea[]) as asked (event_id, address_index)
			cross join lateral (
				select event_id, id
				from attendees
				where event_id = asked.event_id and address_index = asked.address_index
				offset 0 -- one look-up by index for each: as a join it might read everybody
			) as a`,
		"responses": `
			select a.event_id, a.id
			from unnest($1::uuid[], $2::bytea[]) as asked (event_id, address_index)
			cross join lateral (
				select event_id, id
				from responses
				where event_id = asked.event_id and address_index = asked.address_index and layer is not null
				offset 0
			) as a`,
	} {
		var rows []struct {
			Event uuid.UUID `db:"event_id"`
			ID    uuid.UUID `db:"id"`
		}
		if err := db.Select(ctx, u.q, &rows, query, keys, all); err != nil {
			return nil, err
		}
		for _, r := range rows {
			f := hits[r.Event]
			if f == nil {
				f = &found{index: indexes[r.Event]}
				hits[r.Event] = f
			}
			if table == "attendees" {
				f.attendees = append(f.attendees, r.ID)
			} else {
				f.responses = append(f.responses, r.ID)
			}
		}
	}
	return hits, nil
}

// event reads what is stored in one event.
func (u *under) event(ctx context.Context, e events.Event, f *found) error {
	several, err := u.Reader.These(ctx, u.q, e, f.attendees)
	if err != nil {
		return err
	}
	if n := u.sharedBy(several); n > 0 {
		u.all = append(u.all, Holding{Event: e, Shared: n})
		return nil
	}
	mine := map[uuid.UUID]bool{}
	for _, p := range several {
		h := Holding{Event: e}
		if err := u.registration(ctx, &h, p, f.index); err != nil {
			return err
		}
		if err := u.uses(ctx, &h, p.ID); err != nil {
			return err
		}
		for _, r := range p.Responses {
			mine[r.ID] = true
		}
		u.all = append(u.all, h)
	}
	answers, err := u.answers(ctx, e, f, mine)
	if err != nil || len(answers) == 0 {
		return err
	}
	if len(several) == 0 {
		u.all = append(u.all, Holding{Event: e})
	}
	u.all[len(u.all)-1].Answers = answers
	return nil
}

// sharedBy is how many registrations have the address, where they may be several people's:
// attending or former holders, or cancelled tickets of another name.
func (u *under) sharedBy(all []reader.Person) int {
	live, names := 0, map[string]bool{}
	for _, p := range all {
		if p.Shared {
			return len(all)
		}
		if p.Standing == attendees.Attending || p.Standing == attendees.Gone {
			live++
		}
		if !p.Registration.IsZero() {
			names[seal.FoldName(p.Registration.Name().Reveal())] = true
		}
	}
	if live > 1 || len(names) > 1 {
		return len(all)
	}
	return 0
}

// registration reads one registration: readable, or by the person's own halves. Under each
// address what was given under it is shown.
func (u *under) registration(ctx context.Context, h *Holding, p reader.Person, index []byte) (err error) {
	own := &OwnRecord{Key: p.ID, State: p.State, Reason: p.Reason, Agreed: p.Agreed || p.CountsAsAgreed}
	if own.Withdrawn, err = u.Reader.Withdrawn(ctx, u.q, h.Event, p.ID); err != nil {
		return err
	}
	if p.State == attendees.Open && h.Event.State == attendees.Open {
		p.Responses = slices.DeleteFunc(p.Responses, func(r reader.Response) bool {
			return len(r.AddressIndex) > 0 && !bytes.Equal(r.AddressIndex, index)
		})
		u.show(own, p.Merged(u.Policy))
		h.Own = own
		return nil
	}
	own.State = attendees.Blocked
	if p.State == attendees.Restricted {
		own.State = attendees.Restricted
	}
	return u.sealed(ctx, h, own)
}

// show fills a record with what is shown of an attendee.
func (u *under) show(own *OwnRecord, a attendees.Attendee) {
	own.ID, own.Registered = holderID(a.ID, a.Holder, a.Standing), a.Registered
	own.Fields = u.fields(a.Record(u.Policy, "", true))
	own.Fields = append(own.Fields, OwnField{Field: "status", Values: []attendees.Personal{attendees.Personal(a.Standing)}, From: attendees.Eventbrite})
}

// holderID is an attendee's id as people see it: a former holder's names the holder.
func holderID(id attendees.AttendeeID, holder int, standing attendees.Standing) attendees.AttendeeID {
	if standing != attendees.Gone {
		return id
	}
	return people.HolderID(id, holder)
}

func (u *under) fields(r attendees.Record) (all []OwnField) {
	for _, f := range r.Fields {
		one := OwnField{Field: f.Field, From: attendees.Eventbrite, Corrected: f.Corrected, Purposes: f.Purposes}
		if f.Origin == attendees.FromResponse {
			one.From = attendees.Typeform
		}
		for _, v := range f.Values {
			one.Values = append(one.Values, attendees.Personal(v))
		}
		all = append(all, one)
	}
	return all
}

// sealed opens a registration's records by the person's halves. A restricted one opens only
// where every number does.
func (u *under) sealed(ctx context.Context, h *Holding, own *OwnRecord) error {
	records, err := u.Reader.Records(ctx, u.q, h.Event, own.Key)
	if err != nil {
		return err
	}
	var best attendees.Record
	var layers []attendees.Layer
	closed := len(records) == 0
	for _, r := range records {
		own.SealedOn = r.On
		text, err := u.half(ctx, h.Event, r)
		if errors.Is(err, vault.ErrDestroyed) || errors.Is(err, seal.ErrKey) {
			closed = closed || r.Kind != "corrected" && r.Kind != string(vault.Doubt)
			continue
		}
		if err != nil {
			return err
		}
		switch r.Kind {
		case "restricted":
			own.opened = append(own.opened, text)
			some, err := attendees.SplitLayers(text)
			if err != nil {
				return err
			}
			layers = append(layers, some...)
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
	if len(layers) > 0 && !closed {
		u.show(own, merge(u.Policy, layers))
		h.Own = own
		return nil
	}
	if best.Attendee != "" {
		own.ID, own.Registered, own.Fields = holderID(best.Attendee, best.Holder, best.Standing), best.Registered, u.fields(best)
		h.Own = own
		return nil
	}
	own.opened = nil
	h.Own, h.Closed = own, true
	return nil
}

// merge derives what is shown from layers of all origins.
func merge(p *attendees.Policy, layers []attendees.Layer) attendees.Attendee {
	var registration, correction attendees.Layer
	var responses []attendees.Layer
	for _, l := range layers {
		switch l.Origin() {
		case attendees.FromRegistration:
			registration = l
		case attendees.FromCorrection:
			correction = l
		default:
			responses = append(responses, l)
		}
	}
	return attendees.Merge(p, registration, responses, correction)
}

func (u *under) half(ctx context.Context, e events.Event, r reader.Sealed) ([]byte, error) {
	halves, err := u.Vault.Halves(ctx, u.q, reader.Ref(e), vault.KeyOf(r.Kind), r.Generation)
	if err != nil {
		return nil, err
	}
	return halves.Open(u.address, r.Attendee, r.Number, r.Kind, r.Half)
}

// uses reads which exports include a person, who looked at them, and whether a hold is active.
func (u *under) uses(ctx context.Context, h *Holding, id uuid.UUID) (err error) {
	if h.Lists, err = u.Exports.Of(ctx, u.q, h.Event, id); err != nil {
		return err
	}
	err = db.Select(ctx, u.q, &h.Looks, `
		select looked_by, at
		from looks
		where event_id = $1 and attendee_id = $2
		order by at desc`, h.Event.Key, id)
	if err != nil {
		return err
	}
	h.OnHold, err = u.Retention.Holds.Active(ctx, u.q, h.Event, id)
	return err
}

// answers reads the responses under the address that its registration does not show.
func (u *under) answers(ctx context.Context, e events.Event, f *found, mine map[uuid.UUID]bool) (all []OwnAnswer, err error) {
	wanted := slices.DeleteFunc(f.responses, func(id uuid.UUID) bool { return mine[id] })
	if len(wanted) == 0 {
		return nil, nil
	}
	responses, err := u.Reader.Responses(ctx, u.q, e, wanted)
	if err != nil {
		return nil, err
	}
	for _, r := range responses {
		form, id := r.Layer.Response()
		one := OwnAnswer{Form: form, ID: id, Submitted: r.Layer.Submitted()}
		if r.Attendee == uuid.Nil && r.Claims == uuid.Nil {
			one.DropsOn = r.CameOn.AddDays(u.Policy.UnmatchedDays)
		}
		a := attendees.Merge(u.Policy, attendees.Layer{}, []attendees.Layer{r.Layer}, attendees.Layer{})
		a.Standing = attendees.Attending
		for _, field := range u.fields(a.Record(u.Policy, "", true)) {
			if field.Field != attendees.Attended {
				field.From = attendees.Typeform
				one.Fields = append(one.Fields, field)
			}
		}
		all = append(all, one)
	}
	return all, nil
}
