package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Limits of the records that a result shows.
const (
	maxShown      = 50
	maxShownBytes = 8 << 10 // as JSON has them
	maxCNAMEs     = 16      // links that are followed within one answer
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
	case *dns.RFC3597:
		return fmt.Sprintf(`\# %d %s`, len(rr.Rdata)/2, strings.ToLower(rr.Rdata))
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
	name := dns.Type(kind).String()
	if strings.ContainsAny(text, "\r\n") || strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%q is not one record of type %s", clip(text, 80), name)
	}
	rr, err := dns.NewRR(fmt.Sprintf(". 0 IN %s %s", name, text))
	if err != nil || rr == nil || rr.Header().Rrtype != kind {
		return "", fmt.Errorf("%q is not the data of a record of type %s; write it as a zone file has it after the type", clip(text, 80), name)
	}
	return normal(rr), nil
}

// wholeRecord returns a record with its name and type, in a form in which equal
// records are equal whatever their time to live.
func wholeRecord(rr dns.RR) string {
	header := rr.Header()
	return strings.ToLower(header.Name) + " " + dns.Type(header.Rrtype).String() + " " + normal(rr)
}

// canonicalWhole returns what wholeRecord returns for a record that is written as
// its name, type and data.
func canonicalWhole(text string) (string, error) {
	if strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("%q is not one record", clip(text, 80))
	}
	rr, err := dns.NewRR(text)
	if err != nil || rr == nil {
		return "", fmt.Errorf("%q is not a record; write its name, type and data, such as example.com NS ns1.example.com", clip(text, 80))
	}
	return wholeRecord(rr), nil
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

// aliasChain is what an answer says of the name asked about: the aliases that lead
// away from it, and at their end the records of the type asked for.
type aliasChain struct {
	aliases []string // each the target of the one before
	records []dns.RR
	loop    bool // it leads in a circle, or through too many names
}

func (c *aliasChain) String() string { return clip(strings.Join(c.aliases, " → "), 300) }

// followAliases reads the chain within a message's answer. With a question for any
// type, or for aliases, the first name's records are the end of it.
func followAliases(msg *dns.Msg, kind uint16) aliasChain {
	var c aliasChain
	if len(msg.Question) == 0 {
		return c
	}
	for name := msg.Question[0].Name; ; {
		alias := ""
		for _, rr := range msg.Answer {
			if !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			if rr.Header().Rrtype == kind || kind == dns.TypeANY {
				c.records = append(c.records, rr)
			}
			if cname, ok := rr.(*dns.CNAME); ok && alias == "" {
				alias = cname.Target
			}
		}
		if len(c.records) > 0 || alias == "" {
			return c
		}
		seen := func(one string) bool { return strings.EqualFold(one, alias) }
		c.loop = seen(msg.Question[0].Name) || slices.ContainsFunc(c.aliases, seen) || len(c.aliases) == maxCNAMEs
		c.aliases = append(c.aliases, alias)
		if c.loop {
			return c
		}
		name = alias
	}
}

// tell writes down the chain's records and how long they may be kept.
func (c *aliasChain) tell(facts Facts) {
	facts["answers"] = shown(c.records)
	if len(c.aliases) > 0 {
		facts["aliases"] = clipAll(c.aliases)
	}
	if len(c.records) == 0 {
		return
	}
	lowest, highest := c.records[0].Header().Ttl, c.records[0].Header().Ttl
	for _, rr := range c.records[1:] {
		lowest, highest = min(lowest, rr.Header().Ttl), max(highest, rr.Header().Ttl)
	}
	facts["ttl_min"] = int(lowest)
	if highest > lowest {
		facts["ttl_max"] = int(highest)
	}
}

func clipAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = clip(text, 100)
	}
	return out
}

// shown returns the records as a result lists them, within bounds.
func shown(records []dns.RR) []string {
	texts := make([]string, 0, min(len(records), maxShown))
	left := maxShownBytes
	for _, rr := range records {
		text := clip(rdata(rr), 512)
		if left -= encodedSize(text); left < 0 || len(texts) == maxShown {
			break
		}
		texts = append(texts, text)
	}
	return texts
}

// encodedSize returns how many bytes a text takes as JSON, at most.
func encodedSize(text string) int {
	size := len(text)
	for i := range len(text) {
		switch c := text[i]; {
		case c < 0x20, c == '<', c == '>', c == '&':
			size += 5 // \u003c
		case c == '"', c == '\\':
			size++
		case c >= 0x80:
			size += 2 // what is not UTF-8 becomes U+FFFD
		}
	}
	return size
}
