package web

import (
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// lifeLine is Lethe's own picture: open, over, sealed, gone, and where today stands. It
// is never to scale, since six years would swallow six weeks, and never without its
// dates in words.
type lifeLine struct {
	Large bool
	Label string  // for those who do not see it
	Today float64 // where today stands, in the picture's own units
	Dates []lifeDate
}

type lifeDate struct {
	Class string // open, over, sealed or gone
	Says  string
	On    attendees.Date
}

// Where the phases begin and end, in units of the small picture, and how much larger the
// large one is. The template draws the same.
var phases = [...]float64{0, 96, 115, 221, 240}

const (
	largeBy = 760.0 / 240
	// openFor is how many days before an event's end the picture begins: registration
	// rarely opens earlier.
	openFor = 300
)

// lifeOf draws an event's life as it stands at now.
func lifeOf(e postgres.Event, now time.Time, large bool) lifeLine {
	today := e.Today(now)
	ends, block, gone := e.EndsOn.Date, e.BlockOn.Date, e.DeleteOn.Date
	marks := [...]attendees.Date{ends.AddDays(-openFor), ends, block, gone, gone.AddDays(openFor)}
	l := lifeLine{Large: large, Label: lifeWords(e, today), Today: phases[0]}
	for i := range len(marks) - 1 {
		if today.Before(marks[i]) {
			break
		}
		share := 1.0
		if days := marks[i+1].Days(marks[i]); days > 0 {
			share = min(1, float64(today.Days(marks[i]))/float64(days))
		}
		l.Today = phases[i] + share*(phases[i+1]-phases[i])
	}
	l.Today = min(max(l.Today, 1), phases[4]-1) // the mark has a width
	if large {
		l.Today *= largeBy
	}
	blocked, deleted := "blocked", "deleted"
	if e.BlockedAt == nil {
		blocked = "was to be blocked"
	}
	if e.DeletedAt == nil {
		deleted = "was to be deleted"
	}
	l.Dates = []lifeDate{
		{"over", past("ends", "ended", ends, today), ends},
		{"sealed", past("is blocked", blocked, block, today), block},
		{"gone", past("is deleted", deleted, gone, today), gone},
	}
	return l
}

// past is a word with its day, in the tense that today asks for.
func past(comes, came string, d, today attendees.Date) string {
	word := comes
	if d.Before(today) {
		word = came
	}
	if n := d.Days(today); n < -nearDays || n > nearDays {
		return word
	}
	return word + " " + when(d, today)
}

// lifeWords is the picture in a sentence.
func lifeWords(e postgres.Event, today attendees.Date) string {
	switch {
	case e.State == attendees.Deleted:
		return "Deleted on " + longDate(e.DeleteOn.Date)
	case e.State == attendees.Blocked:
		return "Sealed since " + longDate(e.BlockOn.Date) + ", deleted on " + longDate(e.DeleteOn.Date)
	case !today.Before(e.BlockOn.Date):
		return "To be blocked since " + longDate(e.BlockOn.Date) + ", deleted on " + longDate(e.DeleteOn.Date)
	case e.EndsOn.Before(today):
		return "Over; blocked on " + longDate(e.BlockOn.Date) + ", deleted on " + longDate(e.DeleteOn.Date)
	}
	return "Open; ends on " + longDate(e.EndsOn.Date) + ", blocked on " + longDate(e.BlockOn.Date) + ", deleted on " + longDate(e.DeleteOn.Date)
}

// badge is a state in a word, with a class for its colour, which never tells alone.
type badge struct{ Class, Says string }

// badgeOf says where an event stands.
func badgeOf(e postgres.Event, now time.Time) badge {
	switch today := e.Today(now); {
	case e.State == attendees.Deleted:
		return badge{"over", "deleted " + when(e.DeleteOn.Date, today)}
	case e.NeverHeld():
		return badge{"over", "never held"}
	case e.Expired(now):
		return badge{"late", "to be deleted since " + shortDate(e.DeleteOn.Date)}
	case e.State == attendees.Blocked:
		return badge{"over", "blocked"}
	case !e.Open(now):
		return badge{"late", "to be blocked since " + shortDate(e.BlockOn.Date)}
	case e.EndsOn.Before(today):
		return badge{"soon", "blocked " + when(e.BlockOn.Date, today)}
	default:
		return badge{"", "open"}
	}
}
