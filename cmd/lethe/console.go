package main

import (
	"context"
	"errors"
	"fmt"

	"riverqueue.com/riverui"

	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/attendees/web"
	"lethe/jobs"
	"lethe/migrations"
)

// site makes the console. It asks for jobs through a queue of its own, since the worker
// may be another process.
func (a *app) site(ctx context.Context, d database, address string, works bool) (*web.Site, error) {
	queue, err := jobs.NewQueue(d.Store, a.log)
	if err != nil {
		return nil, err
	}
	river, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(queue.Client(), nil), Logger: a.log.With("in", "river's pages"), Prefix: "/operations/jobs",
	})
	if err != nil {
		return nil, fmt.Errorf("river's pages: %w", err)
	}
	if err := river.Start(ctx); err != nil {
		return nil, fmt.Errorf("start river's pages: %w", err)
	}
	sources, err := a.puller(d)
	if err != nil {
		return nil, err
	}
	mailer, err := a.mailer()
	if err != nil {
		return nil, err
	}
	sealer, err := a.sealer(d)
	if err != nil && !errors.Is(err, seal.ErrNoOfficer) {
		return nil, err
	}
	var post web.Poster = queue
	var send web.Sender
	if mailer != nil {
		send = mailer
	}
	if a.config.SMTP == "" && works {
		post, send = terminalPost{a}, terminalPost{a}
	} else if a.config.SMTP == "" {
		a.log.Warn("nobody can sign in by mail unless the worker has it", "set", "SMTP_URL")
	}
	return web.New(web.Options{
		Store: d.Store, BaseURL: address, Post: post, Pull: queue, Forms: sources, Jobs: river, Now: a.now, Log: a.log, Send: send, Sealer: sealer,
		KeepCopy: func(ctx context.Context) error { return a.keepCopy(ctx, d) },
		Ready: func(ctx context.Context) error {
			has, needs, err := migrations.Version(ctx, d.DB().DB)
			if err == nil && has < needs {
				err = fmt.Errorf("version %d of %d", has, needs)
			}
			return err
		},
		CheckCopy: func(ctx context.Context) error { return a.checkLedger(ctx, d) },
	})
}

// terminalPost writes letters on the terminal, for who has no mail server yet.
type terminalPost struct{ *app }

// Post writes a letter.
func (p terminalPost) Post(_ context.Context, l mail.Letter) error {
	_, err := fmt.Fprintf(p.out, "\nA mail, which SMTP_URL would send: %s\n%s\n", l.Subject, l.Plain())
	return err
}

// Send writes a letter, too.
func (p terminalPost) Send(ctx context.Context, l mail.Letter) error { return p.Post(ctx, l) }

// terminalUser is whoever sees the terminal. No mail ever goes to that name (RFC 2606).
const terminalUser = "you@this-terminal.invalid"

// welcome lets a newcomer in without a mail server: where web and worker run in one
// process and mail is not set up, it prints a link on the terminal. Once mail is, that
// user goes.
func (a *app) welcome(ctx context.Context, d database, site *web.Site, works bool) error {
	if a.config.SMTP != "" {
		if err := d.RemoveUser(ctx, terminalUser); err != nil && !errors.Is(err, postgres.ErrNoUser) {
			return err
		}
		return nil
	}
	if !works {
		return nil
	}
	user, err := d.SaveUser(ctx, terminalUser, attendees.Roles(), nil)
	if err != nil {
		return err
	}
	link, err := site.SignInLink(ctx, user)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Sign in, within 15 minutes and once: %s\nOthers get theirs by mail, once SMTP_URL is set: `lethe users add` says who may.\n", link)
	if a.visitor == "" {
		return nil
	}
	if link, err = site.VisitLink(ctx, a.visitor); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "And as an attendee, to see what is held of her: %s\n", link)
	return nil
}

// mailer sends mail; nil where SMTP_URL is not set.
func (a *app) mailer() (*mail.Mailer, error) {
	if a.config.SMTP == "" {
		return nil, nil
	}
	if a.config.MailFrom == "" {
		return nil, errors.New("LETHE_MAIL_FROM is not set: the address that mail is sent from, such as Lethe <lethe@example.org>")
	}
	m, err := mail.New(a.config.SMTP, a.config.MailFrom, nil)
	if errors.Is(err, mail.ErrURL) {
		return nil, fmt.Errorf("SMTP_URL: %w", err)
	}
	return m, err
}

// sender is a mailer as jobs want it: none is no sender.
func sender(m *mail.Mailer) jobs.Sender {
	if m == nil {
		return nil
	}
	return m
}

// mail tells whether mail can be sent: it connects and signs in, and sends nothing.
func (d *doctor) mail(ctx context.Context) {
	m, err := d.mailer()
	switch {
	case err != nil:
		d.find(broken, "mail", err.Error(), "")
		return
	case m == nil:
		d.find(doubtful, "mail", "SMTP_URL is not set, so nobody can sign in by mail", "Set SMTP_URL=smtps://user:password@host:465 and LETHE_MAIL_FROM.")
		return
	}
	if err := m.Check(ctx); err != nil {
		d.find(broken, "mail", err.Error(), "Look at SMTP_URL: host, port, user and password.")
		return
	}
	d.find(healthy, "mail", m.Host()+" takes mail from us", "")
}
