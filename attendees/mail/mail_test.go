package mail_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"lethe/attendees/mail"
)

// server is a real SMTP server that keeps what it is given.
type server struct {
	mu     sync.Mutex
	got    []string
	to     []string
	tls    []bool
	refuse *smtp.SMTPError
	port   int
}

type session struct {
	s    *server
	conn *smtp.Conn
}

func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) { return &session{s, c}, nil }

func (x *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (x *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "lethe" || password != "p@ss" {
			return errors.New("no")
		}
		return nil
	}), nil
}
func (x *session) Mail(string, *smtp.MailOptions) error { return nil }
func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if x.s.refuse != nil {
		return x.s.refuse
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.to = append(x.s.to, to)
	return nil
}
func (x *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	_, secure := x.conn.TLSConnectionState()
	x.s.got, x.s.tls = append(x.s.got, string(b)), append(x.s.tls, secure)
	return err
}
func (x *session) Reset()        {}
func (x *session) Logout() error { return nil }

// serve starts a server on this machine; with implicit TLS from the first byte, with
// config by STARTTLS.
func serve(t *testing.T, config *tls.Config, implicit bool) *server {
	t.Helper()
	s := &server{}
	srv := smtp.NewServer(s)
	srv.Domain, srv.AllowInsecureAuth = "localhost", config == nil
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	if implicit {
		l = tls.NewListener(l, config)
	} else {
		srv.TLSConfig = config
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return s
}

// certificate is one for mail.lethe.test, and who trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

var letter = mail.Letter{
	To: "ada@example.org", Subject: "Zugang für Ada", Text: []string{"Open <this> page:", "It is good once."},
	Link: "https://lethe.test/signin/ABC", Quoted: "lethe\n12\nroot=\n",
}

func TestALetterIsPlainTextWithATwin(t *testing.T) {
	s := serve(t, nil, false)
	m, err := mail.New(fmt.Sprintf("smtp://lethe:p%%40ss@localhost:%d", s.port), "Lethe <lethe@example.org>", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(t.Context()); err != nil || len(s.got) > 0 {
		t.Fatalf("checking: %v, %d mails sent", err, len(s.got))
	}
	if err := m.Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	read, err := netmail.ReadMessage(strings.NewReader(s.got[0]))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"To": "<ada@example.org>", "From": `"Lethe" <lethe@example.org>`, "Auto-Submitted": "auto-generated"} {
		if got := read.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if plain, twin := strings.Index(s.got[0], "text/plain"), strings.Index(s.got[0], "text/html"); plain < 0 || twin < plain {
		t.Error("the plain text does not come first")
	}
	if got := letter.Plain(); got != "Open <this> page:\n\nhttps://lethe.test/signin/ABC\n\nIt is good once.\n\nlethe\n12\nroot=\n" {
		t.Errorf("the text is %q", got)
	}
	if got := letter.HTML(); !strings.Contains(got, "Open &lt;this&gt; page:") || strings.Contains(got, "src=") {
		t.Errorf("the twin is %q", got)
	}
	if got := fmt.Sprintf("%v %s %+v %q", letter, letter, &letter, letter.String()); strings.Contains(got, "ada") || strings.Contains(got, "ABC") {
		t.Errorf("printed it is %s", got)
	}
}

func TestMailGoesByTLSOrToThisMachineItself(t *testing.T) {
	config, trusted := certificate(t)
	s := serve(t, config, true)
	m, err := mail.New(fmt.Sprintf("smtps://lethe:p%%40ss@localhost:%d", s.port), "lethe@example.org", trusted)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), letter); err != nil || !s.tls[0] {
		t.Errorf("by smtps: %v", err)
	}
	strict, err := mail.New(fmt.Sprintf("smtps://lethe:p%%40ss@localhost:%d", s.port), "lethe@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := strict.Send(t.Context(), letter); err == nil {
		t.Error("a certificate that nobody vouches for is believed")
	}
	wrong, err := mail.New(fmt.Sprintf("smtps://lethe:wrong@localhost:%d", s.port), "lethe@example.org", trusted)
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Check(t.Context()); err == nil || strings.Contains(err.Error(), "wrong@") || strings.Contains(err.Error(), ":wrong") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestAServerThatOffersNoTLSGetsNothing(t *testing.T) {
	// Any name but this machine's own has to offer STARTTLS, wherever it leads.
	s := serve(t, nil, false)
	host := "127.0.0.1.nip.invalid"
	m, err := mail.New(fmt.Sprintf("smtp://lethe:p%%40ss@%s:%d", host, s.port), "lethe@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := mail.DialVia(m, fmt.Sprintf("127.0.0.1:%d", s.port)).Send(t.Context(), letter); err == nil || len(s.got) > 0 {
		t.Errorf("in plain to another machine: %v, %d mails", err, len(s.got))
	}
	config, trusted := certificate(t)
	tlsServer := serve(t, config, false)
	trusted = trusted.Clone()
	m, err = mail.New(fmt.Sprintf("smtp://lethe:p%%40ss@localhost.:%d", tlsServer.port), "lethe@example.org", trusted)
	if err != nil {
		t.Fatal(err)
	}
	if err := mail.DialVia(m, fmt.Sprintf("127.0.0.1:%d", tlsServer.port)).Send(t.Context(), letter); err != nil || !tlsServer.tls[0] {
		t.Errorf("by STARTTLS: %v", err)
	}
}

func TestRefusalsTellACodeAndNobodysAddress(t *testing.T) {
	s := serve(t, nil, false)
	m, err := mail.New(fmt.Sprintf("smtp://localhost:%d", s.port), "lethe@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.refuse = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<ada@example.org>: no such user"}
	err = m.Send(t.Context(), letter)
	var refused *mail.Refused
	if !errors.As(err, &refused) || refused.Code != 550 || strings.Contains(err.Error(), "ada") {
		t.Errorf("for good: %v", err)
	}
	s.refuse = &smtp.SMTPError{Code: 451, Message: "<ada@example.org>: greylisted"}
	if err = m.Send(t.Context(), letter); err == nil || errors.As(err, &refused) && refused.Code == 451 || strings.Contains(err.Error(), "ada") {
		t.Errorf("for now: %v", err)
	}
}

func TestAnAddressThatCannotBeSentByIsRefusedWithoutItsPassword(t *testing.T) {
	for _, bad := range []string{"", "localhost:25", "http://host", "smtp://", "smtps://u:secret@host:port", "smtp://u:secret@host/path", "smtp://u:secret@host?x=1", "smtp://%zz:secret@host"} {
		if _, err := mail.New(bad, "lethe@example.org", nil); !errors.Is(err, mail.ErrURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := mail.New("smtp://localhost", "nobody", nil); err == nil {
		t.Error("an address to send from that is none is taken")
	}
}
