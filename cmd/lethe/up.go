package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"lethe/attendees/old/seal"
	"lethe/attendees/web"
	"lethe/jobs"
)

func (a *app) upCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Run web and worker in one process",
		Long: `Run web and worker in one process. Without DATABASE_URL it starts a private PostgreSQL
in the data folder, and makes a secret there on its first start, and an officer's key,
whose private half it shows once.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), true, true) },
	}
}

func (a *app) webCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "web",
		Short: "Serve pages on PORT",
		Args:  exactly(0, "no arguments"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), true, false) },
	}
}

func (a *app) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Work the schedule: discover, pull, reconcile, block, delete",
		Args:  exactly(0, "no arguments"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), false, true) },
	}
}

// serve runs web, worker or both until ctx ends, which is no failure, even while
// they are still starting.
func (a *app) serve(ctx context.Context, serves, works bool) error {
	err := a.start(ctx, serves, works)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *app) start(ctx context.Context, serves, works bool) error {
	if err := a.configure(); err != nil {
		return err
	}
	if !(serves && works) && a.config.Secret == "" {
		_, err := a.keyring(false) // only up makes a secret; these say how
		return err
	}
	if works && a.config.Eventbrite == "" && a.config.Typeform == "" {
		a.log.Warn("no token is set, so nothing will be pulled", "set", "EVENTBRITE_TOKEN, TYPEFORM_TOKEN")
	}
	if _, err := a.mailer(); err != nil {
		return err // before a database is started for nothing
	}
	d, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	if serves && works {
		if err := a.ownOfficer(); err != nil {
			return err
		}
	}
	return a.serveStore(ctx, d, serves, works)
}

func (a *app) serveStore(ctx context.Context, d database, serves, works bool) error {
	if err := a.confirmNow(ctx, d); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	mailer, err := a.mailer()
	if err != nil {
		return err
	}
	if works {
		p, err := a.puller(d)
		if err != nil {
			return err
		}
		sealer, err := a.sealer(d)
		if err != nil && !errors.Is(err, seal.ErrNoOfficer) {
			return err
		}
		desk, err := a.desk(d, a.config.BaseURL)
		if err != nil {
			return err
		}
		worker, err := jobs.Schedule(ctx, d.URL, p, jobs.Life{
			Sealer: sealer, Simulated: a.simulated, KeepCopy: func(ctx context.Context) error { return a.keepCopy(ctx, d) },
			Remind: desk.Remind,
		}, sender(mailer), a.log)
		if err != nil {
			return err
		}
		// Not ctx: cancelling River's own context would give running jobs no moment
		// to end.
		if err := worker.Start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		a.log.Info("working the schedule")
		group.Go(func() error {
			<-ctx.Done()
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return worker.Stop(stopping)
		})
	}
	group.Go(func() error { return a.confirm(ctx, d) })
	if serves {
		if err := a.listen(ctx, group, d, works); err != nil {
			return err
		}
	}
	return group.Wait()
}

const (
	// stopTimeout is less than the ten seconds that platforms grant after SIGTERM.
	stopTimeout = 9 * time.Second
	// lastTimeout is the part of it that is left for what requests have put off. One that is
	// still under way, a list that leaves slowly, would use up all of it, and sign-in mails
	// would be dropped.
	lastTimeout = 3 * time.Second
	// readTimeout, writeTimeout and idleTimeout bound what a slow or silent client may hold.
	// A page may take its time; after that, the one that says so is still sent.
	readTimeout  = 10 * time.Second
	writeTimeout = web.PageFor + 5*time.Second
	idleTimeout  = 2 * time.Minute
	// maxHeader bounds a request's headers.
	maxHeader = 16 << 10
)

// bind takes PORT, where nobody has yet.
func (a *app) bind() (err error) {
	if a.listener != nil {
		return nil
	}
	if a.listener, err = net.Listen("tcp", ":"+a.config.Port); err != nil {
		return fmt.Errorf("listen on PORT %s: %w", a.config.Port, err)
	}
	a.onClose(func() { _ = a.listener.Close() })
	return nil
}

func newServer(pages http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: pages, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		DisableGeneralOptionsHandler: true, // its answer would lack the headers that each of ours carries
	}
}

func (a *app) listen(ctx context.Context, group *errgroup.Group, d database, works bool) error {
	if err := a.bind(); err != nil {
		return err
	}
	address := a.config.BaseURL
	if address == "" {
		address = fmt.Sprintf("http://localhost:%d", a.listener.Addr().(*net.TCPAddr).Port)
	}
	site, err := a.site(ctx, d, address, works)
	if err != nil {
		return err
	}
	server := newServer(site.Handler(), a.log)
	fmt.Fprintf(a.out, "Lethe is up: %s\n", address)
	if err := a.welcome(ctx, d, site, works); err != nil {
		return err
	}
	group.Go(func() error {
		if err := server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		ending, cancel := context.WithTimeout(stopping, stopTimeout-lastTimeout)
		defer cancel()
		return errors.Join(server.Shutdown(ending), site.Close(stopping))
	})
	return nil
}
