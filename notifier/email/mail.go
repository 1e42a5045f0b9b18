package email

import (
	"bytes"
	"context"
	"fmt"
	"net/mail"
	"time"

	gomail "github.com/wneessen/go-mail"

	"nines/notifier"
)

// Mail is a message that is not about an incident, such as a monthly report.
type Mail struct {
	To      string // one address, with or without a name
	Subject string
	Body    string // plain text
	ID      string // the same for the same message: it becomes the Message-ID
	Date    time.Time
	Files   []File
}

// File is an attachment.
type File struct {
	Name, Type string // Type as in application/pdf
	Body       []byte
}

// Mail hands a message to the server. Errors are as Send's.
func (c *Client) Mail(ctx context.Context, m Mail) error {
	to, err := mail.ParseAddress(m.To)
	if err != nil {
		return &notifier.SendError{Permanent: true, Detail: fmt.Sprintf("reading the address %q: %v", m.To, err)}
	}
	msg := gomail.NewMsg()
	msg.FromMailAddress(c.from)
	msg.ToMailAddress(to)
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(fmt.Sprintf("%s.nines@%s", m.ID, c.domain))
	msg.SetDateWithValue(m.Date)
	// RFC 3834: so that nobody's absence note answers.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Body)
	for _, f := range m.Files {
		if err := msg.AttachReader(f.Name, bytes.NewReader(f.Body), gomail.WithFileContentType(gomail.ContentType(f.Type))); err != nil {
			return &notifier.SendError{Permanent: true, Detail: fmt.Sprintf("attaching %s: %v", f.Name, err)}
		}
	}
	dialer := &dialer{ctx: ctx, tls: c.trust(), implicit: c.cfg.TLS == "tls"}
	defer dialer.close()
	client, err := c.client(ctx, dialer)
	if err != nil {
		return &notifier.SendError{Permanent: true, Detail: err.Error()}
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return refusal("connecting to the mail server", err)
	}
	defer client.CloseWithSMTPClient(conn)
	if err := client.SendWithSMTPClient(conn, msg); err != nil && !msg.IsDelivered() {
		return classify(err)
	}
	return nil
}
