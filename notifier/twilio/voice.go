package twilio

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"

	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"nines/notifier"
)

// ringFor is how long, in seconds, a phone rings.
const ringFor = 30

// dial calls the person. What is said is in the request itself, so that the
// page is heard even when Twilio cannot reach us.
func (c *Client) dial(ctx context.Context, m notifier.Message) (notifier.Receipt, error) {
	p := &openapi.CreateCallParams{}
	p.SetTo(m.Person.Phone).SetFrom(c.cfg.From).SetTimeout(ringFor).SetTwiml(c.script(m))
	if c.cfg.PublicURL != "" {
		events := []string{"answered", "completed"}
		if c.cfg.DetectMachines {
			events = []string{"completed"} // who answered is not known earlier
		}
		p.SetStatusCallback(c.cfg.PublicURL + StatusPath).SetStatusCallbackEvent(events)
	}
	if c.cfg.DetectMachines {
		// Asynchronous: the person is not kept waiting in silence.
		p.SetMachineDetection("Enable").SetAsyncAmd("true")
		if c.cfg.PublicURL != "" {
			p.SetAsyncAmdStatusCallback(c.cfg.PublicURL + StatusPath)
		}
	}
	call, err := c.api(ctx).CreateCall(p)
	if err != nil {
		return notifier.Receipt{}, classify(err)
	}
	if deref(call.Sid) == "" {
		return notifier.Receipt{}, errors.New("the answer to a call has no sid")
	}
	return notifier.Receipt{ID: *call.Sid}, nil
}

// script is what a call says: the page twice, with a key to acknowledge it
// where that makes sense.
func (c *Client) script(m notifier.Message) string {
	said := notifier.VoiceText(m)
	var b bytes.Buffer
	b.WriteString(`<Response>`)
	if m.Notice.Kind == notifier.PageNotice && m.Subject.AckedBy == "" && m.Subject.Resolved.IsZero() && c.cfg.PublicURL != "" {
		action := fmt.Sprintf("%s%s?incident=%d", c.cfg.PublicURL, VoicePath, m.Notice.Incident)
		fmt.Fprintf(&b, `<Gather input="dtmf" numDigits="1" timeout="8" method="POST" action="%s">`, escape(action))
		for range 2 {
			say(&b, said+" Press 1 to acknowledge.")
			b.WriteString(`<Pause length="1"/>`)
		}
		b.WriteString(`</Gather>`)
		say(&b, "Nothing was pressed. This is not acknowledged.")
	} else {
		say(&b, said)
		b.WriteString(`<Pause length="1"/>`)
		say(&b, said)
	}
	b.WriteString(`</Response>`)
	return b.String()
}

func say(b *bytes.Buffer, text string) { fmt.Fprintf(b, `<Say>%s</Say>`, escape(text)) }

func escape(s string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(s)) // a Buffer takes everything
	return b.String()
}

// ReplyType is the content type of what Reply and Say return.
const ReplyType = "text/xml; charset=utf-8"

// Reply is the answer to an SMS: a text that goes back to its sender, or
// nothing when the text is empty.
func Reply(text string) []byte {
	if text == "" {
		return []byte(xml.Header + `<Response/>`)
	}
	return []byte(xml.Header + `<Response><Message>` + escape(text) + `</Message></Response>`)
}

// Say is the answer to a pressed key: what is said before the call ends.
func Say(text string) []byte {
	return []byte(xml.Header + `<Response><Say>` + escape(text) + `</Say><Hangup/></Response>`)
}
