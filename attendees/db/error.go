package db

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"
)

// Error is what the database refused, without the values it refused.
type Error struct {
	Doing      string // what was tried
	Code       string // SQLSTATE
	Name       string // the SQLSTATE's name
	Table      string
	Constraint string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("database: %s: %s (%s)", e.Doing, strings.ReplaceAll(e.Name, "_", " "), e.Code)
	if e.Table != "" {
		text += " on table " + e.Table
	}
	if e.Constraint != "" {
		text += ", " + e.Constraint
	}
	return text
}

// queryCanceled is how a cancelled context comes back from PostgreSQL.
const queryCanceled = "57014"

// Failed wraps an error of the database so that it says what was tried and no value. An
// *Error, or one of ours, stays as it is below what was tried.
func Failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*pq.Error](err); ok {
		if p.Code == queryCanceled {
			return fmt.Errorf("database: %s: %w", doing, context.Canceled)
		}
		return &Error{Doing: doing, Code: string(p.Code), Name: p.Code.Name(), Table: p.Table, Constraint: p.Constraint}
	}
	return fmt.Errorf("database: %s: %w", doing, err)
}

// Wrap says what a function tried in the error that it returns, once for all of its
// statements. It is called deferred, with the address of the named result.
func Wrap(err *error, format string, args ...any) {
	if *err == nil {
		return
	}
	doing := fmt.Sprintf(format, args...)
	if _, ok := errors.AsType[*pq.Error](*err); ok {
		*err = Failed(doing, *err)
		return
	}
	*err = fmt.Errorf("%s: %w", doing, *err)
}

// Is tells whether the database refused with this SQLSTATE.
func Is(err error, code string) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code == code
	}
	p, ok := errors.AsType[*pq.Error](err)
	return ok && string(p.Code) == code
}
