package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/chacha20poly1305"

	"lethe/attendees"
)

// What somebody searches for is mostly a name. It never stands in an address: it lies in
// her session, encrypted, for a quarter of an hour, and the address names it by a number.

const (
	searchUse     = "search" // what the secrets are derived for
	sessionSearch = "search"
	// searchFor is how long a search lasts after it was made.
	searchFor = 15 * time.Minute
	// maxSearch bounds its text, in bytes.
	maxSearch = 200
)

type search struct {
	ID    string
	Event attendees.EventID
	Text  string
	Until time.Time
}

// keepSearch keeps a search in the session, in place of the last one, and names it.
func (s *Site) keepSearch(ctx context.Context, e attendees.EventID, text string) (id string, err error) {
	one := search{ID: rand.Text()[:10], Event: e, Text: clean(text), Until: s.Now().Add(searchFor)}
	plain, err := json.Marshal(one)
	if err != nil {
		return "", fmt.Errorf("keep a search: %w", err)
	}
	cipher, err := chacha20poly1305.NewX(s.Store.Keys().Derive(searchUse)[0])
	if err != nil {
		return "", fmt.Errorf("keep a search: %w", err)
	}
	nonce := make([]byte, cipher.NonceSize(), cipher.NonceSize()+len(plain)+cipher.Overhead())
	rand.Read(nonce) //nolint:errcheck // it never fails (crypto/rand)
	s.sessions.Put(ctx, sessionSearch, cipher.Seal(nonce, nonce, plain, nil))
	return one.ID, nil
}

// searched is what a search of that name looks for; false where it has ended, or another
// came after it.
func (s *Site) searched(ctx context.Context, e attendees.EventID, id string) (attendees.Personal, bool) {
	sealed := s.sessions.GetBytes(ctx, sessionSearch)
	for _, key := range s.Store.Keys().Derive(searchUse) {
		cipher, err := chacha20poly1305.NewX(key)
		if err != nil || len(sealed) < cipher.NonceSize() {
			return "", false
		}
		plain, err := cipher.Open(nil, sealed[:cipher.NonceSize()], sealed[cipher.NonceSize():], nil)
		var one search
		if err != nil || json.Unmarshal(plain, &one) != nil {
			continue
		}
		return attendees.Personal(one.Text), one.ID == id && one.Event == e && s.Now().Before(one.Until)
	}
	return "", false
}

// clean takes what no text holds out of what somebody sent, and what is too much.
func clean(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxSearch)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
}
