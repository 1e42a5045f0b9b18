// Package email tells people by e-mail, over SMTP.
//
// Left to others: what is said and to whom (notifier). It imports notifier and
// internal packages, and is the only package that imports go-mail.
package email

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"nines/internal/secret"
	"nines/notifier"
)

// Config is the SMTP server that mail leaves by.
type Config struct {
	Server   string // host:port; the port may be left out where TLS implies it
	Username string // empty: no authentication
	Password secret.String
	From     string      // an address, with or without a name
	TLS      string      // starttls (also when empty), tls or none
	Trust    *tls.Config // nil: the system's roots
}

// Client is a notifier.Channel. It makes a connection for each message.
type Client struct {
	cfg    Config
	from   *mail.Address
	host   string
	port   int
	domain string // of Message-IDs
}

var _ notifier.Channel = (*Client)(nil)

// ports are those of RFC 8314 and RFC 5321 for each kind of TLS.
var ports = map[string]int{"starttls": 587, "tls": 465, "none": 25}

// New returns a client, without connecting to anything.
func New(cfg Config) (*Client, error) {
	cfg.TLS = cmp.Or(cfg.TLS, "starttls")
	port, ok := ports[cfg.TLS]
	if !ok {
		return nil, fmt.Errorf("%q is not a kind of TLS; it is starttls, tls or none", cfg.TLS)
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("reading the sender %q: %w", cfg.From, err)
	}
	host := cfg.Server
	if h, p, err := net.SplitHostPort(cfg.Server); err == nil {
		host = h
		if port, err = strconv.Atoi(p); err != nil {
			return nil, fmt.Errorf("%q is not a port", p)
		}
	}
	if host == "" {
		return nil, errors.New("e-mail needs a server")
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	return &Client{cfg: cfg, from: from, host: host, port: port, domain: domain}, nil
}

// Send hands the message to the server. Mail says nothing of its delivery
// after that.
func (c *Client) Send(ctx context.Context, m notifier.Message) (notifier.Receipt, error) {
	msg, err := c.compose(m)
	if err != nil {
		return notifier.Receipt{}, &notifier.SendError{Permanent: true, Detail: err.Error()}
	}
	dialer := &dialer{ctx: ctx, tls: c.trust(), implicit: c.cfg.TLS == "tls"}
	defer dialer.close()
	client, err := c.client(ctx, dialer)
	if err != nil {
		return notifier.Receipt{}, &notifier.SendError{Permanent: true, Detail: err.Error()}
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return notifier.Receipt{}, refusal("connecting to the mail server", err) // nothing was handed over yet
	}
	defer client.CloseWithSMTPClient(conn)
	if err := client.SendWithSMTPClient(conn, msg); err != nil && !msg.IsDelivered() {
		return notifier.Receipt{}, classify(err)
	}
	return notifier.Receipt{ID: c.messageID(m), Delivered: true}, nil
}

// Find never finds one: SMTP cannot look. The same notice has the same
// Message-ID each time, by which mailboxes tell that it is the same.
func (c *Client) Find(context.Context, notifier.Message) (notifier.Receipt, bool, error) {
	return notifier.Receipt{}, false, nil
}

// Status says that a message that the server took is as delivered as it gets.
func (c *Client) Status(context.Context, string) (notifier.State, string, error) {
	return notifier.Delivered, "", nil
}

func (c *Client) messageID(m notifier.Message) string {
	return fmt.Sprintf("%s.nines@%s", m.Notice.Nonce, c.domain)
}

// compose puts the message together.
func (c *Client) compose(m notifier.Message) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(m.Person.Email)
	if err != nil {
		return nil, fmt.Errorf("reading the address %q: %w", m.Person.Email, err)
	}
	subject, body := notifier.EmailText(m)
	msg := gomail.NewMsg()
	msg.FromMailAddress(c.from)
	msg.ToMailAddress(to)
	msg.Subject(subject)
	msg.SetMessageIDWithValue(c.messageID(m))
	msg.SetDateWithValue(m.Notice.Created)
	// RFC 3834: so that nobody's absence note answers.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if m.Notice.Incident != 0 {
		// One thread an incident, whichever of its messages came first.
		msg.SetGenHeader("References", fmt.Sprintf("<incident-%d.nines@%s>", m.Notice.Incident, c.domain))
	}
	if m.Notice.Kind == notifier.PageNotice {
		msg.SetImportance(gomail.ImportanceHigh)
	}
	msg.SetBodyString(gomail.TypeTextPlain, body)
	return msg, nil
}

// dialer connects to the server for one message. Go-mail leaves a connection
// open when what comes after dialing fails, and honours a context only until
// then.
type dialer struct {
	ctx      context.Context // of the message
	tls      *tls.Config
	implicit bool // TLS from the first byte

	conn net.Conn
	stop func() bool
}

func (d *dialer) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	if d.implicit {
		conn, err = (&tls.Dialer{Config: d.tls}).DialContext(ctx, network, addr)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	if err != nil {
		return nil, err
	}
	d.conn, d.stop = conn, context.AfterFunc(d.ctx, func() { conn.Close() })
	return conn, nil
}

func (d *dialer) close() {
	if d.conn != nil {
		d.stop()
		d.conn.Close() // a second time does nothing
	}
}

// trust is how the server's certificate is checked.
func (c *Client) trust() *tls.Config {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.cfg.Trust != nil {
		trust = c.cfg.Trust.Clone()
	}
	trust.ServerName = cmp.Or(trust.ServerName, c.host)
	return trust
}

// client returns go-mail's client for one message.
func (c *Client) client(ctx context.Context, d *dialer) (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(c.port), gomail.WithTimeout(timeLeft(ctx)), gomail.WithoutNoop(),
		gomail.WithDialContextFunc(d.dial), gomail.WithTLSConfig(d.tls),
	}
	switch c.cfg.TLS {
	case "tls":
		options = append(options, gomail.WithSSL())
	case "starttls":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if c.cfg.Username != "" {
		// Without TLS, PLAIN and LOGIN show the password to this machine alone.
		options = append(options, gomail.WithUsername(c.cfg.Username), gomail.WithPassword(c.cfg.Password.Reveal()),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1,
				gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	client, err := gomail.NewClient(c.host, options...)
	if err != nil {
		return nil, fmt.Errorf("preparing for the mail server: %w", err)
	}
	return client, nil
}

// timeLeft is the context's.
func timeLeft(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(time.Until(deadline), time.Millisecond)
	}
	return 30 * time.Second
}

// classify turns go-mail's errors into the notifier's. The message is taken
// when the server has answered the end of its data; before that it is not, and
// a connection that is lost at that moment leaves it unclear.
func classify(err error) error {
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return fmt.Errorf("sending mail: %w", err)
	}
	if failed.Reason == gomail.ErrSMTPDataClose && failed.ErrorCode() == 0 {
		return fmt.Errorf("sending mail: %w", err)
	}
	return &notifier.SendError{
		// Without a code the connection was lost, which may pass.
		Permanent: failed.ErrorCode() >= 500 || neverSent[failed.Reason],
		Detail:    "sending mail: " + err.Error(),
	}
}

// neverSent are faults of the message itself.
var neverSent = map[gomail.SendErrReason]bool{
	gomail.ErrGetSender: true, gomail.ErrGetRcpts: true, gomail.ErrNoUnencoded: true,
}

// refusal is an error before anything was handed over: permanent when the
// server's answer says so.
func refusal(doing string, err error) error {
	var answer *textproto.Error
	return &notifier.SendError{
		Permanent: errors.As(err, &answer) && answer.Code >= 500,
		Detail:    doing + ": " + err.Error(),
	}
}
