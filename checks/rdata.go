package checks

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// Limits of the records that a result shows.
const (
	maxShown      = 50
	maxShownBytes = 8 << 10
	maxCNAMEs     = 16 // links that are followed within one answer
)

// rdata returns the text of a record after its type, as a zone file has it.
// The strings of a TXT record are joined into one, which is what they mean.
func rdata(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.A:
		return rr.A.String()
	case *dns.AAAA:
		return rr.AAAA.String()
	case *dns.TXT:
		return unescape(strings.Join(rr.Txt, ""))
	case *dns.SPF:
		return unescape(strings.Join(rr.Txt, ""))
	}
	return strings.TrimSpace(strings.TrimPrefix(rr.String(), rr.Header().String()))
}

// normal returns rdata in a form in which equal records are equal: names
// do not differ by their case.
func normal(rr dns.RR) string {
	switch rr.(type) {
	case *dns.TXT, *dns.SPF:
		return rdata(rr)
	}
	return strings.ToLower(rdata(rr))
}

// canonical returns what normal returns for a record of that type whose
// rdata is written as text.
func canonical(kind uint16, text string) (string, error) {
	if kind == dns.TypeTXT || kind == dns.TypeSPF {
		return text, nil
	}
	name := dns.TypeToString[kind]
	if strings.ContainsAny(text, "\r\n") || strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%q is not one record of type %s", clip(text, 80), name)
	}
	rr, err := dns.NewRR(fmt.Sprintf(". 0 IN %s %s", name, text))
	if err != nil || rr == nil || rr.Header().Rrtype != kind {
		return "", fmt.Errorf("%q is not the data of a record of type %s; write it as a zone file has it after the type", clip(text, 80), name)
	}
	return normal(rr), nil
}

// unescape takes back the escapes that package dns keeps in strings.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
		case i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]):
			b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + s[i+3] - '0')
			i += 3
		default:
			i++
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// answers returns the records of a message's answer that are of the type
// asked for and belong to the name asked about, by its aliases if need be.
func answers(msg *dns.Msg, kind uint16) []dns.RR {
	if len(msg.Question) == 0 {
		return nil
	}
	name := msg.Question[0].Name
	for range maxCNAMEs {
		var found []dns.RR
		alias := ""
		for _, rr := range msg.Answer {
			if !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			if rr.Header().Rrtype == kind || kind == dns.TypeANY {
				found = append(found, rr)
			}
			if cname, ok := rr.(*dns.CNAME); ok && alias == "" {
				alias = cname.Target
			}
		}
		if len(found) > 0 || alias == "" {
			return found
		}
		name = alias
	}
	return nil
}

// shown returns the records as a result lists them, within bounds.
func shown(records []dns.RR) []string {
	texts := make([]string, 0, min(len(records), maxShown))
	left := maxShownBytes
	for _, rr := range records {
		text := clip(rdata(rr), 512)
		if left -= len(text); left < 0 || len(texts) == maxShown {
			break
		}
		texts = append(texts, text)
	}
	return texts
}
