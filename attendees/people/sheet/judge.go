package sheet

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/seal"
)

// verdict is whose a response is.
type verdict struct {
	person *Person
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
func (sh *Sheet) judge(l attendees.Layer) verdict {
	address := sh.address(l.Email())
	var named *Person
	sure := false
	if l.Claims() != "" {
		named, sure = sh.holderAt(sh.Base(l.Claims()), l)
	}
	switch {
	case named == nil:
		p, how := sh.byAddress(address, l.Name(), nil)
		return verdict{p, how, p == nil && l.Claims() != ""}
	case len(address) == 0 && sure, len(address) > 0 && (bytes.Equal(address, named.AddressIndex) || bytes.Equal(address, sh.address(named.Registration.Email()))):
		return verdict{named, "hidden", false}
	}
	if p, how := sh.byAddress(address, "", named); p != nil {
		return verdict{p, how, false}
	}
	return verdict{claims: true}
}

// holderAt is the holder of a ticket when a response was submitted; nil where none is
// known. It is not sure where nobody can read since when a later holder, sealed early or
// blocked before, has had the ticket: theirs is surely what was submitted after the day on
// which they came.
func (sh *Sheet) holderAt(base uuid.UUID, l attendees.Layer) (at *Person, sure bool) {
	for i, p := range sh.holders(base) {
		unknown := i > 0 && p.Registration.IsZero()
		if at == nil || unknown || !l.Submitted().Before(p.Registration.HeldSince()) {
			at, sure = p, !unknown || p.CameOn.Before(attendees.DateOf(l.Submitted()))
		}
	}
	return at, sure
}

// byAddress finds the one attendee of an address, but somebody.
func (sh *Sheet) byAddress(address []byte, name attendees.Personal, but *Person) (*Person, string) {
	if len(address) == 0 {
		return nil, ""
	}
	var attending, others []*Person
	for _, p := range sh.at[string(address)] {
		switch {
		case p == but || p.removed || !bytes.Equal(p.AddressIndex, address):
		case p.Standing == attendees.Attending:
			attending = append(attending, p)
		default:
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
	some = slices.DeleteFunc(some, func(p *Person) bool {
		return folded == "" || seal.FoldName(p.Registration.Name().Reveal()) != folded
	})
	if len(some) == 1 {
		return some[0], "name"
	}
	return nil, ""
}

// Rematch looks again whose the waiting responses are that may be those of attendees who
// have come, or changed. It tells how many it matched.
func (sh *Sheet) Rematch(ctx context.Context, touched []*Person) (found int, err error) {
	if !sh.some.Waiting || len(touched) == 0 {
		return 0, nil
	}
	var bases []uuid.UUID
	var indexes pq.ByteaArray
	for _, p := range touched {
		sh.derive(p)
		base, _ := seal.HolderOf(p.ID)
		bases = append(bases, base)
		for _, index := range [][]byte{p.AddressIndex, p.index} {
			if len(index) > 0 {
				indexes = append(indexes, index)
			}
		}
	}
	err = sh.loadAnswers(ctx, `
		select `+answerColumns+`
		from responses r
		where r.event_id = $1 and r.attendee_id is null
		  and (r.claims = any($2::uuid[]) or r.address_index = any($3))`, sh.Event.Key, Texts(bases), indexes)
	if err != nil {
		return 0, err
	}
	if err := sh.loadAt(ctx, indexes); err != nil {
		return 0, err
	}
	for _, a := range sh.Answers {
		if a.Attendee != nil || a.removed || a.MatchedBy != "" {
			continue
		}
		if err := sh.Place(ctx, a); err != nil {
			return found, err
		}
		if a.Attendee != nil {
			found++
		}
	}
	return found, nil
}

// Place gives a response to whose it is judged to be, or leaves it as a claim or unmatched.
func (sh *Sheet) Place(ctx context.Context, a *Answer) error {
	v := sh.judge(a.Layer)
	if v.person != nil {
		return sh.Give(ctx, a, v.person, v.how)
	}
	before := a.Claims
	if a.Claims = nil; v.claims {
		base := sh.Base(a.Layer.Claims())
		a.Claims = &base
	}
	if (before == nil) != (a.Claims == nil) {
		a.dirty = true
	}
	if !v.claims {
		return nil
	}
	named := sh.Present(*a.Claims)
	if named == nil || before != nil && !named.fresh {
		return nil // it may come yet, or staff were asked
	}
	return sh.desk.Events.Tasks.Ask(ctx, sh.Tx, events.Task{
		Kind: events.TaskClaim, Event: sh.Event.Key, Attendee: *a.Claims, Count: 1, Sealed: sh.desk.SealIDs(sh.Event.Key, string(a.Layer.Claims())),
	})
}

// match gives a response to an attendee; nil takes it from the one who has it.
func (sh *Sheet) match(a *Answer, p *Person, how string) {
	if a.Attendee != nil {
		if old := sh.People[*a.Attendee]; old != nil {
			old.Responses = slices.DeleteFunc(old.Responses, func(o *Answer) bool { return o == a })
			old.dirty = true
		}
	}
	a.Attendee, a.MatchedBy, a.dirty = nil, how, true
	if p == nil {
		return
	}
	id := p.ID
	a.Attendee, a.Claims = &id, nil
	p.Responses, p.dirty = append(p.Responses, a), true
}

// ByHand is how staff match. What they matched, or took from somebody, is not judged again.
const ByHand = "hand"

// Give matches a response to an attendee; nil takes it from the one who has it. What comes for one
// who is restricted is sealed.
func (sh *Sheet) Give(ctx context.Context, a *Answer, p *Person, how string) error {
	sh.match(a, p, how)
	if p == nil {
		return nil
	}
	a.Layer = sh.again(p.ID, a.Layer)
	if p.State == attendees.Restricted && !a.Layer.IsZero() {
		return sh.sealMore(ctx, p, a)
	}
	return nil
}
