package roster

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees/db"
	"lethe/attendees/events"
)

// Tally is what a list of events tells of one that is open: counts that no layer is opened
// for. Of a blocked event retention has the counts.
type Tally struct {
	Registered int `db:"registered"` // of every standing
	Attending  int `db:"attending"`
	Agreed     int `db:"agreed"` // of those who attend
}

// tallied is a tally of one version of an event.
type tallied struct {
	Event   uuid.UUID `db:"event_id"`
	version int64
	Tally
}

// Tallies counts the people of open events, of those again that have changed.
func (s *Store) Tallies(ctx context.Context, all []events.Event) (counts map[uuid.UUID]Tally, err error) {
	defer db.Wrap(&err, "count the people of events")
	counts = make(map[uuid.UUID]Tally, len(all))
	versions := map[uuid.UUID]int64{}
	var changed pq.StringArray
	s.mu.Lock()
	for _, e := range all {
		if e.Readable(s.now()) != nil {
			continue
		}
		known, ok := s.tallies[e.Key]
		counts[e.Key] = known.Tally
		if !ok || known.version < e.Version {
			versions[e.Key], changed = e.Version, append(changed, e.Key.String())
		}
	}
	s.mu.Unlock()
	var fresh []tallied
	err = db.Select(ctx, s.pool, &fresh, `
		select w.event_id, count(a.event_id) as registered,
			count(*) filter (where a.standing = 'attending') as attending,
			count(*) filter (where a.standing = 'attending' and a.agreed) as agreed
		from unnest($1::uuid[]) as w (event_id)
		left join attendees a on a.event_id = w.event_id and a.state = 'open'
		group by w.event_id`, changed)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range fresh {
		f.version = versions[f.Event] // what was counted is that version or a later one
		counts[f.Event], s.tallies[f.Event] = f.Tally, f
	}
	return counts, nil
}
