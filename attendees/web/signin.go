package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"lethe/attendees/mail"
	"lethe/attendees/old/postgres"
)

// What one address and one network may ask for. An office of thirty that begins its day
// behind one address gets in; a stranger cannot fill a colleague's mailbox.
var (
	perNetwork = []postgres.Limit{{Most: 30, Within: time.Minute}}
	perAddress = []postgres.Limit{{Most: 3, Within: time.Hour}, {Most: 10, Within: 24 * time.Hour}}
)

// Limits are kept apart by what they are of.
const (
	ofNetwork = "sign-in from a network"
	ofAddress = "sign-in of an address"
)

// maxAddress is the longest that a mailbox's address can be (RFC 5321 sec. 4.5.3.1).
const maxAddress = 320

func (s *Site) signInRoutes() []route {
	return []route{
		{pattern: "GET /signin", bare: true, do: s.signInForm},
		{pattern: "POST /signin", bare: true, do: s.askForLink},
		{pattern: "GET /signin/{token}", bare: true, do: s.linkButton},
		{pattern: "POST /signin/{token}", open: true, do: s.useLink},
		{pattern: "POST /signout", may: anyRole, do: s.signOut},
		{pattern: "POST /signout/everywhere", may: anyRole, do: s.signOutEverywhere},
		{pattern: "GET /account", may: anyRole, do: s.account},
	}
}

func (s *Site) signInForm(w http.ResponseWriter, r *http.Request) error {
	return s.show(w, r, "signin.html", "Sign in", nil)
}

// askForLink answers the same bytes whoever asks, and looks only then whether the
// address is known: the answer tells nothing, nor does the time it takes.
func (s *Site) askForLink(w http.ResponseWriter, r *http.Request) error {
	address, from := r.PostFormValue("email"), network(r)
	if err := s.show(w, r, "signin-sent.html", "Look into your mailbox", nil); err != nil {
		return err
	}
	_ = http.NewResponseController(w).Flush() // where it cannot, the answer goes when this returns
	if len(address) <= maxAddress {
		s.later.doFor(from, func(ctx context.Context) error { return s.mailLink(ctx, address, from) })
	}
	return nil
}

// mailLink mails a link to whoever has that address and may sign in.
func (s *Site) mailLink(ctx context.Context, address, from string) error {
	if ok, err := s.Store.Allow(ctx, ofNetwork, from, perNetwork...); err != nil || !ok {
		return err
	}
	user, err := s.Store.UserOf(ctx, address)
	if errors.Is(err, postgres.ErrNoUser) {
		return nil // she gets no mail, and no sign of it
	}
	if err != nil {
		return err
	}
	if ok, err := s.Store.Allow(ctx, ofAddress, user.Email.Reveal(), perAddress...); err != nil || !ok {
		return err
	}
	link, err := s.SignInLink(ctx, user)
	if err != nil {
		return err
	}
	return s.Post.Post(ctx, mail.Letter{
		To:      user.Email.Reveal(),
		Subject: "Sign in to Lethe",
		Text: []string{
			"Somebody, you I hope, asked to sign in to Lethe with this address. Open this page and press its button:",
			"The link is good for 15 minutes, and once. If it was not you, nothing has happened, and you need do nothing.",
		},
		Link: link,
	})
}

// SignInLink makes a link that signs a user in, once.
func (s *Site) SignInLink(ctx context.Context, user postgres.User) (string, error) {
	token, err := s.Store.NewSignIn(ctx, user.ID)
	return s.BaseURL + paths{}.Link(token), err
}

// linkButton shows one button and does nothing: mail scanners open links.
func (s *Site) linkButton(w http.ResponseWriter, r *http.Request) error {
	return s.show(w, r, "signin-link.html", "One more step", paths{}.Link(r.PathValue("token")))
}

func (s *Site) useLink(w http.ResponseWriter, r *http.Request) error {
	user, err := s.Store.UseSignIn(r.Context(), r.PathValue("token"))
	if errors.Is(err, postgres.ErrLink) {
		return s.showAs(w, r, http.StatusGone, "signin-old.html", "This link is not good any more", nil)
	}
	if err != nil {
		return err
	}
	if err := s.signIn(r, user); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (s *Site) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.sessions.Destroy(r.Context()); err != nil {
		return err
	}
	http.Redirect(w, r, paths{}.SignIn(), http.StatusSeeOther)
	return nil
}

func (s *Site) signOutEverywhere(w http.ResponseWriter, r *http.Request) error {
	if err := s.Store.SignOutEverywhere(r.Context(), asked(r).user.ID); err != nil {
		return err
	}
	return s.signOut(w, r)
}

// account tells a user what Lethe knows of her and what she may.
func (s *Site) account(w http.ResponseWriter, r *http.Request) error {
	return s.show(w, r, "account.html", "Your account", shownUser(asked(r).user))
}

// network is where a request comes from, as far as limits tell apart: an IPv4 network of
// 256 addresses, an IPv6 one as providers give it to one household (RFC 6177).
//
// The address is the connection's. Where that is this machine's own or a private one,
// somebody of ours stands in between, and what he names last in X-Forwarded-For is it:
// earlier names there are the client's own words.
func network(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address := from.Addr().Unmap()
	if address.IsLoopback() || address.IsPrivate() {
		if named, ok := lastHop(r); ok {
			address = named
		}
	}
	bits := 56
	if address.Is4() {
		bits = 24
	}
	prefix, err := address.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

func lastHop(r *http.Request) (netip.Addr, bool) {
	all := r.Header.Values("X-Forwarded-For")
	if len(all) == 0 {
		return netip.Addr{}, false
	}
	hops := strings.Split(all[len(all)-1], ",")
	address, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1]))
	return address.Unmap(), err == nil
}
