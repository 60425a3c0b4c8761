package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Mailer sends letters over SMTP. Make one with New.
type Mailer struct {
	host    string
	from    *netmail.Address
	options []gomail.Option
}

// ErrURL says that SMTP_URL cannot be used, and not a letter of it: it holds a password.
var ErrURL = errors.New("it wants smtps://user:password@host:465, or smtp://user:password@host:587, which goes on only by STARTTLS")

const (
	smtpsPort = 465 // RFC 8314: TLS from the first byte
	smtpPort  = 587 // RFC 6409: submission
	localPort = 25
	// timeout bounds each step of a delivery.
	timeout = 20 * time.Second
)

// New reads where mail goes, and as whom it is sent. By smtps:// TLS comes first, by
// smtp:// STARTTLS is required; in plain it goes to this machine itself alone. roots
// may be nil: then the system's authorities vouch for the server.
func New(smtp, from string, roots *tls.Config) (*Mailer, error) {
	u, err := url.Parse(smtp)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Path != "" && u.Path != "/" {
		return nil, ErrURL
	}
	m := &Mailer{host: u.Hostname()}
	if m.from, err = netmail.ParseAddress(from); err != nil {
		return nil, errors.New("LETHE_MAIL_FROM is no address to send from: Lethe <lethe@example.org>")
	}
	local := isLocal(m.host)
	port := 0
	switch {
	case u.Scheme == "smtps":
		port = smtpsPort
		m.options = append(m.options, gomail.WithSSL())
	case u.Scheme == "smtp" && local:
		port = localPort
		m.options = append(m.options, gomail.WithTLSPolicy(gomail.NoTLS))
	case u.Scheme == "smtp":
		port = smtpPort
		m.options = append(m.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		return nil, ErrURL
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, ErrURL
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != nil {
		config = roots.Clone()
	}
	config.ServerName = m.host
	m.options = append(m.options, gomail.WithPort(port), gomail.WithTimeout(timeout), gomail.WithTLSConfig(config))
	if password, ok := u.User.Password(); ok {
		// Only mechanisms that the server offers; a password goes in clear words to
		// this machine itself alone.
		auth := gomail.SMTPAuthAutoDiscover
		if local && u.Scheme == "smtp" {
			auth = gomail.SMTPAuthPlainNoEnc
		}
		m.options = append(m.options, gomail.WithUsername(u.User.Username()), gomail.WithPassword(password), gomail.WithSMTPAuth(auth))
	}
	return m, nil
}

// isLocal tells whether a host is this machine by its very name: one that merely
// resolves to it today may be another tomorrow.
func isLocal(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Send sends a letter. Its error names the server and the step, not the person.
func (m *Mailer) Send(ctx context.Context, l Letter) error {
	msg := gomail.NewMsg()
	msg.FromMailAddress(m.from)
	if err := msg.To(l.To); err != nil {
		return errors.New("mail: the address cannot be written to")
	}
	msg.Subject(l.Subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes, please
	msg.SetBodyString(gomail.TypeTextPlain, l.Plain())
	msg.AddAlternativeString(gomail.TypeTextHTML, l.HTML())
	for _, a := range l.Attached {
		if err := msg.AttachReader(a.Name, bytes.NewReader(a.Text), gomail.WithFileContentType(gomail.ContentType(a.Type))); err != nil {
			return errors.New("mail: a file cannot be attached")
		}
	}
	client, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the letter is delivered, or is not, by now
	if err := client.Send(msg); err != nil {
		return m.quiet("send", err)
	}
	return nil
}

// Check connects and authenticates, and sends nothing.
func (m *Mailer) Check(ctx context.Context) error {
	client, err := m.dial(ctx)
	if err != nil {
		return err
	}
	return m.quiet("part from", client.Close())
}

// Host is the server's name.
func (m *Mailer) Host() string { return m.host }

func (m *Mailer) dial(ctx context.Context) (*gomail.Client, error) {
	client, err := gomail.NewClient(m.host, m.options...)
	if err != nil {
		return nil, fmt.Errorf("mail: SMTP_URL: %w", ErrURL)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return nil, m.quiet("connect to", err)
	}
	return client, nil
}

// Refused is a server's answer that trying again will not change.
type Refused struct {
	Host string
	Code int
}

func (e *Refused) Error() string {
	return fmt.Sprintf("mail: %s refuses for good (%d)", e.Host, e.Code)
}

// quiet says what was tried with the server and why it failed. Servers quote addresses
// in what they answer, so of that the code alone is passed on.
func (m *Mailer) quiet(doing string, err error) error {
	if err == nil {
		return nil
	}
	var send *gomail.SendError
	if errors.As(err, &send) {
		code := send.ErrorCode()
		if !send.IsTemp() && code >= 500 {
			return &Refused{m.host, code}
		}
		return fmt.Errorf("mail: %s cannot take it now (%d)", m.host, code)
	}
	var wrong *tls.CertificateVerificationError
	var unreachable net.Error
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("mail: %s %s: its certificate is not good", doing, m.host)
	case errors.As(err, &unreachable):
		return fmt.Errorf("mail: %s %s: %w", doing, m.host, err)
	}
	return fmt.Errorf("mail: %s %s: it does not speak as SMTP_URL says, or does not take the password", doing, m.host)
}
