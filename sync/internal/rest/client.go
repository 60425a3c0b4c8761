package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// maxRedirects is enough for a missing slash and a moved path.
const maxRedirects = 3

// Client asks one source. It may be used by many goroutines at once.
type Client struct {
	base    *url.URL
	attempt *attempt
	again   *retryablehttp.Client // for methods that may be repeated
	once    *retryablehttp.Client // for the others
}

// New makes a client; it does not go out yet.
func New(o Options) (*Client, error) {
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	a := newAttempt(o, base)
	plain := &http.Client{Transport: a, CheckRedirect: sameHostOnly}
	retry := retries{attempt: a, options: o}
	client := func(attempts int) *retryablehttp.Client {
		return &retryablehttp.Client{
			HTTPClient:   plain,
			RetryMax:     attempts - 1,
			RetryWaitMin: o.MinWait,
			RetryWaitMax: o.MaxWait,
			CheckRetry:   retry.again,
			Backoff:      retry.wait,
			ErrorHandler: retryablehttp.PassthroughErrorHandler,
		}
	}
	return &Client{base: base, attempt: a, again: client(o.Attempts), once: client(1)}, nil
}

// Get asks for one path and gives the whole body of a 2xx reply; see Do.
func (c *Client) Get(ctx context.Context, path string, q url.Values) ([]byte, error) {
	return c.Do(ctx, http.MethodGet, path, q, nil)
}

// Do makes one call, as often as it takes, and gives the whole body of a 2xx reply,
// which may be empty. GET, HEAD, PUT and DELETE are repeated after a lost connection,
// a cut or strange body, a 429 or a 5xx; other methods go out once.
//
// Its errors: *RateLimited, *StatusError, the context's own, and others that name
// method, path and host; none holds the query, the token or the body.
func (c *Client) Do(ctx context.Context, method, path string, q url.Values, body []byte) ([]byte, error) {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") || strings.Contains(path+"/", "/../") {
		return nil, fmt.Errorf("rest: %s: a path begins with a slash and has no query and no dots", method)
	}
	u := c.base.String() + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	fail := func(err error) error {
		return &callError{method: method, path: path, host: c.base.Host, cause: err}
	}
	var payload any
	if body != nil {
		payload = body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, method, u, payload)
	if err != nil { // it repeats the address
		return nil, fail(errors.New("the call cannot be written as a request"))
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}

	client := c.once
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
		client = c.again
	}
	resp, err := client.Do(req)
	if ctx.Err() != nil {
		return nil, fail(ctx.Err())
	}
	if limited, ok := errors.AsType[*RateLimited](err); ok {
		return nil, &RateLimited{Path: path, Until: limited.Until}
	}
	if err != nil {
		return nil, fail(withoutAddress(err))
	}
	reply := resp.Body.(*reply) // attempt makes no other
	if until, ok := c.attempt.limited(resp); ok {
		return nil, &RateLimited{Path: path, Until: until}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, &StatusError{Method: method, Path: path, Status: resp.StatusCode, Code: reply.code()}
	}
	return reply.body, nil
}

// Budget is what the source last said of the calls that are left; false where it has
// said nothing yet.
func (c *Client) Budget() (Budget, bool) { return c.attempt.budget.last() }

// Calls counts the attempts that went out so far.
func (c *Client) Calls() int64 { return c.attempt.calls.Load() }

// Skew is by how much the source's clock was ahead of ours in its latest reply, to the
// second; false before the first that told.
func (c *Client) Skew() (time.Duration, bool) {
	if d := c.attempt.skew.Load(); d != nil {
		return *d, true
	}
	return 0, false
}

// sameHostOnly follows a missing slash, and nothing that would carry the token to
// another host, in the clear, or turn a DELETE into a GET.
func sameHostOnly(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme:
		return errRedirect
	case req.Method != first.Method:
		return errRedirect
	case len(via) > maxRedirects:
		return errRedirectLoop
	}
	return nil
}
