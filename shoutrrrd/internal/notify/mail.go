package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// TLS says how a mail server is spoken to.
type TLS string

// The ways. There is none that falls back to clear text when TLS fails.
const (
	StartTLS TLS = "starttls"
	Implicit TLS = "implicit"
	NoTLS    TLS = "none"
)

// Mail sends the message by SMTP.
type Mail struct {
	Host     string
	Port     int
	TLS      TLS
	From     string
	To       []string
	User     string // "" for no login
	Password string
	Timeout  time.Duration
	Agent    string
}

// Send implements [Sender].
func (s Mail) Send(ctx context.Context, m Message) error {
	msg, err := s.compose(m)
	if err != nil {
		return err
	}
	options := []mail.Option{mail.WithPort(s.Port), mail.WithTimeout(s.Timeout), mail.WithDialContextFunc(s.dialer(ctx))}
	switch s.TLS {
	case StartTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case Implicit: // the dialer has made it, and the library asks the connection
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.User), mail.WithPassword(s.Password))
	}
	client, err := mail.NewClient(s.Host, options...)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return s.hidden(err)
	}
	defer session.Close() // the connection, whether or not the server has heard QUIT
	if err := client.SendWithSMTPClient(session, msg); err != nil {
		return s.hidden(err)
	}
	_ = session.Quit() // the mail is accepted
	return nil
}

// compose writes the mail. The library encodes what stands in headers: nothing in a
// subject begins another header.
func (s Mail) compose(m Message) (*mail.Msg, error) {
	msg := mail.NewMsg()
	if err := msg.From(s.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := msg.To(s.To...); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetUserAgent(s.Agent)
	// RFC 3834: what answers mails by itself is to leave this one alone.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	return msg, nil
}

// dialer makes connections that end with the whole attempt: the library's own time limits
// count from each command anew.
func (s Mail) dialer(attempt context.Context) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var conn net.Conn
		var err error
		if s.TLS == Implicit {
			conn, err = (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.Host}}).DialContext(ctx, network, address)
		} else {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		}
		if err == nil {
			context.AfterFunc(attempt, func() { _ = conn.Close() })
		}
		return conn, err
	}
}

// hidden takes the password out of what a server has answered to it.
func (s Mail) hidden(err error) error {
	text := err.Error()
	if s.Password != "" {
		for _, form := range []string{s.Password, base64.StdEncoding.EncodeToString([]byte(s.Password)), base64.StdEncoding.EncodeToString([]byte("\x00" + s.User + "\x00" + s.Password))} {
			text = strings.ReplaceAll(text, form, "[secret]")
		}
	}
	return errors.New(text)
}
