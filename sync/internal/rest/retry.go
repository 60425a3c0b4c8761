package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxPatience is how long a call waits where the source says how long. Beyond it the
// call ends with *RateLimited, and a job snoozes instead of holding its worker; a
// Retry-After of a day would otherwise be slept through.
const maxPatience = 30 * time.Second

// retries decides, between two attempts, whether and when.
type retries struct {
	attempt *attempt
	options Options
}

// again tells whether a call that went this way may go better the next time.
func (r retries) again(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return passing(err), nil
	}
	if _, limited := r.attempt.limited(resp); limited {
		return r.patient(resp), nil
	}
	if resp.StatusCode < 500 || resp.StatusCode == http.StatusNotImplemented {
		return false, nil
	}
	return !r.options.Final(resp.StatusCode, resp.Body.(*reply).code()), nil
}

// passing tells whether an error is of the kind that passes.
func passing(err error) bool {
	if errors.Is(err, errRedirect) || errors.Is(err, errRedirectLoop) || errors.Is(err, errTooLarge) {
		return false
	}
	if _, ok := errors.AsType[*RateLimited](err); ok {
		return false
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return !untrusted
}

// patient tells whether what a limited reply asks for is short enough to wait.
func (r retries) patient(resp *http.Response) bool {
	wait, said := r.attempt.asked(resp)
	return !said || wait <= maxPatience
}

// wait is how long to wait before the next attempt: as long as the source says, else
// a random part of a doubling ceiling ("full jitter"), so that workers that failed
// together don't come back together.
func (r retries) wait(least, most time.Duration, n int, resp *http.Response) time.Duration {
	if resp != nil {
		if wait, said := r.attempt.asked(resp); said && wait <= maxPatience {
			return wait
		}
	}
	ceiling := least
	for range n {
		ceiling = min(2*ceiling, most)
	}
	return r.options.Jitter(ceiling)
}

// limited tells whether a reply says "not now", and until when to leave it in peace.
// A 503 says so only with a Retry-After.
func (a *attempt) limited(resp *http.Response) (time.Time, bool) {
	wait, said := a.asked(resp)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
	case resp.StatusCode == http.StatusServiceUnavailable && said:
	default:
		return time.Time{}, false
	}
	if !said {
		wait = maxPatience
	}
	until := a.now().Add(wait)
	if said && wait > maxPatience { // the others need not find out one by one
		a.budget.hold(until)
	}
	return until, true
}

// asked is how long a reply asks us to wait: by Retry-After, in seconds or as a date
// (RFC 9110, 10.2.3); a 429 without one means the reset of a budget that is used up.
func (a *attempt) asked(resp *http.Response) (time.Duration, bool) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	now := a.now()
	after := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if s, err := strconv.ParseUint(after, 10, 31); err == nil {
		return min(time.Duration(s)*time.Second, maxReset), true
	}
	if t, err := http.ParseTime(after); err == nil {
		// Against the source's own clock where it tells it: ours may be wrong.
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			now = date
		}
		return min(max(t.Sub(now), 0), maxReset), true
	}
	if resp.StatusCode != http.StatusTooManyRequests {
		return 0, false
	}
	for _, b := range parseBudgets(strings.Join(resp.Header.Values("X-Rate-Limit"), ","), now) {
		if b.spent() && !b.Reset.IsZero() {
			return b.Reset.Sub(now), true
		}
	}
	return 0, false
}
