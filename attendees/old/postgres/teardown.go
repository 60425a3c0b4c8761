package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

const (
	// teardownWait is how long one try may wait for those who read the other rooms:
	// while it waits, nobody who comes later is kept waiting.
	teardownWait = 5 * time.Second
	// teardownTries bound how long an idle transaction elsewhere may keep a room from
	// going: by then it is empty, and the next sweep goes on.
	teardownTries = 6
)

// tearDown takes a room away with its file. Its people are gone as soon as it is
// emptied, first of all; taking the empty room out of the house waits for those who
// are just planning a query, so it is tried several times. It may be called again
// after it was cut off anywhere, and when there is no room any more.
func (s *Store) tearDown(ctx context.Context, h house, event uuid.UUID) error {
	unlock, err := s.lockTeardown(ctx, h) // one detach of a table at a time
	if err != nil {
		return err
	}
	defer unlock()
	conn, err := s.db.Connx(ctx)
	if err != nil {
		return quiet("tear down a room", err)
	}
	defer func() { _ = conn.Close() }()
	if err := finishDetach(ctx, conn, h); err != nil {
		return err
	}
	name := h.room(event)
	var there, attached bool
	err = conn.QueryRowxContext(ctx, `
		select to_regclass($1) is not null,
			exists (select from pg_inherits where inhrelid = to_regclass($1))`, name).Scan(&there, &attached)
	if err != nil || !there {
		return quiet("look for a room", err)
	}
	try := func(statement string) error {
		return patiently(ctx, func() error {
			_, err := conn.ExecContext(ctx, fmt.Sprintf("set lock_timeout = %d", teardownWait.Milliseconds()))
			if err == nil {
				_, err = conn.ExecContext(ctx, statement)
			}
			_, reset := conn.ExecContext(context.WithoutCancel(ctx), "reset lock_timeout")
			return errors.Join(err, reset)
		})
	}
	if err := try("truncate " + name); err != nil {
		return quiet("empty a room", err)
	}
	if h == personalRooms {
		if _, err := conn.ExecContext(ctx, `delete from answered where event_id = $1`, event); err != nil {
			return quiet("forget who answered", err)
		}
	}
	if attached {
		err := try("alter table " + string(h) + " detach partition " + name + " concurrently")
		if err != nil {
			if finishing := finishDetach(ctx, conn, h); finishing != nil {
				return quiet("detach a room", err)
			}
		}
	}
	return quiet("drop a room", try("drop table "+name))
}

// finishDetach ends a detaching that was cut off: until then no other may begin.
func finishDetach(ctx context.Context, conn *sqlx.Conn, h house) error {
	var pending []string
	err := conn.SelectContext(ctx, &pending, `
		select inhrelid::regclass::text
		from pg_inherits
		where inhparent = $1::regclass and inhdetachpending`, h)
	if err != nil {
		return quiet("look for half detached rooms", err)
	}
	for _, name := range pending {
		if _, err := conn.ExecContext(ctx, "alter table "+string(h)+" detach partition "+name+" finalize"); err != nil {
			return quiet("finish detaching a room", err)
		}
	}
	return nil
}

// patiently tries again what had to wait for a lock for too long.
func patiently(ctx context.Context, do func() error) (err error) {
	for range teardownTries {
		var p *pq.Error
		if err = do(); !errors.As(err, &p) || p.Code != "55P03" { // lock_not_available
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}

// rewriteRooms writes the rooms that somebody left early anew, so that no file keeps
// a name: after a delete the old bytes still lie in the table's pages. It returns how
// many it wrote.
func (s *Store) rewriteRooms(ctx context.Context) (int, error) {
	var asked []struct {
		Event uuid.UUID `db:"event_id"`
		House house     `db:"room"`
	}
	if err := s.db.SelectContext(ctx, &asked, `select event_id, room from rewrites order by asked_at`); err != nil {
		return 0, quiet("look for rooms to write anew", err)
	}
	for i, a := range asked {
		if err := s.rewriteRoom(ctx, a.House, a.Event); err != nil {
			return i, err
		}
	}
	return len(asked), nil
}

// rewriteRoom copies a room's rows aside, empties the room, which gives it a new file,
// and copies them back, all in one transaction that holds the event: its writers wait.
func (s *Store) rewriteRoom(ctx context.Context, h house, event uuid.UUID) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		var state attendees.State
		if err := tx.GetContext(ctx, &state, `select state from events where id = $1 for update`, event); err != nil {
			return quiet("lock an event", err)
		}
		var there bool
		if err := tx.GetContext(ctx, &there, `select to_regclass($1) is not null`, h.room(event)); err != nil {
			return quiet("look for a room", err)
		}
		// The readable room of an event that is being blocked goes as a whole.
		if there && (h == sealedRooms || state == attendees.Active) {
			name := h.room(event)
			var columns string
			err := tx.GetContext(ctx, &columns, `
				select string_agg(quote_ident(attname), ', ' order by attnum)
				from pg_attribute
				where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`, name)
			if err != nil {
				return quiet("write a room anew", err)
			}
			if h == personalRooms { // whoever comes back is counted as she comes
				if _, err := tx.ExecContext(ctx, `delete from counts where event_id = $1`, event); err != nil {
					return quiet("write a room anew", err)
				}
			}
			for _, statement := range []string{
				"create temporary table aside on commit drop as select " + columns + " from " + name,
				"truncate " + name,
				"insert into " + name + " (" + columns + ") select " + columns + " from aside",
				"analyze " + name,
			} {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return quiet("write a room anew", err)
				}
			}
		}
		_, err := tx.ExecContext(ctx, `delete from rewrites where event_id = $1 and room = $2`, event, h)
		return quiet("write a room anew", err)
	})
}

// askRewrite notes that somebody left a room early.
func (s *Store) askRewrite(ctx context.Context, tx *sqlx.Tx, h house, event uuid.UUID) error {
	_, err := tx.ExecContext(ctx, `
		insert into rewrites (event_id, room, asked_at)
		values ($1, $2, $3)
		on conflict do nothing`, event, h, s.now())
	return quiet("ask for a room to be written anew", err)
}

// leaveEarly empties or deletes some rows of an event's readable room, its key being the
// statement's $1, and asks for the room to be written anew. It returns how many.
func (s *Store) leaveEarly(ctx context.Context, tx *sqlx.Tx, doing string, event uuid.UUID, statement string, args ...any) (int, error) {
	result, err := tx.ExecContext(ctx, statement, append([]any{event}, args...)...)
	if err != nil {
		return 0, quiet(doing, err)
	}
	n, err := result.RowsAffected()
	if err != nil || n == 0 {
		return 0, quiet(doing, err)
	}
	return int(n), s.askRewrite(ctx, tx, personalRooms, event)
}

// FlushWAL ends the write-ahead log's file and checkpoints, after which a private
// PostgreSQL keeps no file with what has gone. Where the role may not, that is the
// operator's: README says what a database's log still holds.
func (s *Store) FlushWAL(ctx context.Context) (bool, error) {
	var may bool
	err := s.db.GetContext(ctx, &may, `
		select has_function_privilege('pg_switch_wal()', 'execute')
			and (pg_has_role('pg_checkpoint', 'usage') or current_setting('is_superuser') = 'on')`)
	if err != nil || !may {
		return false, quiet("look what the role may", err)
	}
	// Twice: a checkpoint keeps the log back to the one before it.
	for range 2 {
		if _, err := s.db.ExecContext(ctx, `select pg_switch_wal()`); err != nil {
			return false, quiet("end the log's file", err)
		}
		if _, err := s.db.ExecContext(ctx, `checkpoint`); err != nil {
			return false, quiet("checkpoint", err)
		}
	}
	return true, nil
}
