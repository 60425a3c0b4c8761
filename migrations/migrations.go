// Package migrations is the database: numbered SQL, embedded, and Up, which brings
// any older one, or an empty one, to what this program needs.
//
// There are no steps down. A schema is changed by adding a file with the next
// number; what has run somewhere is never edited. Where personal data may lie, and
// where it must never, is written in the comments of 00001_events.sql.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed *.sql
var files embed.FS

// The tables of the core that is built next to this one. Only its packages' tests run
// them, until the program moves over.
//
//go:embed next
var next embed.FS

const (
	// riverStep is the number of the one step that is River's own.
	riverStep = 2
	// riverVersion is the version of River's schema that riverStep goes up to. A
	// later River that needs more gets a step of its own.
	riverVersion = 8

	// Several programs may start on one database at once; one migrates, the others
	// look every second for a minute whether it is done.
	lockEvery, lockTries = 1, 60
)

// Up brings the database to the newest version. It may be called by several
// programs at once: a lock that ends with its session lets one of them work.
func Up(ctx context.Context, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// Version tells which version the database has, and which this program needs.
func Version(ctx context.Context, db *sql.DB) (has, needs int64, err error) {
	p, err := provider(db)
	if err != nil {
		return 0, 0, err
	}
	if has, needs, err = p.GetVersions(ctx); err != nil {
		return 0, 0, fmt.Errorf("read the database's version: %w", err)
	}
	return has, needs, nil
}

// UpNext makes the tables of the core that is built next to this one, on an empty database.
func UpNext(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(next, "next")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockEvery, lockTries))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.NewTextHandler(io.Discard, nil))),
		goose.WithGoMigrations(goose.NewGoMigration(riverStep, &goose.GoFunc{RunDB: riverUp}, nil)),
	)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// riverUp makes River's tables. It takes more than one connection, since River's
// steps fail in one transaction on their own new enum value, and needs no lock
// of its own: goose holds one.
func riverUp(ctx context.Context, db *sql.DB) error {
	m, err := rivermigrate.New(riverdatabasesql.New(db), &rivermigrate.Config{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return fmt.Errorf("river: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: riverVersion}); err != nil {
		return fmt.Errorf("river: %w", err)
	}
	return nil
}
