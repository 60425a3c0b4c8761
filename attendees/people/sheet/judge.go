package sheet

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/seal"
)

// ByHand is how staff match. What they matched, or took from somebody, is not judged again.
const ByHand = "hand"

// What judge says of a response that is matched to no attendee.
const (
	claim = "claim" // it names an attendee, and is not believed
	out   = "out"   // it names somebody who was erased
)

// judge finds whose a response is, among the attendees on the sheet.
//
// It belongs to the attendee that its hidden field names, the holder when it was submitted,
// where the form's address agrees with theirs, or the form asks for none. If that address
// belongs to exactly one other attendee, the response does, too. With any other address it
// is a claim, and stays out where the attendee it names may be erased. Without a hidden id
// it belongs to the attendee who has its address.
func (sh *Sheet) judge(l attendees.Layer) (p *Person, how string) {
	address, name := sh.address(l.Email()), l.Name()
	named, sure, erased := sh.holderAt(sh.Base(l.Claims()), l)
	if named != nil {
		agrees := bytes.Equal(address, named.AddressIndex) || bytes.Equal(address, sh.address(named.Registration.Email()))
		if len(address) == 0 && sure || len(address) > 0 && agrees {
			return named, "hidden"
		}
		name = ""
	}
	p, how = sh.byAddress(address, name, named)
	switch {
	case p != nil || l.Claims() == "":
		return p, how
	case erased:
		return nil, out
	}
	return nil, claim
}

// holderAt is the holder of a ticket when a response was submitted; nil where none is known.
// It is not sure where nobody can read since when a later holder, sealed early or blocked
// before, has had the ticket: theirs is surely what was submitted after the day on which they
// came. Nor is it where it may have been somebody who is erased: a holder who is missing.
func (sh *Sheet) holderAt(base uuid.UUID, l attendees.Layer) (at *Person, sure, erased bool) {
	_, erased = sh.Bars(base).Of(Erased)
	sure = !erased
	top, known := sh.top[base]
	for n := top; known && n >= 0; n-- {
		switch p := sh.People[seal.Holder(base, n)]; {
		case p == nil || p.removed:
			sure, erased = false, true
		case n > 0 && p.Registration.IsZero():
			if p.CameOn.Before(attendees.DateOf(l.Submitted())) {
				return p, sure, erased
			}
			sure = false
		case !l.Submitted().Before(p.Registration.HeldSince()):
			return p, sure, erased
		}
	}
	return nil, false, erased
}

// byAddress finds whose an address is, but somebody's. Where several people have it, or have
// had it, it is theirs who has the name. Of one person's tickets it is the one that attends,
// else the only one.
func (sh *Sheet) byAddress(address []byte, name attendees.Personal, but *Person) (*Person, string) {
	if len(address) == 0 {
		return nil, ""
	}
	has := func(p *Person) bool { return p != but && !p.removed && bytes.Equal(p.AddressIndex, address) }
	var all, attending []*Person
	several := false
	for _, p := range sh.at[string(address)] {
		if has(p) {
			all = append(all, p)
			several = several || p.Shared || !bytes.Equal(sh.nameHash(p), sh.nameHash(all[0]))
		}
	}
	how := "address"
	if hash := sh.hashes.Name(string(sh.Event.ID), name.Reveal()); several {
		how = "name"
		all = slices.DeleteFunc(all, func(p *Person) bool { return len(hash) == 0 || !bytes.Equal(sh.nameHash(p), hash) })
	}
	for _, p := range all {
		if p.Standing == attendees.Attending {
			attending = append(attending, p)
		}
	}
	if len(attending) > 0 {
		all = attending
	}
	if len(all) != 1 {
		return nil, ""
	}
	return all[0], how
}

// rematch looks again whose the waiting responses are that may be those of attendees who
// have come, changed or left.
func (sh *Sheet) rematch(ctx context.Context) error {
	if !sh.some.Waiting {
		return nil
	}
	var bases []uuid.UUID
	var indexes pq.ByteaArray
	for _, p := range sh.People {
		if !p.moved {
			continue
		}
		if p.moved = false; !p.removed {
			sh.derive(p)
		}
		base, _ := seal.HolderOf(p.ID)
		bases = append(bases, base)
		for _, index := range [][]byte{p.AddressIndex, p.index} {
			if len(index) > 0 {
				indexes = append(indexes, index)
			}
		}
	}
	if len(bases) == 0 {
		return nil
	}
	err := sh.loadAnswers(ctx, `
		select `+answerColumns+`
		from responses r
		where r.event_id = $1 and r.attendee_id is null
		  and (r.claims = any($2::uuid[]) or r.address_index = any($3))`, sh.Event.Key, Texts(bases), indexes)
	if err != nil {
		return err
	}
	if err := sh.loadAt(ctx, indexes); err != nil {
		return err
	}
	if err := sh.leaveAddresses(ctx); err != nil { // so that nobody inherits what somebody else gave there
		return err
	}
	for _, a := range sh.Answers {
		if a.Fresh || a.Attendee != nil || a.removed || a.MatchedBy == ByHand {
			continue
		}
		if _, err := sh.Place(ctx, a); err != nil {
			return err
		}
		if a.Attendee != nil {
			sh.Found++
		}
	}
	return nil
}

// Place gives a response to whose it is judged to be, or leaves it as a claim or unmatched.
// It does not stay where it names somebody who was erased.
func (sh *Sheet) Place(ctx context.Context, a *Answer) (stays bool, err error) {
	p, how := sh.judge(a.Layer)
	if p != nil {
		return true, sh.Give(ctx, a, p, how)
	}
	if how == out {
		sh.Drop(a)
		return !a.removed, nil
	}
	before := a.Claims
	if a.Claims = nil; how == claim {
		base := sh.Base(a.Layer.Claims())
		a.Claims = &base
		named := sh.Present(base) // who may come yet; where they were here before, staff were asked
		a.asks = named != nil && (before == nil || named.Fresh)
	}
	a.dirty = a.dirty || (before == nil) != (a.Claims == nil)
	return true, nil
}

// match gives a response to an attendee; nil takes it from the one who has it.
func (sh *Sheet) match(a *Answer, p *Person, how string) {
	if old := sh.People[a.owner()]; old != nil {
		old.Responses = slices.DeleteFunc(old.Responses, func(o *Answer) bool { return o == a })
		old.dirty = true
	}
	a.Attendee, a.MatchedBy, a.dirty = nil, how, true
	if p == nil {
		return
	}
	id := p.ID
	a.Attendee, a.Claims, a.asks = &id, nil, false
	p.Responses, p.dirty = append(p.Responses, a), true
}

// Give matches a response to an attendee; nil takes it from the one who has it. What comes for one
// who is restricted is sealed.
func (sh *Sheet) Give(ctx context.Context, a *Answer, p *Person, how string) error {
	sh.match(a, p, how)
	if p == nil || a.Layer.IsZero() {
		return nil
	}
	sh.say(a, sh.again(p.ID, a.Layer))
	if p.State != attendees.Restricted {
		return nil
	}
	l := a.Layer
	sh.say(a, attendees.Layer{})
	p.Agreed = p.Agreed || a.Agreed
	return sh.sealMore(ctx, p, p.Reason, l.Email(), l)
}
