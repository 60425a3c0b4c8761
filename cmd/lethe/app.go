package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lethe/attendees/db/localpg"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/migrations"
	"lethe/sync/eventbrite"
	"lethe/sync/pull"
	"lethe/sync/typeform"
)

// app is one run of the program: what its commands share. Commands open what they
// need; close closes it, the last opened first.
type app struct {
	out, err io.Writer
	config   config
	now      func() time.Time
	// simulated tells that now is: on invented people alone.
	simulated bool
	ahead     time.Duration // by how much a simulated clock goes on from where another stopped
	// mends tells that the command looks into the ledger itself, or mends it: others
	// refuse a database that does not agree with the ledger's copy.
	mends bool
	// looks tells that the command changes no byte of the database.
	looks bool
	log   *slog.Logger
	// listener is where the web listens, once PORT is bound.
	listener net.Listener
	// visitor is whom the demo prints a link to /my-data for; empty: nobody.
	visitor attendees.Personal

	closers []func()
}

func (a *app) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

func (a *app) onClose(do func()) { a.closers = append(a.closers, do) }

// configure reads the environment and sets up clock and log.
func (a *app) configure() (err error) {
	if a.config, err = readConfig(); err != nil {
		return err
	}
	now, simulated, err := a.config.clock()
	if err != nil {
		return err
	}
	a.now, a.simulated = func() time.Time { return now().Add(a.ahead) }, simulated
	options := &slog.HandlerOptions{Level: a.config.level()}
	if a.config.Log == "json" {
		a.log = slog.New(slog.NewJSONHandler(a.err, options))
	} else {
		a.log = slog.New(slog.NewTextHandler(a.err, options))
	}
	return nil
}

// database is an open database with its URL.
type database struct {
	*postgres.Store
	URL     string
	Private *localpg.Server // nil: DATABASE_URL named it, or another lethe runs it
}

// openStore opens the database that DATABASE_URL names, or else the private one in
// the data folder, which it starts unless another lethe has. The private one is
// brought up to date; another one must be.
func (a *app) openStore(ctx context.Context) (database, error) {
	policy, err := a.config.policy()
	if err != nil {
		return database{}, err
	}
	keys, err := a.keyring(a.config.DatabaseURL == "")
	if err != nil {
		return database{}, err
	}
	var d database
	if d.URL = a.config.DatabaseURL; d.URL == "" {
		if d.Private, d.URL, err = a.privateDatabase(ctx); err != nil {
			return d, err
		}
	}
	db, err := postgres.Open(d.URL)
	if err != nil {
		return d, err
	}
	a.onClose(func() { _ = db.Close() })
	d.Store = postgres.New(db, keys, &policy, a.now)
	if a.config.DatabaseURL == "" {
		if err := migrations.Up(ctx, db.DB); err != nil {
			return d, err
		}
	} else if err := upToDate(ctx, d); err != nil {
		return d, err
	}
	if err := a.checkStore(ctx, d); err != nil || a.mends {
		return d, err
	}
	return d, a.checkLedger(ctx, d)
}

// open reads the environment and opens the database.
func (a *app) open(ctx context.Context) (database, error) {
	if err := a.configure(); err != nil {
		return database{}, err
	}
	return a.openStore(ctx)
}

func upToDate(ctx context.Context, d database) error {
	has, needs, err := migrations.Version(ctx, d.DB().DB)
	if err != nil {
		return unreachable(err)
	}
	if has < needs {
		return fmt.Errorf("the database has version %d and this program needs %d: run `lethe migrate`", has, needs)
	}
	return nil
}

// unreachable says of a database that does not answer which one is meant, without
// its URL, which holds a password.
func unreachable(err error) error {
	return fmt.Errorf("the database that DATABASE_URL names cannot be used: %w. Is it running, and is the URL right?", err)
}

// checkStore refuses a clock that only invented people may have, and a database that
// needs a secret that is not here.
func (a *app) checkStore(ctx context.Context, d database) error {
	if a.config.Clock != "" {
		simulated, err := d.Marked(ctx, postgres.Simulated)
		if err != nil {
			return err
		}
		if simulated.IsZero() {
			return errors.New("LETHE_CLOCK simulates the time only on a database that `lethe demo` or a test has made: unset it")
		}
		// Another process that began at the same instant may have recorded something since.
		last, err := d.LedgerTime(ctx)
		if err != nil {
			return err
		}
		if behind := last.Sub(a.now()); behind > 0 && behind < sameClock {
			a.ahead = behind
		}
	}
	check := d.UseSecret
	if a.looks {
		check = d.MissingSecret
	}
	secret, err := check(ctx)
	if err == nil && secret != "" {
		err = fmt.Errorf("the database needs the secret %s, which LETHE_SECRET does not list: without it people are not found, "+
			"the erased not kept out, the ledger not verified. Add it behind the newest, separated by a comma", secret)
	}
	return err
}

// sameClock is how long a process may have gone on from a simulated instant before another
// begins at the same one.
const sameClock = 10 * time.Minute

// dataDir is the data folder, made where it is missing, readable by its owner alone.
func (a *app) dataDir() (string, error) {
	dir, err := a.config.data()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the data folder (LETHE_DATA): %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return "", fmt.Errorf("close the data folder (LETHE_DATA) to others: %w", err)
	}
	return dir, nil
}

func (a *app) privateDatabase(ctx context.Context) (*localpg.Server, string, error) {
	dir, err := a.dataDir()
	if err != nil {
		return nil, "", err
	}
	dir = filepath.Join(dir, "postgres")
	server, err := localpg.Start(ctx, localpg.Options{Dir: dir, Log: a.log})
	if errors.Is(err, localpg.ErrInUse) {
		// Another lethe runs it; it is as good as ours while that one lives.
		if url, ok := localpg.Running(dir, databaseName); ok {
			return nil, url, nil
		}
	}
	if err != nil {
		return nil, "", err
	}
	a.onClose(func() {
		if err := server.Stop(); err != nil {
			a.log.Warn("the private database did not stop cleanly", "err", err)
		}
	})
	return server, server.URL(databaseName), nil
}

// running tells whether another lethe runs a private database in dir.
func running(dir string) bool {
	_, ok := localpg.Running(dir, databaseName)
	return ok
}

const databaseName = localpg.Database

// keyring is LETHE_SECRET, or, where the database is our own, the one in the data
// folder, made on the first start.
func (a *app) keyring(private bool) (*seal.Keyring, error) {
	secret := a.config.Secret
	if secret == "" && private {
		var err error
		if secret, err = a.ownSecret(); err != nil {
			return nil, err
		}
	}
	if secret == "" {
		return nil, errors.New("LETHE_SECRET is not set: make one with `openssl rand -base64 32`, keep it safe, and give the same to every lethe on this database")
	}
	keys, err := seal.NewKeyring(secret)
	if err != nil {
		return nil, fmt.Errorf("LETHE_SECRET: %w", err)
	}
	return keys, nil
}

// ownSecret reads the secret in the data folder; where there is none it makes one
// and says so.
func (a *app) ownSecret() (string, error) {
	dir, err := a.dataDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "secret")
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the secret in the data folder: %w", err)
	}
	secret := make([]byte, seal.SecretSize)
	rand.Read(secret) //nolint: it never fails (crypto/rand)
	line := base64.StdEncoding.EncodeToString(secret)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return a.ownSecret() // another lethe was first
	}
	if err != nil {
		return "", fmt.Errorf("keep a secret in the data folder: %w", err)
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		return "", errors.Join(fmt.Errorf("keep a secret in the data folder: %w", err), f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("keep a secret in the data folder: %w", err)
	}
	fmt.Fprintf(a.err, "Made a secret in %s. Keep a copy: without it nobody's records are found again.\n", path)
	return line, nil
}

// puller has a client for each source that has a token, and a sealer where there is an
// officer's key.
func (a *app) puller(d database) (*pull.Puller, error) {
	p := &pull.Puller{Store: d.Store, Organizations: a.config.organizations(), Now: a.now, Simulated: a.simulated, Log: a.log}
	var err error
	if d.Store != nil { // else doctor looks at the sources alone
		if p.Sealer, err = a.sealer(d); err != nil && !errors.Is(err, seal.ErrNoOfficer) {
			return nil, err
		}
	}
	if a.config.Eventbrite != "" {
		if p.Eventbrite, err = eventbrite.New(eventbrite.Options{URL: a.config.EventbriteURL, Token: a.config.Eventbrite, Log: a.log}); err != nil {
			return nil, err
		}
	}
	if a.config.Typeform != "" {
		if p.Typeform, err = typeform.New(typeform.Options{URL: a.config.TypeformURL, Token: a.config.Typeform, Log: a.log}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// These are for commands that need a source.
var (
	errNoToken         = errors.New("EVENTBRITE_TOKEN is not set: a private token is to be had at https://www.eventbrite.com/platform/api-keys")
	errNoTypeformToken = errors.New("TYPEFORM_TOKEN is not set: a personal token is to be had at https://admin.typeform.com/user/tokens")
)

// eventID takes an event's id as it was typed.
func eventID(arg string) attendees.EventID { return attendees.EventID(strings.TrimSpace(arg)) }
