package eventbrite

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"lethe/sync/internal/rest"
)

// DefaultURL is Eventbrite itself.
const DefaultURL = "https://www.eventbriteapi.com/v3"

// defaultParallel is how many pages are fetched at a time. Against a server without
// latency more than four gain nothing on two cores; at 80 ms a call eight bring 400
// pages in under six seconds, and are still less than the budget that is held back.
const defaultParallel = 8

// Options say where Eventbrite is and who asks.
type Options struct {
	URL      string // empty: DefaultURL
	Token    string // the private token
	Log      *slog.Logger
	Parallel int // pages fetched at a time; 0: 8

	// The rest is passed to the HTTP client as it is; zero values are its defaults.
	Transport        http.RoundTripper
	Timeout          time.Duration // for one attempt
	Attempts         int           // for one call
	MinWait, MaxWait time.Duration // between attempts
	Now              func() time.Time
}

// Client asks Eventbrite. It may be used by many goroutines at once.
type Client struct {
	rest     *rest.Client
	parallel int
}

// New makes a client; it does not go out yet.
func New(o Options) (*Client, error) {
	if o.URL == "" {
		o.URL = DefaultURL
	}
	if o.Parallel <= 0 {
		o.Parallel = defaultParallel
	}
	r, err := rest.New(rest.Options{
		Base: o.URL, Token: o.Token, Transport: o.Transport, Log: o.Log, Now: o.Now,
		Timeout: o.Timeout, Attempts: o.Attempts, MinWait: o.MinWait, MaxWait: o.MaxWait,
		Final: func(_ int, code string) bool { return code == expansionFailed },
	})
	if err != nil {
		return nil, fmt.Errorf("eventbrite: %w", err)
	}
	return &Client{rest: r, parallel: o.Parallel}, nil
}

// Budget is what Eventbrite last said of the calls that are left this hour.
type Budget = rest.Budget

// RateLimited is the error of a call that must wait; see Until.
type RateLimited = rest.RateLimited

// Budget is the tightest part of the last one told; false before the first reply.
func (c *Client) Budget() (Budget, bool) { return c.rest.Budget() }

// Calls counts the calls that went out, retries included.
func (c *Client) Calls() int64 { return c.rest.Calls() }

// Skew is by how much Eventbrite's clock was ahead of ours in its latest reply; false
// before the first.
func (c *Client) Skew() (time.Duration, bool) { return c.rest.Skew() }

// decodeTries is how often a reply that is not JSON to its end is asked for: a body
// cut by a proxy that tells no length looks whole to HTTP.
const decodeTries = 2

// get asks for one object and decodes it.
func (c *Client) get(ctx context.Context, path string, q url.Values, decode func(*reader) error) (size int, err error) {
	for range decodeTries {
		var body []byte
		body, err = c.rest.Get(ctx, path, q)
		if err != nil {
			return 0, explain(err)
		}
		if err = decode(newReader(body)); err == nil {
			return len(body), nil
		}
		err = fmt.Errorf("%s: what came is not the JSON that was asked for: %w", path, notJSON(err))
	}
	return 0, err
}

// idShape is what may stand in a path: Eventbrite's ids are digits, with a suffix at most.
var idShape = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

func checkID[T ~string](kind string, id T) error {
	if !idShape.MatchString(string(id)) {
		return fmt.Errorf("eventbrite: this is not the id of an %s; ids are digits, as in its address", kind)
	}
	return nil
}
