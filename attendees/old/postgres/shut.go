package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// shutOut is what responses must not bring in: anything of those who are sealed for
// themselves, and what others have withdrawn their consent to.
type shutOut struct {
	byID      map[uuid.UUID]verdict // of the event's own whom a response names
	byAddress map[string]verdict
	kept      map[answerID]bool // stand sealed already, whoever their source says they are of
}

// verdict is what is to be done with a response.
type verdict struct {
	id        uuid.UUID      // whose it is
	sealed    bool           // it goes nowhere
	withdrawn pq.StringArray // the purposes whose fields it loses
}

// of is the verdict on one response. Where it names nobody of the event it is by its address
// somebody's, if nobody else of the event has that address.
func (o shutOut) of(p part) verdict {
	if o.kept[answerID{string(p.form), p.sourceID}] {
		return verdict{sealed: true}
	}
	if v, here := o.byID[p.claims]; here {
		return v
	}
	return o.byAddress[string(p.addressIndex)]
}

// noteAgreed notes a yes of those who are sealed for themselves: nothing else of what came
// for them is kept, and yet they are none of those who never agreed.
func (s *Store) noteAgreed(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, agreed []uuid.UUID) error {
	if len(agreed) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		update sealed
		set agreed = true
		where event_id = $1 and attendee_id = any($2::uuid[]) and not agreed`, event, pq.StringArray(texts(agreed)))
	return quiet("note who agreed", err)
}

// shut finds those of an event whom the responses may be of.
func (s *Store) shut(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, parts []part) (shutOut, error) {
	out := shutOut{byID: map[uuid.UUID]verdict{}, byAddress: map[string]verdict{}, kept: map[answerID]bool{}}
	var froms pq.StringArray
	for _, p := range parts {
		froms = append(froms, string(p.form)+":"+p.sourceID)
	}
	var kept []answerID
	err := tx.SelectContext(ctx, &kept, `
		select distinct split_part(part, ':', 2) as form_id, split_part(part, ':', 3) as source_id
		from sealed
		where event_id = $1 and substr(part, strpos(part, ':') + 1) = any($2)`, event, froms)
	if err != nil {
		return out, quiet("look for sealed responses", err)
	}
	for _, r := range kept {
		out.kept[r] = true
	}
	var rows []struct {
		ID        uuid.UUID      `db:"id"`
		Index     []byte         `db:"address_index"`
		Sealed    bool           `db:"sealed"`
		Withdrawn pq.StringArray `db:"withdrawn"`
		Alone     bool           `db:"alone"`
		Here      bool           `db:"here"`
	}
	c := columnsOf(parts)
	err = tx.SelectContext(ctx, &rows, `
		select a.id, a.event_id = $1 as here, a.address_index, a.state = 'blocked' as sealed, a.withdrawn,
			not exists (
				select from attendees o
				where o.event_id = $1 and o.address_index = a.address_index and o.id <> a.id and o.state = 'active') as alone
		from attendees a
		where (a.event_id = $1 or a.withdrawn <> '{}' and a.id = any(array_remove($2::text[], '')::uuid[])) -- she may have left it
		  and (a.id = any(array_remove($2::text[], '')::uuid[])
		       or (a.state = 'blocked' or a.withdrawn <> '{}') and a.address_index <> '' and a.address_index = any($3))`, event, c.claims, c.indexes)
	for _, r := range rows {
		v := verdict{id: r.ID, sealed: r.Sealed, withdrawn: r.Withdrawn}
		out.byID[r.ID] = v
		if r.Here && r.Alone && len(r.Index) > 0 && (r.Sealed || len(r.Withdrawn) > 0) {
			out.byAddress[string(r.Index)] = v
		}
	}
	return out, quiet("look for those who are sealed", err)
}
