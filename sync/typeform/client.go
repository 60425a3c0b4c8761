package typeform

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/sync/internal/rest"
)

const (
	// DefaultURL is where accounts live that were not made for the EU.
	DefaultURL = "https://api.typeform.com"
	// DefaultPerSecond is the vendor's limit for an account.
	DefaultPerSecond = 2
)

// Options say whom to ask. Only Token is needed.
type Options struct {
	URL       string       // TYPEFORM_URL; empty: DefaultURL
	Token     string       // TYPEFORM_TOKEN, a personal token; never printed
	Log       *slog.Logger // nil: discards
	PerSecond float64      // calls a second; 0: DefaultPerSecond

	// These are for tests; zero is right elsewhere.
	Timeout, MinWait, MaxWait time.Duration
	Attempts                  int
	Now                       func() time.Time
}

// Client asks Typeform. It may be used by many goroutines at once.
type Client struct {
	rest *rest.Client
	host string // of the configured URL
	log  *slog.Logger

	mu      sync.Mutex
	settled map[attendees.FormID]bool // forms that are known to live at host
}

// New makes a client; it does not go out yet.
func New(o Options) (*Client, error) {
	if o.Token == "" {
		return nil, fmt.Errorf("typeform: TYPEFORM_TOKEN is empty: %w", ErrToken)
	}
	if o.URL == "" {
		o.URL = DefaultURL
	}
	if o.PerSecond == 0 {
		o.PerSecond = DefaultPerSecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r, err := rest.New(rest.Options{
		Base: o.URL, Token: o.Token, PerSecond: o.PerSecond, Log: o.Log, Now: o.Now,
		Timeout: o.Timeout, MinWait: o.MinWait, MaxWait: o.MaxWait, Attempts: o.Attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("typeform: TYPEFORM_URL or TYPEFORM_TOKEN: %w", err)
	}
	u, err := url.Parse(strings.TrimSpace(o.URL))
	if err != nil { // rest has read it already
		return nil, fmt.Errorf("typeform: TYPEFORM_URL cannot be read as a URL")
	}
	return &Client{rest: r, host: host(u), log: o.Log, settled: map[attendees.FormID]bool{}}, nil
}

// Calls counts the attempts that went out so far.
func (c *Client) Calls() int64 { return c.rest.Calls() }

// Skew is by how much Typeform's clock was ahead of ours in its latest reply; false
// before the first.
func (c *Client) Skew() (time.Duration, bool) { return c.rest.Skew() }

// Budget is one part of what a source says about the calls that are left.
type Budget = rest.Budget

// RateLimited is the error of a call that must wait; see Until.
type RateLimited = rest.RateLimited

// Budget is what Typeform last said of the calls that are left; false where it said
// nothing, which is the rule.
func (c *Client) Budget() (Budget, bool) { return c.rest.Budget() }

// path makes /forms/ID and what follows. A form's id comes from outside.
func path(form attendees.FormID, rest string) (string, error) {
	strange := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	}
	if form == "" || strings.ContainsFunc(string(form), strange) {
		return "", fmt.Errorf("typeform: %q is no form's id; take what stands behind /to/ in the form's address", form)
	}
	return "/forms/" + string(form) + rest, nil
}
