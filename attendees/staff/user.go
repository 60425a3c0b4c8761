package staff

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/seal"
)

// User is a member of staff who may sign in.
type User struct {
	ID          uuid.UUID
	Email       attendees.Personal // normalised
	Roles       []attendees.Role
	Events      []attendees.EventID // those that an organiser sees; none: all
	AddedAt     time.Time
	SignedOutAt time.Time // sessions that began until then count no more
}

// Has tells whether the user has a role.
func (u User) Has(r attendees.Role) bool { return slices.Contains(u.Roles, r) }

// Sees tells whether the user, as an organiser, sees an event.
func (u User) Sees(e attendees.EventID) bool {
	return u.Has(attendees.Organiser) && (len(u.Events) == 0 || slices.Contains(u.Events, e))
}

// ErrNoUser says that there is no user of that address, or id.
var ErrNoUser = errors.New("nobody of that address may sign in: `lethe users list` shows those who may")

// UnknownEventError says that a user was to see an event that is not known.
type UnknownEventError struct{ Event attendees.EventID }

func (e *UnknownEventError) Error() string {
	return "event " + string(e.Event) + " is not known: `lethe events list` shows those that are"
}

type userRow struct {
	ID          uuid.UUID          `db:"id"`
	Email       attendees.Personal `db:"email"`
	Roles       pq.StringArray     `db:"roles"`
	Events      pq.StringArray     `db:"events"`
	AddedAt     time.Time          `db:"added_at"`
	SignedOutAt *time.Time         `db:"signed_out_at"`
}

func (r userRow) user() User {
	u := User{ID: r.ID, Email: r.Email, AddedAt: r.AddedAt}
	for _, role := range r.Roles {
		u.Roles = append(u.Roles, attendees.Role(role))
	}
	for _, event := range r.Events {
		u.Events = append(u.Events, attendees.EventID(event))
	}
	if r.SignedOutAt != nil {
		u.SignedOutAt = *r.SignedOutAt
	}
	return u
}

const userColumns = `id, email, roles, events, added_at, signed_out_at`

// SaveUser adds a user. Roles and events of one whose address is known are replaced, their
// sessions end, and links that were mailed before expire.
func (s *Store) SaveUser(ctx context.Context, address string, roles []attendees.Role, events []attendees.EventID) (User, error) {
	u := User{Email: attendees.Personal(seal.Normalise(address)), Roles: roles, Events: events, AddedAt: s.now()}
	var known pq.StringArray
	if err := db.Select(ctx, s.pool, &known, `select source_id from events where source_id = any($1)`, stringArray(events)); err != nil {
		return u, db.Failed("look for a user's events", err)
	}
	for _, e := range events {
		if !slices.Contains(known, string(e)) {
			return u, &UnknownEventError{e}
		}
	}
	err := db.InTx(ctx, s.pool, func(tx db.Tx) error {
		// No unique constraint keeps addresses apart, since its error would quote one.
		if _, err := tx.ExecContext(ctx, `lock table users in share row exclusive mode`); err != nil {
			return db.Failed("lock the users", err)
		}
		err := tx.GetContext(ctx, &u.ID, `
			update users
			set roles = $2, events = $3, added_at = $4, signed_out_at = $4
			where email = $1
			returning id`, u.Email, stringArray(roles), stringArray(events), u.AddedAt)
		if err == nil {
			return dropSignIns(ctx, tx, u.ID)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return db.Failed("change a user", err)
		}
		u.ID = uuid.New()
		_, err = tx.ExecContext(ctx, `
			insert into users (id, email, roles, events, added_at)
			values ($1, $2, $3, $4, $5)`, u.ID, u.Email, stringArray(roles), stringArray(events), u.AddedAt)
		return db.Failed("add a user", err)
	})
	return u, err
}

// stringArray is a list as a column of texts; an empty one is not null.
func stringArray[T ~string](list []T) pq.StringArray {
	array := make(pq.StringArray, len(list))
	for i, t := range list {
		array[i] = string(t)
	}
	return array
}

// RemoveUser removes a user and ends their sessions. ErrNoUser where nobody has that address.
func (s *Store) RemoveUser(ctx context.Context, address string) error {
	result, err := s.pool.ExecContext(ctx, `delete from users where email = $1`, seal.Normalise(address))
	if err != nil {
		return db.Failed("remove a user", err)
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return ErrNoUser
	}
	return db.Failed("remove a user", err)
}

// Users lists the users by address.
func (s *Store) Users(ctx context.Context) ([]User, error) {
	var rows []userRow
	if err := s.pool.SelectContext(ctx, &rows, `select `+userColumns+` from users order by email collate "C"`); err != nil {
		return nil, db.Failed("list users", err)
	}
	users := make([]User, len(rows))
	for i, r := range rows {
		users[i] = r.user()
	}
	return users, nil
}

// User finds a user by id; ErrNoUser where there is none any more.
func (s *Store) User(ctx context.Context, id uuid.UUID) (User, error) {
	var r userRow
	err := s.pool.GetContext(ctx, &r, `select `+userColumns+` from users where id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, ErrNoUser
	}
	return r.user(), db.Failed("find a user", err)
}

// UserOf finds a user by address; ErrNoUser where nobody has it.
func (s *Store) UserOf(ctx context.Context, address string) (User, error) {
	var r userRow
	err := s.pool.GetContext(ctx, &r, `select `+userColumns+` from users where email = $1`, seal.Normalise(address))
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, ErrNoUser
	}
	return r.user(), db.Failed("find a user", err)
}

// SignOutEverywhere ends all of a user's sessions, and links in their mailbox that would begin
// one.
func (s *Store) SignOutEverywhere(ctx context.Context, id uuid.UUID) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if _, err := tx.ExecContext(ctx, `update users set signed_out_at = $2 where id = $1`, id, s.now()); err != nil {
			return db.Failed("sign a user out everywhere", err)
		}
		return dropSignIns(ctx, tx, id)
	})
}
