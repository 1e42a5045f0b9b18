package checks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of fetching a list of revoked certificates.
const (
	maxList       = 8 << 20
	maxListWait   = 5 * time.Second
	maxListHops   = 3
	maxPoints     = 3           // addresses of lists that a certificate names
	keepList      = time.Hour   // at most; a list often says that it is good for a week
	keepListError = time.Minute // a list that could not be had is not asked for again at once
)

// revocationLists remembers what lists say of the certificates that name them.
type revocationLists struct {
	mu    sync.Mutex // protects known
	known map[[sha256.Size]byte]heard
}

// heard is what a list says of one certificate, and until when that counts.
type heard struct {
	listing
	till time.Time
}

// maxHeard is how many certificates are remembered; a check sees as many as its
// name has addresses.
const maxHeard = 16

// listing is what a list says of one certificate.
type listing struct {
	revoked string // when and why; empty when it is not on the list
	err     error  // why no list could be had or used
}

// Words for the facts.
const (
	listGood        = "good"
	listRevoked     = "revoked"
	listNone        = "none" // the certificate names no list
	listUnavailable = "unavailable"
)

var errNoList = errors.New("the certificate names no list of revoked certificates that is had over HTTP")

// lookUp says whether the first certificate of a chain is on the list that it
// names. The list is fetched if it is not known.
func (l *revocationLists) lookUp(ctx context.Context, env *Env, chain []*x509.Certificate, now time.Time) listing {
	key := sha256.Sum256(chain[0].Raw)
	l.mu.Lock()
	h, known := l.known[key]
	l.mu.Unlock()
	if known && now.Before(h.till) {
		return h.listing
	}
	h = ask(ctx, env, chain[0], chain[1], now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= maxHeard {
		l.known = map[[sha256.Size]byte]heard{}
	}
	l.known[key] = h
	return h.listing
}

// ask fetches the first list of those that leaf names that can be used.
func ask(ctx context.Context, env *Env, leaf, issuer *x509.Certificate, now time.Time) heard {
	h := heard{listing{err: errNoList}, now.Add(keepListError)}
	for _, address := range leaf.CRLDistributionPoints[:min(len(leaf.CRLDistributionPoints), maxPoints)] {
		if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
			continue
		}
		data, err := env.fetchList(ctx, address)
		if err != nil {
			h.err = fmt.Errorf("fetching %s: %w", clip(address, 200), err)
			continue
		}
		says, until, err := readList(data, leaf, issuer, now)
		if err != nil {
			h.err = fmt.Errorf("reading %s: %w", clip(address, 200), err)
			continue
		}
		if most := now.Add(keepList); until.After(most) {
			until = most
		}
		return heard{says, until}
	}
	return h
}

// fetchList gets a list over HTTP, from where the prober may go.
func (e *Env) fetchList(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, maxListWait)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, _, place string) (net.Conn, error) {
			host, text, err := net.SplitHostPort(place)
			if err != nil {
				return nil, err
			}
			port, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				return nil, err
			}
			addrs, _, err := e.locate(ctx, familyAny, host)
			if err != nil {
				return nil, err
			}
			return e.connect(ctx, addrs, uint16(port))
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > maxListHops {
			return errors.New("it redirects too often")
		}
		return nil
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the address, which the caller names
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the status is %s", statusText(resp.StatusCode))
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxList+1))
	if err == nil && len(data) > maxList {
		err = fmt.Errorf("it has more than %d MiB", maxList>>20)
	}
	return data, err
}

// Extensions of lists (RFC 5280, section 5.2).
var (
	deltaIndicator = asn1.ObjectIdentifier{2, 5, 29, 27}
	issuingPoint   = asn1.ObjectIdentifier{2, 5, 29, 28}
	listNumber     = asn1.ObjectIdentifier{2, 5, 29, 20}
	authorityKey   = asn1.ObjectIdentifier{2, 5, 29, 35}
	certIssuer     = asn1.ObjectIdentifier{2, 5, 29, 29}
)

// readList reads a list of the issuer and says what it says of leaf, and until
// when. Lists of changes (delta), lists for other authorities (indirect) and
// lists of some reasons alone are not used: they cannot say that a certificate
// is good.
func readList(data []byte, leaf, issuer *x509.Certificate, now time.Time) (listing, time.Time, error) {
	list, err := x509.ParseRevocationList(data)
	if err != nil {
		return listing{}, time.Time{}, errors.New("it is no list of revoked certificates in DER")
	}
	switch {
	case !bytes.Equal(list.RawIssuer, issuer.RawSubject):
		return listing{}, time.Time{}, fmt.Errorf("it is of %s", clip(list.Issuer.String(), 200))
	case list.CheckSignatureFrom(issuer) != nil:
		return listing{}, time.Time{}, errors.New("its signature is not the issuer's")
	case list.ThisUpdate.After(now.Add(clockSlack)):
		return listing{}, time.Time{}, fmt.Errorf("it is valid from %s", list.ThisUpdate.UTC().Format(time.RFC3339))
	case list.NextUpdate.IsZero() || now.After(list.NextUpdate):
		return listing{}, time.Time{}, fmt.Errorf("it was valid until %s", list.NextUpdate.UTC().Format(time.RFC3339))
	}
	for _, extension := range list.Extensions {
		switch id := extension.Id; {
		case id.Equal(deltaIndicator):
			return listing{}, time.Time{}, errors.New("it is a list of changes (delta), which nines does not read")
		case id.Equal(issuingPoint):
			if err := coversAll(extension.Value, leaf); err != nil {
				return listing{}, time.Time{}, err
			}
		case extension.Critical && !id.Equal(listNumber) && !id.Equal(authorityKey):
			return listing{}, time.Time{}, fmt.Errorf("it has the extension %v, which nines does not read", id)
		}
	}
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(leaf.SerialNumber) != 0 {
			continue
		}
		const removeFromCRL = 8 // of delta lists
		for _, extension := range entry.Extensions {
			if extension.Id.Equal(certIssuer) {
				return listing{}, time.Time{}, errors.New("it lists certificates of other authorities (indirect), which nines does not read")
			}
		}
		if entry.ReasonCode != removeFromCRL {
			return listing{revoked: fmt.Sprintf("on %s, %s", entry.RevocationTime.UTC().Format(time.RFC3339), revocationReason(entry.ReasonCode))}, list.NextUpdate, nil
		}
	}
	return listing{}, list.NextUpdate, nil
}

// coversAll reads what a list says it covers (IssuingDistributionPoint, RFC
// 5280, section 5.2.5) and returns nil when that is all that can be said of
// leaf: large authorities divide their lists.
func coversAll(der []byte, leaf *x509.Certificate) error {
	var scope struct {
		Point struct {
			FullName []asn1.RawValue `asn1:"optional,tag:0"`
			Relative asn1.RawValue   `asn1:"optional,tag:1"`
		} `asn1:"optional,tag:0"`
		OnlyUsers       bool           `asn1:"optional,tag:1"`
		OnlyAuthorities bool           `asn1:"optional,tag:2"`
		OnlyReasons     asn1.BitString `asn1:"optional,tag:3"`
		Indirect        bool           `asn1:"optional,tag:4"`
		OnlyAttributes  bool           `asn1:"optional,tag:5"`
	}
	rest, err := asn1.Unmarshal(der, &scope)
	switch {
	case err != nil || len(rest) > 0:
		return errors.New("what it covers cannot be read")
	case scope.Indirect:
		return errors.New("it lists certificates of other authorities (indirect), which nines does not read")
	case scope.OnlyReasons.BitLength > 0:
		return errors.New("it lists some reasons alone, which nines does not read")
	case scope.OnlyAttributes, scope.OnlyAuthorities && !leaf.IsCA, scope.OnlyUsers && leaf.IsCA:
		return errors.New("it does not cover such certificates")
	case len(scope.Point.Relative.FullBytes) > 0:
		return errors.New("it is for a place that nines does not read")
	}
	const uri = 6 // of a GeneralName
	named := false
	for _, name := range scope.Point.FullName {
		if name.Tag == uri {
			named = true
			if slices.Contains(leaf.CRLDistributionPoints, string(name.Bytes)) {
				return nil
			}
		}
	}
	if named {
		return errors.New("it covers other certificates of the same authority")
	}
	return nil
}
