package typeform

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"lethe/attendees/old/attendees"
)

// page is a Page with what the walk needs of it.
type page struct {
	Page
	items int    // that came, odd ones and unfinished ones included
	last  string // the last token
}

// decoder reads one page.
type decoder struct {
	*reader
	page
	form   attendees.FormID
	asked  map[attendees.QuestionID]bool
	within *reader  // for values that are read out of their turn
	values []member // of the answer at hand
}

// decode reads a body of GET /forms/{id}/responses.
func decode(body []byte, form attendees.FormID, asked map[attendees.QuestionID]bool) (page, error) {
	d := decoder{reader: newReader(body), form: form, asked: asked, within: newReader(nil)}
	d.Bytes, d.Total = len(body), -1
	listed := false
	for name := range d.members {
		switch string(name) {
		case "items":
			kind := d.kind()
			listed = kind == jsontext.KindBeginArray || kind == jsontext.KindNull
			for range d.elements {
				d.item()
			}
		case "total_items":
			if n, err := strconv.Atoi(d.scalar()); err == nil && n >= 0 {
				d.Total = n
			}
		default:
			d.skip()
		}
	}
	if d.err != nil {
		return page{}, d.err
	}
	if !listed {
		return page{}, fmt.Errorf("there is no list of items in it: %w", ErrReply)
	}
	return d.page, nil
}

// item reads one response.
func (d *decoder) item() {
	d.items++
	if d.kind() != jsontext.KindBeginObject {
		d.Odd++
		d.skip()
		return
	}
	var token, submitted string
	r := attendees.Response{Form: d.form}
	for name := range d.members {
		switch string(name) {
		case "token":
			token = d.scalar()
		case "response_id":
			r.ID = attendees.ResponseID(d.scalar())
		case "submitted_at":
			submitted = d.scalar()
		case "hidden":
			r.Attendee = d.hidden()
		case "answers":
			for range d.elements {
				d.answer(&r)
			}
		default:
			d.skip()
		}
	}
	if r.ID == "" { // items of old forms have a token only
		r.ID = attendees.ResponseID(token)
	}
	if token == "" {
		token = string(r.ID)
	}
	if token != "" {
		d.last = token
	}
	at, err := instant(submitted)
	switch {
	case r.ID == "" || err != nil:
		d.Odd++
	case at.Year() <= 1: // never sent
	default:
		r.Submitted = at
		d.Kept += len(r.ID) + len(submitted) + len(r.Attendee)
		d.Responses = append(d.Responses, r)
	}
}

// instant reads submitted_at; nothing, and the year 1, mean never.
func instant(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil { // some write UTC without saying so
		t, err = time.Parse("2006-01-02T15:04:05", text)
	}
	return t.UTC(), err
}

// hidden takes attendee_id out of the hidden fields; all others are skipped.
func (d *decoder) hidden() attendees.AttendeeID {
	var id string
	for name := range d.members {
		if string(name) != "attendee_id" {
			d.skip()
			continue
		}
		id = strings.TrimSpace(d.scalar())
	}
	if !attendeeID(id) {
		return ""
	}
	return attendees.AttendeeID(id)
}

// maxAttendeeID leaves room beyond Eventbrite's digits and suffix.
const maxAttendeeID = 64

// attendeeID tells whether a hidden field may hold an id. It stands in the form's
// address, where anybody can write anything, an e-mail address for instance, and ids
// are stored in the clear. Links that were shared unfilled say "xxxxx".
func attendeeID(s string) bool {
	strange := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	}
	return len(s) <= maxAttendeeID && s != "xxxxx" && !strings.ContainsFunc(s, strange)
}
