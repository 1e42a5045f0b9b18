package checkstest

import (
	"crypto"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Signed is a name server on loopback for the zone test., which is signed with
// one key: www.test. has two addresses, alias.test. is another name for it, and
// plain.test. is delegated without a DS, with www.plain.test. unsigned below it.
// Every other name is proved not to exist.
type Signed struct {
	servers []*dns.Server
	addr    string
	serving sync.WaitGroup
	key     *dns.DNSKEY
	private crypto.Signer

	mu         sync.Mutex // protects following
	begin, end time.Time
	spoil      func(*dns.Msg)
	asked      int
	unmarked   int
}

// NewSigned starts a server on a free port of 127.0.0.1. Its signatures began a
// week ago and end in a week.
func NewSigned() (*Signed, error) {
	s := &Signed{begin: time.Now().Add(-7 * 24 * time.Hour), end: time.Now().Add(7 * 24 * time.Hour)}
	s.key = &dns.DNSKEY{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	private, err := s.key.Generate(256)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	s.private = private.(crypto.Signer)
	for range 20 { // until a port is free for both
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		datagrams, err := net.ListenPacket("udp", stream.Addr().String())
		if err != nil {
			stream.Close()
			continue
		}
		s.addr = stream.Addr().String()
		s.start(&dns.Server{Listener: stream, Handler: s})
		s.start(&dns.Server{PacketConn: datagrams, Handler: s})
		return s, nil
	}
	return nil, errors.New("finding a port for UDP and TCP: none is free")
}

func (s *Signed) start(server *dns.Server) {
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	s.servers = append(s.servers, server)
	s.serving.Go(func() { server.ActivateAndServe() })
	<-started
}

// Close ends the server.
func (s *Signed) Close() error {
	var err error
	for _, server := range s.servers {
		err = errors.Join(err, server.Shutdown())
	}
	s.serving.Wait()
	return err
}

// Addr returns host:port, the same for UDP and TCP.
func (s *Signed) Addr() string { return s.addr }

// Key returns the zone's key.
func (s *Signed) Key() *dns.DNSKEY { return s.key }

// Span sets when the signatures of later answers begin and end; a zero time
// leaves what there was.
func (s *Signed) Span(begin, end time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !begin.IsZero() {
		s.begin = begin
	}
	if !end.IsZero() {
		s.end = end
	}
}

// End returns when the signatures end.
func (s *Signed) End() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// Spoil has every later answer changed before it is sent; nil sends them as
// they are. Answers may be spoilt at the same time.
func (s *Signed) Spoil(spoil func(*dns.Msg)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil = spoil
}

// Asked returns how many questions have come, and how many of them lacked DO
// or CD.
func (s *Signed) Asked() (all, unmarked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.unmarked
}

// ServeDNS answers one question.
func (s *Signed) ServeDNS(w dns.ResponseWriter, asked *dns.Msg) {
	s.mu.Lock()
	s.asked++
	if edns := asked.IsEdns0(); edns == nil || !edns.Do() || !asked.CheckingDisabled {
		s.unmarked++
	}
	spoil := s.spoil
	s.mu.Unlock()
	msg := new(dns.Msg).SetReply(asked)
	msg.Compress = true
	if err := s.answer(msg); err != nil {
		msg.Rcode = dns.RcodeServerFailure
	}
	if spoil != nil {
		spoil(msg)
	}
	w.WriteMsg(msg)
}

const signedSOA = "test. 60 IN SOA ns.test. root.test. 1 2 3 4 60"

// answer fills in what the zone has.
func (s *Signed) answer(msg *dns.Msg) (err error) {
	add := func(section *[]dns.RR, texts ...string) {
		set, failed := s.records(texts...)
		*section, err = append(*section, set...), errors.Join(err, failed)
	}
	switch q := msg.Question[0]; strings.ToLower(q.Name) + dns.Type(q.Qtype).String() {
	case "test.DNSKEY":
		msg.Answer, err = s.sign(s.key)
	case "test.SOA":
		add(&msg.Answer, signedSOA)
	case "alias.test.A":
		add(&msg.Answer, "alias.test. 60 IN CNAME www.test.")
		fallthrough
	case "www.test.A":
		add(&msg.Answer, "www.test. 60 IN A 192.0.2.1", "www.test. 60 IN A 192.0.2.2")
	case "www.test.AAAA":
		add(&msg.Ns, signedSOA)
		add(&msg.Ns, "www.test. 60 IN NSEC test. A RRSIG NSEC")
	case "plain.test.DS":
		add(&msg.Ns, signedSOA)
		add(&msg.Ns, "plain.test. 60 IN NSEC www.test. NS RRSIG NSEC")
	case "www.plain.test.A":
		var rr dns.RR
		rr, err = dns.NewRR("www.plain.test. 60 IN A 192.0.2.3")
		msg.Answer = []dns.RR{rr}
	default:
		msg.Rcode = dns.RcodeNameError
		add(&msg.Ns, signedSOA)
		add(&msg.Ns, "test. 60 IN NSEC alias.test. SOA RRSIG NSEC DNSKEY")
		add(&msg.Ns, "alias.test. 60 IN NSEC plain.test. CNAME RRSIG NSEC")
		add(&msg.Ns, "plain.test. 60 IN NSEC www.test. NS RRSIG NSEC")
		add(&msg.Ns, "www.test. 60 IN NSEC test. A RRSIG NSEC")
	}
	return err
}

// records returns a record set with its signature.
func (s *Signed) records(texts ...string) ([]dns.RR, error) {
	var set []dns.RR
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			return nil, err
		}
		set = append(set, rr)
	}
	return s.sign(set...)
}

func (s *Signed) sign(set ...dns.RR) ([]dns.RR, error) {
	s.mu.Lock()
	begin, end := s.begin, s.end
	s.mu.Unlock()
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Ttl: 60}, Algorithm: s.key.Algorithm, KeyTag: s.key.KeyTag(), SignerName: "test.",
		Inception: uint32(begin.Unix()), Expiration: uint32(end.Unix())}
	err := sig.Sign(s.private, set)
	return append(set, sig), err
}
