package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/chacha20poly1305"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
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

// A forum is what somebody answered, and so may be a name and an address, too. In an
// address of the site it is named by its token, which tells nothing to who lacks the secret.

const (
	filterUse = "filter" // what the secrets are derived for
	// tokenSize is in bytes: a few hundred names have to be kept apart.
	tokenSize = 12
)

// names are the forums or the tickets of one event, which people are filtered by.
type names struct {
	all  []postgres.Named
	key  []byte
	what string
}

func (s *Site) names(e attendees.EventID, kind string, all []postgres.Named) names {
	return names{all, s.Store.Keys().Derive(filterUse)[0], kind + "\x00" + string(e) + "\x00"}
}

// token names one of them. Cut or cleaned, two could become the same.
func (n names) token(name string) string {
	h := hmac.New(sha256.New, n.key)
	h.Write([]byte(n.what + name))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:tokenSize])
}

// named is the one that a token names; false: there is none, or none any more.
func (n names) named(token string) (string, bool) {
	i := slices.IndexFunc(n.all, func(one postgres.Named) bool { return n.token(one.Name) == token })
	if i < 0 {
		return "", false
	}
	return n.all[i].Name, true
}

// filter is what to look for by a token: where it names none, what nobody has.
func (n names) filter(token string) string {
	if name, ok := n.named(token); ok || token == "" {
		return name
	}
	return n.token(token)
}

// posted is the token that a form sends. Whatever else it sends stands in no address.
func (n names) posted(token string) string {
	if _, ok := n.named(token); ok {
		return token
	}
	return n.token(token)
}
