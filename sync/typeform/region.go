package typeform

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"lethe/attendees/old/attendees"
)

// hosts of the vendor: US, the older EU accounts, EU accounts since August 2025.
func hosts() []string {
	return []string{"api.typeform.com", "api.eu.typeform.com", "api.typeform.eu"}
}

func vendors(host string) bool { return slices.Contains(hosts(), host) }

// host gives a URL's host as it can be compared.
func host(u *url.URL) string {
	h := strings.ToLower(u.Host)
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		h = strings.TrimSuffix(h, ":"+port)
	}
	return h
}

// CheckRegion gives a *WrongRegion where a form names another host for its responses
// than TYPEFORM_URL's. A form that names none is believed.
func (c *Client) CheckRegion(f Form) error {
	if f.Host == "" || f.Host == c.host {
		return nil
	}
	return &WrongRegion{Form: f.ID, Has: c.host, Want: f.Host}
}

// believeEmpty asks, before an empty list is believed, whether the right host was
// asked. It goes out once per form; what is right stays right.
func (c *Client) believeEmpty(ctx context.Context, form attendees.FormID) error {
	if c.isSettled(form) {
		return nil
	}
	f, err := c.Form(ctx, form)
	if err != nil {
		return err
	}
	if err := c.CheckRegion(f); err != nil {
		return err
	}
	c.settle(form)
	return nil
}

func (c *Client) isSettled(form attendees.FormID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settled[form]
}

func (c *Client) settle(form attendees.FormID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled[form] = true
}
