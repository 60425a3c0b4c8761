package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// What is used where Options leave a field zero.
const (
	// DefaultTimeout is for one attempt, its body included. A page of 50 people takes a
	// second or two on a bad day; who is silent for half a minute has lost the call.
	DefaultTimeout = 30 * time.Second
	// DefaultAttempts is how often one call goes out at most. With DefaultMinWait it
	// outlasts a restart upstream; whoever needs longer runs as a job, which comes back.
	DefaultAttempts = 5
	// DefaultMinWait is the ceiling of the first jittered wait; it doubles each time.
	DefaultMinWait = time.Second
	// DefaultMaxWait ends the doubling.
	DefaultMaxWait = 20 * time.Second
)

// Options say whom to ask, and how politely. Only Base is needed.
type Options struct {
	Base      string            // such as https://www.eventbriteapi.com/v3
	Token     string            // sent as "Authorization: Bearer"; never printed
	Transport http.RoundTripper // nil: one of the client's own, with the environment's proxy
	PerSecond float64           // attempts a second, retries included; 0: unpaced
	Log       *slog.Logger      // debug lines without queries; nil: discards

	Timeout  time.Duration // for one attempt; 0: DefaultTimeout
	Attempts int           // for one call, the first included; 0: DefaultAttempts
	MinWait  time.Duration // 0: DefaultMinWait
	MaxWait  time.Duration // 0: DefaultMaxWait

	// Final tells of a 5xx whether asking again is pointless, by the source's own
	// error code. nil: it never is.
	Final func(status int, code string) bool

	Now    func() time.Time                  // nil: time.Now
	Jitter func(time.Duration) time.Duration // a random wait of at most that long; nil: uniform
}

// base checks the address that all paths are put behind. Its errors don't repeat it:
// somebody may have written a token into it.
func (o *Options) base() (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(o.Base), "/"))
	switch {
	case err != nil:
		return nil, errors.New("rest: the base address cannot be read as a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, errors.New("rest: the base address must begin with https:// or http:// and a host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil:
		return nil, errors.New("rest: the base address must have no user, no query and no fragment")
	}
	return u, nil
}

// complete fills in what was left zero.
func (o *Options) complete() error {
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("rest: the token contains a space, a line break or a letter that no token has")
	}
	if o.PerSecond < 0 || o.Attempts < 0 || o.Timeout < 0 || o.MinWait < 0 || o.MaxWait < 0 {
		return fmt.Errorf("rest: a limit is negative: %v a second, %d attempts, %v timeout, %v to %v waits",
			o.PerSecond, o.Attempts, o.Timeout, o.MinWait, o.MaxWait)
	}
	if o.Transport == nil {
		o.Transport = ownTransport()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	if o.MinWait == 0 {
		o.MinWait = DefaultMinWait
	}
	if o.MaxWait == 0 {
		o.MaxWait = DefaultMaxWait
	}
	o.MaxWait = max(o.MaxWait, o.MinWait)
	if o.Final == nil {
		o.Final = func(int, string) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = func(d time.Duration) time.Duration { return rand.N(d + 1) }
	}
	return nil
}

// limiter paces attempts; a burst of one, since the sources count by the second.
func (o *Options) limiter() *rate.Limiter {
	if o.PerSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(o.PerSecond), 1)
}

// idlePerHost keeps a connection for each page that is fetched at a time; the
// standard library keeps two, and would dial again for each of the others.
const idlePerHost = 16

func ownTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody put another one there; a plain one still asks the proxy
		return &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: idlePerHost}
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = idlePerHost
	return t
}
