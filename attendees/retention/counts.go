package retention

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/seal"
)

// countLeast is the smallest count that stays: a smaller one tells of persons.
const countLeast = 5

const ticketCount = "ticket: "

// suppressed are the counts that may stay. Where the registered less the ticket types that
// stay are so few that they tell of persons, the smallest type goes, too: of nine and one the
// nine would tell the one.
func suppressed(all map[string]int) map[string]int {
	kept := maps.Clone(all)
	maps.DeleteFunc(kept, func(_ string, n int) bool { return n < countLeast })
	rest, smallest := kept["registered"], ""
	for _, what := range slices.Sorted(maps.Keys(kept)) {
		if strings.HasPrefix(what, ticketCount) {
			if rest -= kept[what]; smallest == "" || kept[what] < kept[smallest] {
				smallest = what
			}
		}
	}
	if rest > 0 && rest < countLeast {
		delete(kept, smallest)
	}
	return kept
}

// countsPlace is where an event's counts are sealed: ticket types may name people.
func countsPlace(e events.Event) seal.Place {
	return seal.Place{Event: e.Key.String(), Key: "counts", Subject: e.Key}
}

// Counts are what is known of a blocked or deleted event's people: registered, attended,
// agreed, and "ticket: " with a ticket type. Counts under 5 were never kept.
func (s *Store) Counts(ctx context.Context, event attendees.EventID) (counts map[string]int, err error) {
	defer db.Wrap(&err, "read the counts of event %s", event)
	e, err := s.events.Get(ctx, s.pool, event)
	if err != nil || e.State == attendees.Open {
		return nil, err
	}
	var sealed []byte
	if err := db.Get(ctx, s.pool, &sealed, `select counts from preparations where event_id = $1`, e.Key); err != nil {
		return nil, err
	}
	text, err := s.secrets.OpenText(countsPlace(e), sealed)
	if err == nil {
		err = json.Unmarshal(text, &counts)
	}
	return counts, err
}
