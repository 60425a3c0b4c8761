package postgres

import (
	"context"
	"slices"
)

// responses seals what nobody was found for: under a hold it may be what the claim is
// about. It is keyed by form and response.
func (b *blocker) responses(ctx context.Context) error {
	var there bool
	if err := b.db.GetContext(ctx, &there, `select to_regclass($1) is not null`, room(b.event.Key)); err != nil || !there {
		return quiet("look for a room", err)
	}
	var unmatched []struct {
		readable
		Form string `db:"form_id"`
	}
	err := b.db.SelectContext(ctx, &unmatched, `
		select id, source_id, form_id, name, email, agreement_version, agreed_at, affiliation, forums, answers
		from personal
		where event_id = $1 and part = 'response' and attendee_id is null
		  and not exists (select from sealed s where s.event_id = personal.event_id and s.attendee_id = personal.id)
		order by id`, b.event.Key)
	if err != nil {
		return quiet("read unmatched responses for the last time", err)
	}
	for batch := range slices.Chunk(unmatched, sealBatch) {
		var rows []sealedRow
		for _, r := range batch {
			both, err := b.sealResponse(r.readable, r.Form, true, "") // whose address it is was never shown
			if err != nil {
				return err
			}
			rows = append(rows, both...)
		}
		if err := b.saveSealed(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

// sealResponse seals what a duty keeps of a response, and, under a hold, what none does.
// name is the form's, or the form's and the response's: what its parts are called by.
func (b *blocker) sealResponse(r readable, name string, held bool, address string) ([]sealedRow, error) {
	rows, err := b.sealPart(r, "response:"+name, true, address)
	if err != nil || !held {
		return rows, err
	}
	more, err := b.sealPart(r, partHeld+":"+name, false, address)
	return append(rows, more...), err
}
