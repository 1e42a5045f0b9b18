package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// DNSExpect is what an answer must be.
type DNSExpect struct {
	Rcode              string        `json:"rcode" doc:"The code of the answer, such as NOERROR or NXDOMAIN; default NOERROR."`
	Answer             []string      `json:"answer" doc:"The exact set of records, in any order, each as a zone file has it after the type." example:"[192.0.2.10, 192.0.2.11]"`
	AnswerContains     []string      `json:"answer_contains" doc:"Records that must be in the answer, beside any others." example:"[10 mail.example.com]"`
	AnswerMatches      []Pattern     `json:"answer_matches" doc:"Regular expressions (RE2), each of which must match some record of the answer." example:"['^v=spf1 ']"`
	MinAnswers         int           `json:"min_answers" doc:"The fewest records of the type asked for that the answer may have, when its code is NOERROR; default 1."`
	MaxAnswers         int           `json:"max_answers" doc:"The most records of the type asked for that the answer may have; 0 is any number; default 0."`
	AuthorityContains  []string      `json:"authority_contains" doc:"Records that must be in the authority section, each with its name and type." example:"[example.com NS ns1.example.com]"`
	AdditionalContains []string      `json:"additional_contains" doc:"Records that must be in the additional section, each with its name and type." example:"[ns1.example.com A 192.0.2.53]"`
	TTL                TTLRange      `json:"ttl" doc:"How long the answer's records may be kept, each of them."`
	AA                 *bool         `json:"aa" doc:"Whether the server must say that it is the authority; default: either." example:"true"`
	AD                 *bool         `json:"ad" doc:"Whether the server must say that it has checked the signatures; default: either." example:"true"`
	Serial             SerialRange   `json:"serial" doc:"The serial that the SOA record must have; for type SOA, or an answer with such a record in its authority section."`
	MaxSize            int           `json:"max_size" doc:"The most bytes that the answer's message may have; 0 is any number; default 0." example:"1232"`
	Within             time.Duration `json:"within" doc:"The longest that the whole run may take; a slower one is degraded; default: any time." example:"200ms"`
	FailAfter          time.Duration `json:"fail_after" doc:"The longest that the whole run may take before it is down; default: any time." example:"2s"`

	SignedExpect
}

// TTLRange is a range of times to live, both ends included.
type TTLRange struct {
	Min time.Duration `json:"min" doc:"The shortest; default: any." example:"60s"`
	Max time.Duration `json:"max" doc:"The longest; 0 is any; default: any." example:"1d"`
}

// SerialRange is a lower end of serials. They are compared as RFC 1982 says,
// since they start anew after 4294967295.
type SerialRange struct {
	Min uint32 `json:"min" doc:"The oldest serial that is right; 0 is any; default: any." example:"2026100100"`
}

// wantedRecords are a DNSExpect's records in canonical form.
type wantedRecords struct {
	answer, contains      []string // the former sorted
	authority, additional []string
}

// records returns the expected records in canonical form.
func (e *DNSExpect) records(kind uint16) (wantedRecords, error) {
	var w wantedRecords
	for _, list := range []struct {
		texts []string
		into  *[]string
		whole bool
	}{{e.Answer, &w.answer, false}, {e.AnswerContains, &w.contains, false}, {e.AuthorityContains, &w.authority, true}, {e.AdditionalContains, &w.additional, true}} {
		for _, text := range list.texts {
			record, err := canonical(kind, text)
			if list.whole {
				record, err = canonicalWhole(text)
			}
			if err != nil {
				return w, err
			}
			*list.into = append(*list.into, record)
		}
	}
	slices.Sort(w.answer)
	w.answer = slices.Compact(w.answer)
	return w, nil
}

// judge holds an answer against what is expected.
func (d *DNS) judge(got *reply, c *aliasChain) finding {
	for _, met := range [...]func(*DNS, *reply, *aliasChain) finding{
		(*DNS).judgeRcode, (*DNS).judgeCount, (*DNS).judgeRecords, (*DNS).judgeSections, (*DNS).judgeTTL, (*DNS).judgeHeader,
	} {
		if f := met(d, got, c); f.status != "" {
			return f
		}
	}
	return finding{}
}

func (d *DNS) judgeRcode(got *reply, _ *aliasChain) finding {
	rcode, wanted := got.msg.Rcode, dns.StringToRcode[strings.ToUpper(d.Expect.Rcode)]
	if rcode == wanted {
		return finding{}
	}
	reason := DNSRcode
	switch {
	case wanted != dns.RcodeSuccess:
	case rcode == dns.RcodeNameError:
		reason = DNSNXDomain
	case rcode == dns.RcodeServerFailure:
		reason = DNSServfail
	case rcode == dns.RcodeRefused:
		reason = DNSRefused
	}
	return against(reason, "the answer's code is %s; expected %s", rcodeName(rcode), rcodeName(wanted))
}

func (d *DNS) judgeCount(got *reply, c *aliasChain) finding {
	n, least, most := len(c.records), d.Expect.MinAnswers, d.Expect.MaxAnswers
	kind := strings.ToUpper(d.Type)
	switch {
	case c.loop:
		return against(DNSLoop, "the aliases lead in a circle, or through more than %d names: %s", maxCNAMEs, c)
	case got.msg.Rcode != dns.RcodeSuccess:
	case n == 0 && least > 0 && len(c.aliases) > 0:
		return against(DNSNoAnswer, "the answer has only the aliases %s, and no record of type %s at their end", c, kind)
	case n == 0 && least > 0:
		return against(DNSNoAnswer, "the answer has no record of type %s; expected at least %d", kind, least)
	case n < least:
		return against(ContentAnswer, "the answer has %d records of type %s; expected at least %d", n, kind, least)
	}
	if most > 0 && n > most {
		return against(ContentAnswer, "the answer has %d records of type %s; expected at most %d", n, kind, most)
	}
	return finding{}
}

func (d *DNS) judgeRecords(_ *reply, c *aliasChain) finding {
	if len(d.wants.answer)+len(d.wants.contains)+len(d.Expect.AnswerMatches) == 0 {
		return finding{}
	}
	got := normalized(c.records)
	if len(d.wants.answer) > 0 && !slices.Equal(got, d.wants.answer) {
		return against(ContentAnswer, "the records are %s; expected exactly %s", recordList(got), recordList(d.wants.answer))
	}
	for _, wanted := range d.wants.contains {
		if _, found := slices.BinarySearch(got, wanted); !found {
			return against(ContentAnswer, "the records are %s; expected %s among them", recordList(got), clip(wanted, 300))
		}
	}
	for _, p := range d.Expect.AnswerMatches {
		if !slices.ContainsFunc(c.records, func(rr dns.RR) bool { return p.match([]byte(rdata(rr))) }) {
			return against(ContentAnswer, "the records are %s; expected one that matches %s", recordList(got), clip(p.String(), 200))
		}
	}
	return finding{}
}

// normalized returns the records in the form in which equal ones are equal,
// sorted, each once.
func normalized(records []dns.RR) []string {
	texts := make([]string, len(records))
	for i, rr := range records {
		texts[i] = normal(rr)
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

func recordList(texts []string) string { return "[" + clip(strings.Join(texts, ", "), 300) + "]" }

func (d *DNS) judgeSections(got *reply, _ *aliasChain) finding {
	for _, section := range [...]struct {
		name   string
		has    []dns.RR
		wanted []string
	}{{"authority", got.msg.Ns, d.wants.authority}, {"additional", got.msg.Extra, d.wants.additional}} {
		for _, wanted := range section.wanted {
			if !slices.ContainsFunc(section.has, func(rr dns.RR) bool { return wholeRecord(rr) == wanted }) {
				return against(ContentAnswer, "the %s section of %d records lacks %s", section.name, len(section.has), clip(wanted, 300))
			}
		}
	}
	return finding{}
}

func (d *DNS) judgeTTL(_ *reply, c *aliasChain) finding {
	for _, rr := range c.records {
		ttl := time.Duration(rr.Header().Ttl) * time.Second
		if ttl < d.Expect.TTL.Min {
			return against(ContentAnswer, "the record %s may be kept for %s; expected at least %s", clip(rdata(rr), 200), ttl, d.Expect.TTL.Min)
		}
		if d.Expect.TTL.Max > 0 && ttl > d.Expect.TTL.Max {
			return against(ContentAnswer, "the record %s may be kept for %s; expected at most %s", clip(rdata(rr), 200), ttl, d.Expect.TTL.Max)
		}
	}
	return finding{}
}

// judgeHeader looks at the message's flags, its serial and its size.
func (d *DNS) judgeHeader(got *reply, _ *aliasChain) finding {
	for _, flag := range [...]struct {
		name   string
		wanted *bool
		is     bool
	}{{"aa", d.Expect.AA, got.msg.Authoritative}, {"ad", d.Expect.AD, got.msg.AuthenticatedData}} {
		if flag.wanted != nil && *flag.wanted != flag.is {
			return against(ContentAnswer, "the answer's flag %s is %t; expected %t", flag.name, flag.is, *flag.wanted)
		}
	}
	if oldest := d.Expect.Serial.Min; oldest > 0 {
		soa := soaOf(got.msg)
		switch {
		case soa == nil:
			return against(DNSSerial, "the answer has no SOA record; expected a serial of at least %d", oldest)
		case serialBefore(soa.Serial, oldest):
			return against(DNSSerial, "the serial is %d; expected at least %d", soa.Serial, oldest)
		}
	}
	if most := d.Expect.MaxSize; most > 0 && got.size > most {
		return against(DNSTooLarge, "the answer has %d bytes; expected at most %d", got.size, most)
	}
	return finding{}
}

// serialBefore reports whether a is older than b (RFC 1982, section 3.2). Of
// two that are half the circle apart neither is older; so says the standard.
func serialBefore(a, b uint32) bool { return a != b && int32(b-a) > 0 }

// slow holds the time that a run took against what is expected.
func (e *DNSExpect) slow(took time.Duration) finding {
	if e.FailAfter > 0 && took > e.FailAfter {
		f := against(SlowTotal, "took %s; expected to fail after %s", took.Round(time.Millisecond), e.FailAfter)
		f.status = Down
		return f
	}
	return slowerThan(e.Within, took)
}

// faults says what is wrong with e; kind is the type asked for, zero when that
// is not known.
func (e *DNSExpect) faults(kind uint16) []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{"expect." + path, fmt.Sprintf(format, args...)})
	}
	if _, known := dns.StringToRcode[strings.ToUpper(e.Rcode)]; !known {
		add("rcode", "%q is not a code of an answer; write one such as NOERROR or NXDOMAIN", clip(e.Rcode, 40))
	}
	for _, list := range []struct {
		path  string
		texts []string
		read  func(string) (string, error)
	}{
		{"answer", e.Answer, func(text string) (string, error) { return canonical(kind, text) }},
		{"answer_contains", e.AnswerContains, func(text string) (string, error) { return canonical(kind, text) }},
		{"authority_contains", e.AuthorityContains, canonicalWhole},
		{"additional_contains", e.AdditionalContains, canonicalWhole},
	} {
		for i, text := range list.texts {
			if _, err := list.read(text); err != nil && kind != 0 {
				add(fmt.Sprintf("%s[%d]", list.path, i), "%v", err)
			}
		}
	}
	switch {
	case e.MinAnswers < 0:
		add("min_answers", "is negative; write a number from 0")
	case e.MaxAnswers < 0:
		add("max_answers", "is negative; write a number from 1, or 0 for any")
	case e.MaxAnswers > 0 && e.MaxAnswers < e.MinAnswers:
		add("max_answers", "is %d and less than min_answers, %d; write at least that", e.MaxAnswers, e.MinAnswers)
	}
	if e.MaxSize < 0 || e.MaxSize > maxMessage {
		add("max_size", "is %d; write a number of bytes from 1 to %d, or 0 for any", e.MaxSize, maxMessage)
	}
	return append(faults, e.timeFaults()...)
}

func (e *DNSExpect) timeFaults() []Fault {
	faults := durationFaults("expect.ttl.min", e.TTL.Min)
	faults = append(faults, durationFaults("expect.ttl.max", e.TTL.Max)...)
	if e.TTL.Max > 0 && e.TTL.Max < e.TTL.Min {
		faults = append(faults, Fault{"expect.ttl.max", fmt.Sprintf("is %s and less than min, %s; write at least that", e.TTL.Max, e.TTL.Min)})
	}
	faults = append(faults, durationFaults("expect.within", e.Within)...)
	faults = append(faults, durationFaults("expect.fail_after", e.FailAfter)...)
	if e.FailAfter > 0 && e.FailAfter < e.Within {
		faults = append(faults, Fault{"expect.fail_after", fmt.Sprintf("is %s and less than within, %s; write at least that", e.FailAfter, e.Within)})
	}
	return faults
}
