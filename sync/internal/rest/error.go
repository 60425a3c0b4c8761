package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"time"
)

// RateLimited says that the source wants to be left in peace until a certain time,
// or that only a reserve of its budget is left. Nothing is broken: come back then.
type RateLimited struct {
	Path  string
	Until time.Time
}

func (e *RateLimited) Error() string {
	return fmt.Sprintf("%s: rate limited until %s", e.Path, e.Until.Format("15:04:05 MST"))
}

// StatusError is a reply that is not 2xx.
type StatusError struct {
	Method, Path string
	Status       int
	Code         string // the source's own error code; empty where it gave none
}

func (e *StatusError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("%s %s: status %d", e.Method, e.Path, e.Status)
	}
	return fmt.Sprintf("%s %s: status %d %s", e.Method, e.Path, e.Status, e.Code)
}

var (
	errRedirect     = errors.New("sent elsewhere, to another host or method, which would take the token along; check the base address")
	errRedirectLoop = errors.New("sent elsewhere too often")
	errTooLarge     = fmt.Errorf("the reply is larger than %d MiB", MaxBody>>20)
	errHTML         = errors.New("answered with a web page instead of JSON; a proxy or a maintenance page may stand between")
	errCut          = errors.New("the reply broke off")
)

// silence is an attempt that got no whole answer in time.
type silence time.Duration

func (s silence) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(s)) }

// Timeout makes it a timeout in the eyes of package net.
func (silence) Timeout() bool { return true }

// callError says what was tried and where it failed.
type callError struct {
	method, path, host string
	cause              error
}

func (e *callError) Error() string {
	return fmt.Sprintf("%s %s at %s: %v", e.method, e.path, e.host, e.cause)
}

func (e *callError) Unwrap() error { return e.cause }

// withoutAddress takes an error of net/http apart: its text repeats the address with
// the query, and sometimes what the server sent. Only causes known to hold neither
// come through in their own words.
func withoutAddress(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	for _, own := range []error{errRedirect, errRedirectLoop, errTooLarge, errHTML, errCut, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, own) {
			return own
		}
	}
	if s, ok := errors.AsType[silence](err); ok {
		return s
	}
	if l, ok := errors.AsType[*RateLimited](err); ok {
		return l
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("cannot look up the host: %s", d.Err)
	}
	if c, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return c
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return errors.New("timeout")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection was closed before an answer came")
	}
	return errors.New("the connection broke, or what came was not HTTP")
}
