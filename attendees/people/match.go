package people

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/seal"
)

// verdict is whose a response is.
type verdict struct {
	person *person
	how    string // hidden, address or name
	claims bool   // it names an attendee, and is not believed
}

// judge finds whose a response is, among the attendees on the sheet.
//
// It is the attendee's that its hidden field names, who held the ticket when it was
// submitted, where the form's address agrees with theirs, or the form asks for none. A
// hidden id whose address is exactly one other attendee's is that attendee's. With any
// other address it is a claim. Without a hidden id it is the one attending attendee's of
// its address, else the one former holder's, else theirs who has the name among those who
// share the address.
func (sh *sheet) judge(l attendees.Layer) verdict {
	address := sh.address(l.Email())
	if l.Claims() == "" {
		p, how := sh.byAddress(address, l.Name(), nil)
		return verdict{person: p, how: how}
	}
	named := sh.holderAt(sh.base(l.Claims()), l)
	switch {
	case named == nil:
		p, how := sh.byAddress(address, l.Name(), nil)
		return verdict{person: p, how: how, claims: p == nil}
	case len(address) == 0, bytes.Equal(address, named.AddressIndex), bytes.Equal(address, sh.address(named.registration.Email())):
		return verdict{person: named, how: "hidden"}
	}
	if p, how := sh.byAddress(address, "", named); p != nil {
		return verdict{person: p, how: how}
	}
	return verdict{claims: true}
}

// holderAt is the holder of a ticket when a response was submitted; nil where it is not known.
func (sh *sheet) holderAt(base uuid.UUID, l attendees.Layer) *person {
	var at *person
	for _, p := range sh.holders(base) {
		if at == nil || !l.Submitted().Before(p.registration.HeldSince()) {
			at = p
		}
	}
	return at
}

// byAddress finds the one attendee of an address, but somebody.
func (sh *sheet) byAddress(address []byte, name attendees.Personal, but *person) (*person, string) {
	if len(address) == 0 {
		return nil, ""
	}
	var attending, others []*person
	for _, p := range sh.people {
		if p == but || p.removed || !bytes.Equal(p.AddressIndex, address) {
			continue
		}
		if p.Standing == attendees.Attending {
			attending = append(attending, p)
		} else {
			others = append(others, p)
		}
	}
	some := attending
	if len(some) == 0 {
		some = others
	}
	if len(some) == 1 {
		return some[0], "address"
	}
	folded := seal.FoldName(name.Reveal())
	some = slices.DeleteFunc(some, func(p *person) bool {
		return folded == "" || seal.FoldName(p.registration.Name().Reveal()) != folded
	})
	if len(some) == 1 {
		return some[0], "name"
	}
	return nil, ""
}

// rematch looks again whose the waiting responses are that may be those of attendees who
// have just come, or have another address.
func (sh *sheet) rematch(ctx context.Context, arrived []*person, saved *Saved) error {
	if !sh.anyone || len(arrived) == 0 {
		return nil
	}
	var bases []uuid.UUID
	var indexes [][]byte
	for _, p := range arrived {
		sh.derive(p)
		base, _ := seal.HolderOf(p.ID)
		bases = append(bases, base)
		if len(p.AddressIndex) > 0 {
			indexes = append(indexes, p.AddressIndex)
		}
	}
	var rows []responseRow
	err := db.Select(ctx, sh.tx, &rows, `
		select `+responseColumns+`
		from responses r
		where r.event_id = $1 and r.attendee_id is null and r.layer is not null
		  and (r.claims = any($2::uuid[]) or r.address_index = any($3))`, sh.Key, texts(bases), byteas(indexes))
	if err != nil {
		return err
	}
	if err := sh.takeAnswers(rows); err != nil {
		return err
	}
	if err := sh.loadAt(ctx, indexes); err != nil {
		return err
	}
	for _, r := range rows {
		a := sh.answers[r.ID]
		if a.Attendee != nil || a.removed {
			continue
		}
		if err := sh.place(ctx, a, sh.judge(a.layer)); err != nil {
			return err
		}
	}
	return nil
}

// place gives a response to whom it is judged to be, or leaves it as a claim or unmatched.
func (sh *sheet) place(ctx context.Context, a *answer, v verdict) error {
	if v.person != nil {
		return sh.give(ctx, a, v.person, v.how)
	}
	a.Claims = nil
	if !v.claims {
		return nil
	}
	base := sh.base(a.layer.Claims())
	a.Claims, a.dirty = &base, true
	if sh.present(base) == nil {
		return nil // the registration may come yet
	}
	return sh.askAboutClaim(ctx, base, a.layer)
}

func (sh *sheet) askAboutClaim(ctx context.Context, base uuid.UUID, l attendees.Layer) error {
	return sh.store.events.Tasks.Ask(ctx, sh.tx, events.Task{
		Kind: events.TaskClaim, Event: sh.Key, Attendee: base, Count: 1, Sealed: sh.store.SealIDs(sh.Key, string(l.Claims())),
	})
}

// give matches a response to an attendee. What comes for one who is restricted is sealed.
func (sh *sheet) give(ctx context.Context, a *answer, p *person, how string) error {
	sh.match(a, p, how)
	if p.State == attendees.Restricted {
		return sh.sealMore(ctx, p, a)
	}
	return nil
}
