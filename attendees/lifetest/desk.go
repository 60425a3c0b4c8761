package lifetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"lethe/attendees/lifetest/life"
)

// postpone moves an event's end, as its source says from now on.
func (l *Life) postpone() {
	id := l.drawEvent()
	days := oneOf(l, "days", []int{-200, -10, 10, 200})
	l.source.ends[id] = l.source.ends[id].AddDate(0, 0, days)
	l.mark("postponed", id)
	l.discover(id)
}

func (l *Life) discover(id string) {
	l.do(life.Act{Kind: life.Describe, Event: id, End: l.source.ends[id]})
}

func (l *Life) accept() { l.do(life.Act{Kind: life.Accept}) }

// one does something about one attendee. What DESIGN.md does not decide is left out.
func (l *Life) one(k life.Kind) {
	p := l.drawAttendee(func(p *life.Attendee) bool {
		switch k {
		case life.Erase: // a duty for somebody who is restricted: lift that first
			return p.State != life.Restricted
		case life.Forget:
			return true
		}
		return p.Layer != nil || p.Event.State == life.Blocked
	})
	if p == nil {
		return
	}
	a := life.Act{Kind: k, Event: p.Event.ID, Who: p.Who}
	if k == life.Withdraw {
		a.Purpose = life.Forum
	}
	l.mark(string(k), p.Ticket)
	if p.Event.State == life.Open && !l.model.Readable(p.Event) {
		l.mark("after the block date", p.Ticket)
	}
	for _, r := range p.AnswersOf() {
		l.mark(string(k), r.ID)
	}
	l.do(a)
}

func (l *Life) lift() {
	p := l.drawAttendee(func(p *life.Attendee) bool {
		open := p.Event.Asked || l.model.Held(p) // what becomes of them DESIGN.md leaves open
		return p.State == life.Restricted && !(p.Event.State == life.Blocked && open) || p.State == life.Blocked && l.model.RestrictedLate(p)
	})
	if p == nil {
		return
	}
	a := life.Act{Kind: life.Lift, Event: p.Event.ID, Who: p.Who}
	if rapid.Bool().Draw(l.T, "by the person") && p.State == life.Restricted && !p.SharesAddress() {
		a.Address = p.Address
	}
	l.mark("lifted", p.Ticket)
	l.do(a)
	l.readAgain()
}

func (l *Life) correct() {
	p := l.drawAttendee(func(p *life.Attendee) bool {
		return p.State != life.Erased && !(p.Event.State == life.Blocked && p.State == life.Restricted)
	})
	if p == nil || p.Address == "" {
		return
	}
	a := life.Act{Kind: life.Correct, Event: p.Event.ID, Who: p.Who, Field: "name", Address: p.Address}
	l.number++
	a.Value = fmt.Sprint("Corrected ", l.number)
	by := l.source.authors[p.Named]
	if !l.o.Calm && p.State == life.Open && p.Layer != nil && p.Layer.Address != groups && l.below(3, "field") == 0 {
		a.Field, a.Value = "email", by+".corrected@example.org"
		l.leavesAddress(p.Ticket, p.Address)
	}
	l.source.said(by, a.Field, a.Value)
	l.mark("corrected", p.Ticket)
	l.do(a)
}

func (l *Life) hold() {
	l.number++
	a := life.Act{Kind: life.Hold, Number: l.number, Event: l.drawEvent()}
	if l.below(3, "one attendee") > 0 {
		p := l.drawAttendee(nil)
		if p == nil {
			return
		}
		a.Event, a.Who = p.Event.ID, p.Who
		l.mark("held", p.Ticket)
	} else {
		l.mark("held", a.Event)
	}
	l.do(a)
}

func (l *Life) release() {
	var numbers []int
	for n := range l.model.Holds {
		if n > 0 {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) == 0 {
		return
	}
	slices.Sort(numbers)
	l.do(life.Act{Kind: life.Release, Number: oneOf(l, "hold", numbers)})
	l.do(life.Act{Kind: life.Night})
}

// match gives a waiting response to somebody, as staff do who have asked.
func (l *Life) match() {
	for _, e := range l.model.Events {
		for _, id := range slices.Sorted(maps.Keys(e.Answers)) {
			if e.Answers[id].Owner == nil {
				p := l.drawAttendee(func(p *life.Attendee) bool { return p.Event == e && p.State == life.Open && p.Layer != nil })
				if p != nil {
					l.mark("given another's answer", p.Ticket)
					l.do(life.Act{Kind: life.Match, Event: e.ID, Answer: id, Who: p.Who})
				}
				return
			}
		}
	}
}

func (l *Life) policy() {
	if l.model.Narrow {
		l.do(life.Act{Kind: life.Widen})
		l.readAgain()
		return
	}
	l.do(life.Act{Kind: life.Narrow})
}

func (l *Life) officer() {
	l.do(life.Act{Kind: oneOf(l, "how", []life.Kind{life.AddOfficer, life.ChangeOfficers})})
}

func (l *Life) answerQuestion() {
	for _, e := range l.model.Events {
		if e.Asked && e.State == life.Blocked {
			l.do(life.Act{Kind: oneOf(l, "answer", []life.Kind{life.Keep, life.Drop}), Event: e.ID})
			return
		}
	}
}

// reopen reopens an event whose source says, after it was blocked, that it ends later.
func (l *Life) reopen() {
	for _, e := range l.model.Events {
		if e.State == life.Blocked && l.model.Today().Before(e.Dates.Delete) {
			l.source.ends[e.ID] = l.model.Now.AddDate(0, 0, 10+l.below(100, "days"))
			l.mark("postponed", e.ID)
			l.discover(e.ID)
			l.do(life.Act{Kind: life.Reopen, Event: e.ID})
			l.readAgain()
			return
		}
	}
}

func (l *Life) setClock(to time.Time) {
	l.do(life.Act{Kind: life.SetClock, Now: to})
	l.do(life.Act{Kind: life.Night})
	for _, id := range l.events { // once a day
		l.discover(id)
		if e := l.model.Event(id); l.o.Calm && e.State == life.Open && !l.model.Readable(e) {
			l.do(life.Act{Kind: life.Block, Event: id})
		}
	}
}

func (l *Life) wait() {
	days := oneOf(l, "days", []int{1, 10, 40})
	l.setClock(l.model.Now.AddDate(0, 0, days))
}

func (l *Life) waitToBlock() {
	e := l.model.Event(l.drawEvent())
	if e.State == life.Open && l.model.Readable(e) {
		l.setClock(e.Dates.Block.Add(3 * time.Hour))
	}
}

func (l *Life) waitToDelete() {
	e := l.model.Event(l.drawEvent())
	if l.model.Today().Before(e.Dates.Delete) && e.State == life.Blocked {
		l.setClock(e.Dates.Delete.Add(3 * time.Hour))
	}
}

func (l *Life) stepBack() { l.setClock(l.model.Now.Add(-36 * time.Hour)) }

func (l *Life) block() {
	id := l.drawEvent()
	e := l.model.Event(id)
	if e.State != life.Open {
		return
	}
	if cut := l.below(7, "cut"); cut >= 1 && cut <= 3 {
		l.do(life.Act{Kind: life.Block, Event: id, Cut: cut})
	}
	l.do(life.Act{Kind: life.Block, Event: id})
}

// delete deletes; of an open event only where nobody of it stays: how they are sealed is
// for blocking to say.
func (l *Life) delete() {
	id := l.drawEvent()
	e := l.model.Event(id)
	if e.State == life.Open && slices.ContainsFunc(e.People, func(p *life.Attendee) bool { return l.model.Held(p) }) {
		return
	}
	if rapid.Bool().Draw(l.T, "cut off") {
		l.do(life.Act{Kind: life.Delete, Event: id, Cut: 1})
	}
	l.do(life.Act{Kind: life.Delete, Event: id})
}
