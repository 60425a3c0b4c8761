package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// A room is the partition of table personal that holds one event's people. After
// UPDATE, DELETE and VACUUM the old bytes still lie in a table's file; after its
// partition is dropped they do not, and the drop takes milliseconds at any size.

// personalColumns hold personal data, or what leads to it. Their statistics are
// off, on the parent and in every room: the planner's samples would keep names when
// the room is gone. Statistics targets are not inherited, so each room sets them.
var personalColumns = []string{
	"source_id", "name", "email", "ticket", "agreement_version", "agreed_at", "affiliation",
	"forums", "answers", "digest", "address_index", "submitted_at", "listed", "looked_by", "found_by",
	"corrected",
}

// house names a table of rooms: its partitions are its name and the event's key.
type house string

const (
	personalRooms house = "personal"
	sealedRooms   house = "sealed"
)

func (h house) room(event uuid.UUID) string {
	return string(h) + "_" + strings.ReplaceAll(event.String(), "-", "")
}

func room(event uuid.UUID) string { return personalRooms.room(event) }

// buildRoom makes an event's room where there is none. It is built beside the
// others and then attached, which waits for nobody; "create table … partition of"
// would lock every reader out.
func (s *Store) buildRoom(ctx context.Context, h house, event uuid.UUID) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error { return s.buildRoomIn(ctx, tx, h, event) })
}

func (s *Store) buildRoomIn(ctx context.Context, tx *sqlx.Tx, h house, event uuid.UUID) error {
	// Two workers may discover one event at once; the event's row lets one build.
	if _, err := tx.ExecContext(ctx, `select from events where id = $1 for no key update`, event); err != nil {
		return quiet("lock an event", err)
	}
	var there bool
	if err := tx.GetContext(ctx, &there, `select to_regclass($1) is not null`, h.room(event)); err != nil || there {
		return quiet("look for a room", err)
	}
	recipe := sealedRecipe(event)
	if h == personalRooms {
		recipe = roomRecipe(event)
	}
	_, err := tx.ExecContext(ctx, recipe)
	return quiet("build a room", err)
}

// sealedRecipe makes a room of sealed records: as roomRecipe does, without a trigger,
// since nothing in it is readable.
func sealedRecipe(event uuid.UUID) string {
	name := sealedRooms.room(event)
	return fmt.Sprintf(`
		create table %[1]s (like sealed including all);
		alter table %[1]s alter column officers set statistics 0, alter column person set statistics 0;
		alter table sealed attach partition %[1]s for values in ('%[2]s')`, name, event)
}

// roomRecipe holds a name made of hexadecimal digits and a key, nothing from outside.
func roomRecipe(event uuid.UUID) string {
	name := room(event)
	var b strings.Builder
	fmt.Fprintf(&b, "create table %s (like personal including all);\n", name)
	fmt.Fprintf(&b, "alter table %s", name)
	for i, column := range personalColumns {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n\talter column %s set statistics 0", column)
	}
	b.WriteString(";\n")
	// A statement trigger is not inherited either, and a room can be written directly.
	for _, when := range []string{"insert", "update"} {
		fmt.Fprintf(&b, "create trigger refuse_inactive_%s after %s on %s\n", when, when, name)
		b.WriteString("\treferencing new table as fresh for each statement execute function refuse_inactive();\n")
	}
	fmt.Fprintf(&b, "select count_people_in('%s');\n", name)
	fmt.Fprintf(&b, "alter table personal attach partition %s for values in ('%s');\n", name, event)
	return b.String()
}
