package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"

	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// SendMail sends a letter that waits in the outbox.
type SendMail struct {
	Letter uuid.UUID `json:"letter"`
}

// Kind names the job.
func (SendMail) Kind() string { return "send_mail" }

// MailCheckpoint mails the ledger's newest checkpoint to all officers.
type MailCheckpoint struct{}

// Kind names the job.
func (MailCheckpoint) Kind() string { return "mail_checkpoint" }

// DropSpent drops what was needed to sign in and is not any more.
type DropSpent struct{}

// Kind names the job.
func (DropSpent) Kind() string { return "drop_spent" }

const (
	// mailTries is how often a letter is tried: by River's own back-off (n⁴ seconds)
	// for some two hours and a half, through a server's restart and a greylist.
	mailTries = 10
	// dropSpentEvery is how much longer than its day a keyed hash may lie.
	dropSpentEvery = time.Hour
	// checkpointEvery is looked at daily, since a schedule in memory begins anew with
	// each start; the mail itself goes once a week.
	checkpointEvery = 24 * time.Hour
	checkpointWeek  = 7 * 24 * time.Hour
)

// Sender sends letters; *mail.Mailer is one.
type Sender interface {
	Send(ctx context.Context, l mail.Letter) error
}

// Queue asks for jobs from outside of the worker.
type Queue struct {
	client *river.Client[*sql.Tx]
	store  *postgres.Store
}

// NewQueue makes a queue that asks and works nothing.
func NewQueue(store *postgres.Store, log *slog.Logger) (*Queue, error) {
	client, err := river.NewClient(riverdatabasesql.New(store.DB().DB), &river.Config{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Queue{client, store}, nil
}

// Client is River's own, for its pages.
func (q *Queue) Client() *river.Client[*sql.Tx] { return q.client }

// Post keeps a letter and asks for the job that sends it, both or neither.
func (q *Queue) Post(ctx context.Context, l mail.Letter) error {
	return q.store.KeepMail(ctx, l, func(tx *sql.Tx, id uuid.UUID) error { return askToSend(ctx, q.client, tx, id) })
}

func askToSend(ctx context.Context, client *river.Client[*sql.Tx], tx *sql.Tx, id uuid.UUID) error {
	_, err := client.InsertTx(ctx, tx, SendMail{Letter: id}, &river.InsertOpts{MaxAttempts: mailTries})
	if err != nil {
		return fmt.Errorf("ask for a letter to be sent: %w", err)
	}
	return nil
}

// postman sends what waits.
type postman struct {
	river.WorkerDefaults[SendMail]
	store  *postgres.Store
	sender Sender // nil: there is no server to send by
	log    *slog.Logger
}

// noServerWait is how long a letter waits where SMTP_URL is not set, which costs no try.
const noServerWait = 10 * time.Minute

// Work sends one letter. What is refused for good, or was tried often enough, is given
// up, and its row goes, too.
func (p *postman) Work(ctx context.Context, job *river.Job[SendMail]) error {
	if p.sender == nil {
		return river.JobSnooze(noServerWait)
	}
	err := p.store.SendMail(ctx, job.Args.Letter, func(l mail.Letter) error { return p.sender.Send(ctx, l) })
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return river.JobSnooze(0) // a stop: it costs no try
	}
	var refused *mail.Refused
	if !errors.As(err, &refused) && job.Attempt < job.MaxAttempts {
		return err
	}
	p.log.Error("a letter is given up", "letter", job.Args.Letter, "err", err)
	return errors.Join(river.JobCancel(err), p.store.DropMail(context.WithoutCancel(ctx), job.Args.Letter))
}

func addPost(ws *river.Workers, store *postgres.Store, sender Sender, now func() time.Time, log *slog.Logger) {
	river.AddWorker(ws, &postman{store: store, sender: sender, log: log})
	river.AddWorker(ws, &worker[DropSpent]{log: log, do: func(ctx context.Context, _ DropSpent) error {
		return store.DropSpent(ctx)
	}})
	river.AddWorker(ws, &worker[MailCheckpoint]{log: log, do: func(ctx context.Context, _ MailCheckpoint) error {
		if sender == nil {
			return nil
		}
		return mailCheckpoint(ctx, store, now())
	}})
}

// mailCheckpoint makes each officer a witness of what was done until now: a checkpoint
// in somebody's mailbox cannot be taken back. It does so once a week.
func mailCheckpoint(ctx context.Context, store *postgres.Store, now time.Time) error {
	last, err := store.Marked(ctx, postgres.Witnessed)
	if err != nil || now.Sub(last) < checkpointWeek-checkpointEvery/2 {
		return err
	}
	signed, err := store.Checkpoint(ctx)
	if err != nil || signed == "" {
		return err
	}
	users, err := store.Users(ctx)
	if err != nil {
		return err
	}
	client := river.ClientFromContext[*sql.Tx](ctx)
	sent := 0
	for _, u := range users {
		if !u.Has(attendees.Officer) {
			continue
		}
		err := store.KeepMail(ctx, checkpointLetter(u.Email, signed), func(tx *sql.Tx, id uuid.UUID) error { return askToSend(ctx, client, tx, id) })
		if err != nil {
			return err
		}
		sent++
	}
	if sent == 0 {
		return nil
	}
	return store.SetMark(ctx, postgres.Witnessed)
}

func checkpointLetter(to attendees.Personal, signed string) mail.Letter {
	return mail.Letter{
		To:      to.Reveal(),
		Subject: "Lethe's ledger, this week's checkpoint",
		Text: []string{
			"Keep this mail: it makes you a witness. The lines below name everything that Lethe's ledger recorded until today, signed. " +
				"If somebody took an entry back or changed one, a later ledger would not agree with them.",
			"To compare: `lethe ledger verify` checks the ledger as it stands, and the page Ledger shows the checkpoint of this size.",
		},
		Quoted: signed,
	}
}
