package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Budget is how many calls a source has granted, and how many of them were used, when it
// last told. The zero Budget: it never did.
type Budget struct {
	Used, Limit int
	At          time.Time
}

const budgetMark Mark = "budget"

// NoteBudget keeps what Eventbrite last told of its rate limit, for other processes to
// show.
func (s *Store) NoteBudget(ctx context.Context, used, limit int) error {
	return s.setMark(ctx, s.db, budgetMark, fmt.Sprintf("%d of %d", used, limit))
}

// Budget is what NoteBudget last kept.
func (s *Store) Budget(ctx context.Context) (Budget, error) {
	var row struct {
		Value string    `db:"value"`
		At    time.Time `db:"at"`
	}
	err := s.db.GetContext(ctx, &row, `select value, at from marks where name = $1`, budgetMark)
	if errors.Is(err, sql.ErrNoRows) {
		return Budget{}, nil
	}
	if err != nil {
		return Budget{}, quiet("read a mark", err)
	}
	b := Budget{At: row.At}
	if _, err := fmt.Sscanf(row.Value, "%d of %d", &b.Used, &b.Limit); err != nil {
		return Budget{}, nil // an older version's
	}
	return b, nil
}
