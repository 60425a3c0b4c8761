package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// namedLists is how many recalled lists a task names one by one: what a person reads.
const namedLists = 20

// askLists asks staff to destroy every copy of an event's lists, once it is blocked: each
// by its day, who took it, for what, and its SHA-256, by which a copy is known.
func (s *Store) askLists(ctx context.Context, tx *sqlx.Tx, e Event) error {
	var lists []Receipt
	err := tx.SelectContext(ctx, &lists, `
		select id, $2::text as event, purpose, format, rows, sha256, exported_by, exported_at
		from receipts
		where event_id = $1 and length(sha256) > 0
		order by exported_at desc, id`, e.Key, e.ID)
	if err != nil || len(lists) == 0 {
		return quiet("list what was exported", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Have every copy of the lists of event %s destroyed", e.ID)
	for i, r := range lists {
		if i == namedLists {
			fmt.Fprintf(&b, "\n  and of %d older ones", len(lists)-namedLists)
			break
		}
		fmt.Fprintf(&b, "\n  %s, taken by %s for %s: %d people, SHA-256 %x", r.At.UTC().Format("2006-01-02 15:04 UTC"), r.By, r.Purpose, r.Rows, r.SHA256)
	}
	return s.askAgain(ctx, tx, e.Key, taskLists, b.String())
}
