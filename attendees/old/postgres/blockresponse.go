package postgres

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// responses seals what nobody was found for where a hold stands on the event, or on whom
// it names: it may be what the claim is about. It is keyed by form and response, or is part
// of hers who moved to another event.
func (b *blocker) responses(ctx context.Context) error {
	var there bool
	if err := b.db.GetContext(ctx, &there, `select to_regclass($1) is not null`, room(b.event.Key)); err != nil || !there {
		return quiet("look for a room", err)
	}
	var unmatched []struct {
		readable
		Form   string        `db:"form_id"`
		Claims uuid.NullUUID `db:"claims"`
		Whose  string        `db:"whose"`
	}
	err := b.db.SelectContext(ctx, &unmatched, `
		select p.id, p.source_id, p.form_id, p.name, p.email, p.agreement_version, p.agreed_at, p.affiliation, p.forums, p.answers,
			p.claims, coalesce(a.source_id, '') as whose
		from personal p
		left join attendees a on a.id = p.claims
		where p.event_id = $1 and p.part = 'response' and p.attendee_id is null and `+holding("$1", "p.claims", "$2")+`
		  and not exists (
			select from sealed s
			where s.event_id = $1
			  and (s.attendee_id = p.id or s.attendee_id = a.id and s.part = 'response:' || p.form_id || ':' || p.source_id))
		order by p.id`, b.event.Key, b.holdDay())
	if err != nil {
		return quiet("read unmatched responses for the last time", err)
	}
	for batch := range slices.Chunk(unmatched, sealBatch) {
		var rows []sealedRow
		for _, r := range batch {
			name := r.Form
			if r.Whose != "" {
				name = r.Form + ":" + r.SourceID
				r.ID, r.SourceID = r.Claims.UUID, r.Whose
			}
			both, err := b.sealResponse(r.readable, name, true, "") // whose address it is was never shown
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
