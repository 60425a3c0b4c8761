package typeform

import (
	"errors"
	"fmt"
	"net/http"

	"lethe/attendees/old/attendees"
	"lethe/sync/internal/rest"
)

var (
	// ErrToken: the token is missing, wrong, or may not do what was tried.
	ErrToken = errors.New("make a personal token with the scopes forms:read, responses:read and responses:write" +
		" at https://admin.typeform.com/user/tokens, in the account that owns the forms, and set TYPEFORM_TOKEN to it")
	// ErrNotFound: there is no such form at the configured address.
	ErrNotFound = errors.New("not found; look at the form's id, and whether the account of TYPEFORM_TOKEN owns it")
	// ErrUnsupported: whoever answers does not offer this call; do without.
	ErrUnsupported = errors.New("not offered at this TYPEFORM_URL")
	// ErrReply: a reply is not shaped as the API's reference says.
	ErrReply = errors.New("the reply is not what the Responses API is known to send; look whether TYPEFORM_URL is right")
	// ErrEndless: a listing does not come to its end.
	ErrEndless = errors.New("the listing goes round in circles; nothing was believed complete, try again later")
)

// WrongRegion says that a form's responses live at another host than the one that was
// asked. That one answers with an empty list instead of an error, so an empty list
// from it means nothing at all.
type WrongRegion struct {
	Form      attendees.FormID
	Has, Want string // the host of TYPEFORM_URL, and the one that the form names
}

// URL is what TYPEFORM_URL is to be set to; empty where the form names none of
// Typeform's hosts, for the token goes nowhere else.
func (e *WrongRegion) URL() string {
	if !vendors(e.Want) {
		return ""
	}
	return "https://" + e.Want
}

func (e *WrongRegion) Error() string {
	if e.URL() == "" {
		return fmt.Sprintf("typeform: form %s names %q as its host, which is none of Typeform's, and is not followed; TYPEFORM_URL says %s",
			e.Form, e.Want, e.Has)
	}
	return fmt.Sprintf("typeform: the responses of form %s live at %s, and %s shows an empty list instead; set TYPEFORM_URL to %s",
		e.Form, e.Want, e.Has, e.URL())
}

// failed says what was tried, and gives the replies that callers decide on their names.
func failed(tried string, err error) error {
	var status *rest.StatusError
	if errors.As(err, &status) {
		switch status.Status {
		case http.StatusUnauthorized, http.StatusForbidden:
			return fmt.Errorf("typeform: %s: refused with status %d; %w", tried, status.Status, ErrToken)
		case http.StatusNotFound:
			return fmt.Errorf("typeform: %s: %w", tried, ErrNotFound)
		}
	}
	return fmt.Errorf("typeform: %s: %w", tried, err)
}

// lacking turns "may not" and "not there" into ErrUnsupported, for calls that are
// welcome but not needed. "May not" is ErrToken too.
func lacking(tried string, err error) error {
	var status *rest.StatusError
	if errors.As(err, &status) && status.Status == http.StatusForbidden {
		return fmt.Errorf("typeform: %s: status %d: %w; %w", tried, status.Status, ErrUnsupported, ErrToken)
	}
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return fmt.Errorf("typeform: %s: status %d: %w", tried, status.Status, ErrUnsupported)
	}
	return failed(tried, err)
}

// heavy tells of the replies that a listing gets which is too large to be gathered in time.
func heavy(err error) bool {
	const gatewayGaveUp = 499
	var status *rest.StatusError
	return errors.As(err, &status) && (status.Status == gatewayGaveUp || status.Status >= 500)
}
