package mail

import (
	"context"
	"net"

	gomail "github.com/wneessen/go-mail"
)

// DialVia lets a test's server stand for any host.
func DialVia(m *Mailer, address string) *Mailer {
	m.options = append(m.options, gomail.WithDialContextFunc(func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}))
	return m
}
