package events

import (
	"context"
	"time"

	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
)

// ReadAgain has an event's own listing and its forms read from their beginnings.
func (s *Store) ReadAgain(ctx context.Context, tx db.Tx, e Event) (err error) {
	defer db.Wrap(&err, "have event %s read again", e.ID)
	if err := s.unread(ctx, tx, e); err != nil {
		return err
	}
	forms, err := s.formsOf(ctx, tx, e)
	for _, form := range forms {
		if err := s.Feeds.Rewind(ctx, tx, FormFeed(form)); err != nil {
			return err
		}
	}
	return err
}

// unread has an event's own listing read from its beginning.
func (s *Store) unread(ctx context.Context, tx db.Tx, e Event) error {
	if _, err := db.Exec(ctx, tx, `update events set read_at = null where id = $1`, e.Key); err != nil {
		return err
	}
	return s.Feeds.Rewind(ctx, tx, EventFeed(e.ID))
}

func (s *Store) formsOf(ctx context.Context, q db.Queryer, e Event) (forms []attendees.FormID, err error) {
	err = db.Select(ctx, q, &forms, `
		select distinct form_id
		from links
		where event_id = $1 and form_id <> $2
		order by form_id`, e.Key, attendees.EventbriteForm)
	return forms, err
}

// MarkRead records that an event's own listing was read to the end, and, where it was
// compared with what is stored, that too.
func (s *Store) MarkRead(ctx context.Context, tx db.Tx, e Event, reconciled bool) (err error) {
	defer db.Wrap(&err, "mark event %s as read", e.ID)
	_, err = db.Exec(ctx, tx, `
		update events
		set read_at = coalesce(read_at, $2),
		    reconciled_at = case when $3 then $2 else reconciled_at end
		where id = $1`, e.Key, s.now(), reconciled)
	return err
}

// Sources is how the sources of one event are doing.
type Sources struct {
	// Dry tells that its own listing and each linked form have been read to the end since
	// they were last rewound.
	Dry bool
	// Failed are those that fail, by name, and Failing is since when the first of them does.
	// While the agreement question of a blocked event is open they are still probed.
	Failed  []FeedName
	Failing time.Time
}

// SourcesOf tells whether all that feeds an event has run dry.
func (s *Store) SourcesOf(ctx context.Context, q db.Queryer, e Event) (from Sources, err error) {
	defer db.Wrap(&err, "look at the sources of event %s", e.ID)
	forms, err := s.formsOf(ctx, q, e)
	if err != nil {
		return from, err
	}
	names := pq.StringArray{string(EventFeed(e.ID)), string(OrganizationFeed(e.Organization))}
	unread := map[FeedName]bool{}
	for _, form := range forms {
		names, unread[FormFeed(form)] = append(names, string(FormFeed(form))), true
	}
	var feeds []Feed
	if err := db.Select(ctx, q, &feeds, `select `+feedColumns+` from feeds where name = any($1) order by name`, names); err != nil {
		return from, err
	}
	for _, f := range feeds {
		// An agreement may be given until the block date: a form is to be read after it.
		if f.Watermark != nil && !f.Watermark.Before(e.BlockedFrom()) {
			delete(unread, f.Name)
		}
		if f.FailedAt == nil {
			continue
		}
		from.Failed = append(from.Failed, f.Name)
		if from.Failing.IsZero() || f.FailedAt.Before(from.Failing) {
			from.Failing = *f.FailedAt
		}
	}
	from.Dry = e.ReadAt != nil && len(unread) == 0
	return from, nil
}
