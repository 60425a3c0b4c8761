package typeform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"lethe/attendees/old/attendees"
)

const (
	// formsPerPage is the vendor's maximum for GET /forms.
	formsPerPage = 200
	// maxFormPages ends a listing that does not: nobody has 100,000 forms.
	maxFormPages = 500
)

// Forms lists the account's forms, with id and title only. Where whoever answers does
// not offer the listing, or the token may not see it, errors.Is(err, ErrUnsupported):
// forms can still be named one by one.
func (c *Client) Forms(ctx context.Context) ([]attendees.Form, error) {
	const tried = "list forms"
	var all []attendees.Form
	for page := 1; page <= maxFormPages; page++ {
		q := url.Values{"page": {strconv.Itoa(page)}, "page_size": {strconv.Itoa(formsPerPage)}}
		body, err := c.rest.Get(ctx, "/forms", q)
		if err != nil {
			return nil, lacking(tried, err)
		}
		var d struct {
			PageCount int `json:"page_count"`
			Items     []struct {
				ID    text `json:"id"`
				Title text `json:"title"`
			} `json:"items"`
		}
		if err := json.Unmarshal(body, &d); err != nil {
			return nil, fmt.Errorf("typeform: %s: %w", tried, ErrReply)
		}
		for _, f := range d.Items {
			if f.ID != "" {
				all = append(all, attendees.Form{ID: attendees.FormID(f.ID), Title: string(f.Title)})
			}
		}
		if len(d.Items) == 0 || page >= d.PageCount {
			return all, nil
		}
	}
	return nil, fmt.Errorf("typeform: %s: more than %d pages: %w", tried, maxFormPages, ErrEndless)
}

// Account is whom the token belongs to; its address is nobody's business here.
type Account struct {
	Alias string
}

// Me asks whom the token belongs to. errors.Is(err, ErrUnsupported) as for Forms.
func (c *Client) Me(ctx context.Context) (Account, error) {
	const tried = "read the account"
	body, err := c.rest.Get(ctx, "/me", nil)
	if err != nil {
		return Account{}, lacking(tried, err)
	}
	var d struct {
		Alias text `json:"alias"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return Account{}, fmt.Errorf("typeform: %s: %w", tried, ErrReply)
	}
	return Account{Alias: string(d.Alias)}, nil
}
