package events

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
)

// FollowPolicy compares what the policy's purposes name with what they named when it was
// last called. Where a purpose names one more field, every open event is read again: its
// people were minimised without it. Where a purpose names one less, each open event is given
// to renew, which minimises its layers again. Cut off, it starts over.
func (s *Store) FollowPolicy(ctx context.Context, renew func(ctx context.Context, id attendees.EventID) error) (err error) {
	defer db.Wrap(&err, "follow the policy")
	var purposes, fields pq.StringArray
	for _, p := range s.policy.Purposes {
		for _, f := range p.Fields {
			purposes, fields = append(purposes, string(p.Name)), append(fields, string(f))
		}
	}
	var open map[uuid.UUID]Event
	var narrower bool
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		wider, err := db.Exec(ctx, tx, `
			insert into purpose_fields (purpose, field)
			select distinct * from unnest($1::text[], $2::text[])
			on conflict (purpose, field) do nothing`, purposes, fields)
		if err != nil {
			return err
		}
		err = db.Get(ctx, tx, &narrower, `
			select exists (
				select purpose, field from purpose_fields
				except
				select * from unnest($1::text[], $2::text[]))`, purposes, fields)
		if err != nil || wider == 0 && !narrower {
			return err
		}
		var keys []uuid.UUID
		if err := db.Select(ctx, tx, &keys, `select id from events where state = 'open' order by id`); err != nil {
			return err
		}
		if open, err = s.Write(ctx, tx, keys...); err != nil {
			return err
		}
		for _, key := range keys { // in this order, in which their feeds are taken
			if e := open[key]; wider > 0 && e.State == attendees.Open {
				if err := s.ReadAgain(ctx, tx, e); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil || !narrower {
		return err
	}
	for _, e := range open {
		if err := renew(ctx, e.ID); err != nil {
			return err
		}
	}
	_, err = db.Exec(ctx, s.pool, `
		delete from purpose_fields
		where (purpose, field) not in (select * from unnest($1::text[], $2::text[]))`, purposes, fields)
	return err
}
