package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// MaxBody bounds one reply: a page of 1,000 long responses has a few MB, so whatever
// is larger is not what was asked for.
const MaxBody = 16 << 20

// attempt is one try: it sits below the retries, so that whatever goes out is paced,
// counted, timed and held against the budget. It reads the whole body, for a body
// that breaks off must be retried like a connection that did.
type attempt struct {
	next      http.RoundTripper
	authorize func(*http.Request) // holds the token where no %v finds it
	base      *url.URL
	timeout   time.Duration
	limiter   *rate.Limiter
	log       *slog.Logger
	now       func() time.Time

	budget budget
	calls  atomic.Int64
	skew   atomic.Pointer[time.Duration]
}

func newAttempt(o Options, base *url.URL) *attempt {
	return &attempt{
		next: o.Transport,
		authorize: func(r *http.Request) {
			if o.Token != "" {
				r.Header.Set("Authorization", "Bearer "+o.Token)
			}
		},
		base:    base,
		timeout: o.Timeout,
		limiter: o.limiter(),
		log:     o.Log,
		now:     o.Now,
	}
}

// RoundTrip makes one try. Its replies carry a *reply as their body.
func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := a.limiter.Wait(ctx); err != nil {
		if ctx.Err() == nil { // the turn would come after the deadline
			err = context.DeadlineExceeded
		}
		return nil, err
	}
	if until, held := a.budget.held(a.now()); held {
		return nil, &RateLimited{Until: until}
	}
	within, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	out := req.Clone(within)
	a.authorize(out)

	a.calls.Add(1)
	start := time.Now()
	resp, err := a.next.RoundTrip(out)
	var got *reply
	if err == nil {
		a.note(resp)
		got, err = read(resp)
	}
	a.line(req, resp, got, err, time.Since(start))
	switch {
	case err == nil:
		resp.Body = got
		return resp, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case within.Err() != nil:
		return nil, silence(a.timeout)
	}
	return nil, err
}

// note keeps what each reply tells besides its body.
func (a *attempt) note(resp *http.Response) {
	now := a.now()
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		skew := t.Sub(now)
		a.skew.Store(&skew)
	}
	a.budget.note(strings.Join(resp.Header.Values("X-Rate-Limit"), ","), now)
}

// line logs one try, without its query.
func (a *attempt) line(req *http.Request, resp *http.Response, got *reply, err error, took time.Duration) {
	ctx := req.Context()
	if !a.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", strings.TrimPrefix(req.URL.Path, a.base.Path)),
		slog.Duration("took", took.Round(time.Millisecond)),
	}
	if resp != nil {
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	if got != nil {
		attrs = append(attrs, slog.Int("bytes", len(got.body)))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", withoutAddress(err).Error()))
	}
	a.log.LogAttrs(ctx, slog.LevelDebug, "call", attrs...)
}

// reply is a body that has been read to its end.
type reply struct {
	*bytes.Reader
	body []byte
}

func (*reply) Close() error { return nil }

// read takes in the whole body.
func read(resp *http.Response) (*reply, error) {
	defer resp.Body.Close()
	var buf bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= MaxBody {
		buf.Grow(int(n) + bytes.MinRead) // MinRead more, or ReadFrom doubles it to see the end
	}
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, MaxBody+1)); err != nil {
		return nil, fmt.Errorf("%w after %d bytes", errCut, buf.Len())
	}
	if buf.Len() > MaxBody {
		return nil, errTooLarge
	}
	got := &reply{Reader: bytes.NewReader(buf.Bytes()), body: buf.Bytes()}
	if resp.StatusCode < 300 && got.html(resp.Header.Get("Content-Type")) {
		return nil, errHTML
	}
	return got, nil
}

// html tells an error page of some proxy, sent as 200, from JSON under a wrong name.
func (r *reply) html(contentType string) bool {
	text := bytes.TrimLeft(r.body, " \t\r\n\ufeff")
	if len(text) == 0 || text[0] == '{' || text[0] == '[' {
		return false
	}
	return text[0] == '<' || strings.HasPrefix(contentType, "text/html")
}

// codeShape lets constants through, and no sentence that might repeat what was asked.
var codeShape = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// code is the source's own error code: Eventbrite's "error", Typeform's "code".
func (r *reply) code() string {
	var said struct {
		Error any `json:"error"`
		Code  any `json:"code"`
	}
	if json.Unmarshal(r.body, &said) != nil {
		return ""
	}
	for _, c := range []any{said.Error, said.Code} {
		if s, ok := c.(string); ok && codeShape.MatchString(s) {
			return s
		}
	}
	return ""
}
