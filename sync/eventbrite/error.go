package eventbrite

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"lethe/sync/internal/rest"
)

var (
	// ErrToken says that nothing will be answered until there is another token.
	ErrToken = errors.New("EVENTBRITE_TOKEN is not accepted; take a private token from https://www.eventbrite.com/platform/api-keys")
	// ErrRefused says that the token's role may not see this.
	ErrRefused = errors.New("the token may not see it")
	// ErrNotFound says that Eventbrite knows no such thing, or no longer.
	ErrNotFound = errors.New("not known at Eventbrite")
)

// Eventbrite's own words for what a caller must do differently.
const (
	expansionFailed = "EXPANSION_FAILED"       // ask again without expand
	badPage         = "BAD_PAGE"               // there is no such page
	badContinuation = "BAD_CONTINUATION_TOKEN" // start over
)

// explain puts a sentinel before a status that callers decide on. A bad token is 401,
// by the reference 400: both are taken.
func explain(err error) error {
	s, ok := errors.AsType[*rest.StatusError](err)
	if !ok {
		return err
	}
	switch {
	case s.Status == http.StatusUnauthorized,
		s.Code == "INVALID_AUTH", s.Code == "NO_AUTH", s.Code == "INVALID_AUTH_HEADER":
		return fmt.Errorf("%w (%w)", ErrToken, err)
	case s.Status == http.StatusForbidden:
		return fmt.Errorf("%w (%w)", ErrRefused, err)
	case s.Status == http.StatusNotFound:
		return fmt.Errorf("%w (%w)", ErrNotFound, err)
	}
	return err
}

// says tells whether an error is a reply with this code.
func says(err error, code string) bool {
	s, ok := errors.AsType[*rest.StatusError](err)
	return ok && s.Code == code
}

// missing names what a reply must have and has not: the API has moved on.
type missing string

func (m missing) Error() string { return "no " + string(m) + " in it" }

// notJSON keeps where a body is broken and nothing of what stands there: syntax
// errors quote the text around them.
func notJSON(err error) error {
	if m, ok := errors.AsType[missing](err); ok {
		return m
	}
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("broken at byte %d", s.ByteOffset)
	}
	return errors.New("broken off")
}
