package rest

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// The reserve is what is left of a budget for others: several processes share one
// token, and calls that are under way are not counted yet: three processes with eight
// pages each fit. It is a share of the limit, but at least a few calls, and never more
// than a tenth, so that a tiny limit still lets most of its calls through.
const (
	reserveShare = 50 // a fiftieth
	reserveCalls = 30
	reserveMost  = 10 // a tenth
)

// Budget is one part of what the source says about the calls that are left.
type Budget struct {
	Used, Limit int
	Reset       time.Time // when Used begins at nought again; zero where it was not said
}

// spent tells whether only the reserve is left.
func (b Budget) spent() bool {
	reserve := min(max(b.Limit/reserveShare, reserveCalls), b.Limit/reserveMost)
	return b.Used >= b.Limit-reserve
}

// budget remembers the latest word of the source. Replies may overtake each other; the
// reserve is larger than the number of calls under way, so that does no harm.
type budget struct {
	mu      sync.Mutex
	tight   Budget
	known   bool
	blocked time.Time // until when nothing goes out
}

func (b *budget) last() (Budget, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tight, b.known
}

// held tells until when calls must wait.
func (b *budget) held(now time.Time) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocked, now.Before(b.blocked)
}

// hold lets nothing out until then.
func (b *budget) hold(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.blocked) {
		b.blocked = until
	}
}

// note reads an x-rate-limit header.
func (b *budget) note(header string, now time.Time) {
	parts := parseBudgets(header, now)
	if len(parts) == 0 {
		return
	}
	tight := parts[0]
	for _, p := range parts[1:] {
		if p.Limit-p.Used < tight.Limit-tight.Used {
			tight = p
		}
	}
	b.mu.Lock()
	b.tight, b.known = tight, true
	b.mu.Unlock()
	for _, p := range parts {
		if p.spent() && !p.Reset.IsZero() {
			b.hold(p.Reset)
		}
	}
}

// maxReset bounds what is believed: budgets are counted by the hour, and a garbled
// number must not stop a sync for a year.
const maxReset = 24 * time.Hour

// parseBudgets reads "token:ABC 21/2000 reset=3575s, key:XYZ 1750/2000 reset=3575s".
// What cannot be read is left out.
func parseBudgets(header string, now time.Time) []Budget {
	var all []Budget
	for part := range strings.SplitSeq(header, ",") {
		var b Budget
		for word := range strings.FieldsSeq(part) {
			if rest, ok := strings.CutPrefix(word, "reset="); ok {
				s, err := strconv.ParseFloat(strings.TrimSuffix(rest, "s"), 64)
				if err == nil && s >= 0 && s <= maxReset.Seconds() {
					b.Reset = now.Add(time.Duration(s * float64(time.Second)))
				}
				continue
			}
			used, limit, ok := strings.Cut(word, "/")
			if !ok {
				continue
			}
			u, errUsed := strconv.Atoi(used)
			l, errLimit := strconv.Atoi(limit)
			if errUsed == nil && errLimit == nil && u >= 0 && l > 0 {
				b.Used, b.Limit = u, l
			}
		}
		if b.Limit > 0 {
			all = append(all, b)
		}
	}
	return all
}
