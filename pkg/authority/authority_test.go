package authority

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

var begin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// renewed renews until there is nothing to do.
func renewed(t *testing.T, s State, now time.Time) (State, []string) {
	t.Helper()
	var did []string
	for range 5 {
		next, what, err := s.Renew(now, Times{})
		if err != nil {
			t.Fatal(err)
		}
		if s = next; what == "" {
			return s, did
		}
		did = append(did, what)
	}
	t.Fatal("there is always something to renew")
	return s, nil
}

// stored is a state that went through its Secret.
func stored(t *testing.T, s State) State {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || !maps.EqualFunc(data, again, bytes.Equal) {
		t.Fatal("what was read is not what was written", err)
	}
	return got
}

func issued(t *testing.T, s State, now time.Time) *x509.Certificate {
	t.Helper()
	key, request, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	public, err := ReadRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := s.Issue(now, Times{}, public, Names{
		Common: "load-balancer-1", DNS: []string{"load-balancer.nemesis-system.svc"}, IPs: []net.IP{net.IPv4(10, 0, 0, 7)},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "nemesis", Path: "/load-balancer/load-balancer-1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := Join(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// verified tells whether who has this bundle takes a certificate.
func verified(bundle []byte, c *x509.Certificate, now time.Time) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	_, err := c.Verify(x509.VerifyOptions{
		Roots: pool, CurrentTime: now, DNSName: "load-balancer.nemesis-system.svc",
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
	return err
}

func TestIssue_ACertificateIsShortLivedAndNamesWhomTheAuthoritySays(t *testing.T) {
	s, _ := renewed(t, State{}, begin)
	c := issued(t, s, begin)
	if err := verified(s.Bundle(), c, begin); err != nil {
		t.Error(err)
	}
	for _, far := range []time.Duration{-backdated - time.Second, LeafLifetime + time.Second} {
		if verified(s.Bundle(), c, begin.Add(far)) == nil {
			t.Errorf("it counts %v from when it was issued", far)
		}
	}
	if c.IsCA || c.Subject.CommonName != "load-balancer-1" || !c.IPAddresses[0].Equal(net.IPv4(10, 0, 0, 7)) ||
		c.URIs[0].String() != "spiffe://nemesis/load-balancer/load-balancer-1" || c.VerifyHostname("10.0.0.7") != nil || c.VerifyHostname("10.0.0.8") == nil {
		t.Errorf("%+v", c)
	}
	if (State{}).Bundle() != nil {
		t.Error("nothing has a bundle")
	}
}

func TestIssue_Refuses(t *testing.T) {
	s, _ := renewed(t, State{}, begin)
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []any{short.Public(), other.Public(), nil} {
		if _, err := s.Issue(begin, Times{}, key, Names{}); err == nil || !strings.Contains(err.Error(), "must be an ECDSA key on P-256") {
			t.Errorf("%T: %v", key, err)
		}
	}
	if _, err := (State{}).Issue(begin, Times{}, good.Public(), Names{}); err == nil {
		t.Error("without a root")
	}
}

// Who looks at the bundle no less often than every day (the kubelet does each minute) never meets a
// certificate that it cannot verify, over three years in which the controller is away now and then.
func TestRenew_NobodyIsEverCutOff(t *testing.T) {
	for _, step := range []time.Duration{11 * time.Hour, 24 * time.Hour} {
		s, did := renewed(t, State{}, begin)
		if len(did) != 1 || did[0] != "the first root was made" {
			t.Fatal(did)
		}
		var events []string
		read, readAt := s.Bundle(), begin
		type leaf struct {
			*x509.Certificate
			until time.Time
		}
		var leaves []leaf
		for now := begin; now.Before(begin.Add(3 * 365 * 24 * time.Hour)); now = now.Add(step) {
			s, did = renewed(t, stored(t, s), now)
			events = append(events, did...)
			if s.Due(Times{}).Before(now) {
				t.Fatalf("%v: something was due at %v", now, s.Due(Times{}))
			}
			c := issued(t, s, now)
			leaves = append(leaves, leaf{c, now.Add(LeafLifetime)})
			leaves = slices.DeleteFunc(leaves, func(l leaf) bool { return !now.Before(l.until) })
			for _, l := range leaves {
				if err := verified(read, l.Certificate, now); err != nil {
					t.Fatalf("%v: who read the bundle at %v: %v", now, readAt, err)
				}
			}
			if now.Sub(readAt) >= 24*time.Hour {
				read, readAt = s.Bundle(), now
			}
		}
		if got := strings.Count(strings.Join(events, "\n"), "the next root signs"); got < 3 || strings.Contains(strings.Join(events, "\n"), "expired") {
			t.Errorf("every %v: %d rotations: %v", step, got, events)
		}
	}
}

func TestRotate_PublishesTheNextRootAndDoesNotSignWithItAtOnce(t *testing.T) {
	if s, err := (State{}).Rotate(begin, Times{}); err != nil || !s.Empty() {
		t.Error("nothing was rotated", err)
	}
	s, _ := renewed(t, State{}, begin)
	before := issued(t, s, begin)
	rotated, err := s.Rotate(begin.Add(time.Hour), Times{})
	if err != nil {
		t.Fatal(err)
	}
	if after := issued(t, rotated, begin.Add(time.Hour)); verified(s.Bundle(), after, begin.Add(time.Hour)) != nil {
		t.Error("who has the bundle of before cannot verify what is issued after")
	}
	if again, err := rotated.Rotate(begin.Add(2*time.Hour), Times{}); err != nil || !bytes.Equal(again.Bundle(), rotated.Bundle()) {
		t.Error("a rotation that is under way is not begun again", err)
	}
	then := begin.Add(time.Hour + publishedFor + backdated)
	signs, did := renewed(t, stored(t, rotated), then)
	if len(did) != 1 || did[0] != "the next root signs from now on" {
		t.Error(did)
	}
	if after := issued(t, signs, then); verified(s.Bundle(), after, then) == nil || verified(rotated.Bundle(), after, then) != nil {
		t.Error("it is not signed by the next root")
	}
	if !signs.Signed(before, begin.Add(time.Hour)) || (State{}).Signed(before, begin) {
		t.Error("what the root before signed is verified by the bundle")
	}
	if gone, _ := renewed(t, signs, then.Add(LeafLifetime+backdated)); gone.Signed(before, begin.Add(time.Hour)) {
		t.Error("the root before is published still")
	}
}

func TestTimes_EverythingIsAPartOfTheLifetimeOfACertificate(t *testing.T) {
	short := Times{Leaf: time.Minute}
	s, what, err := (State{}).Renew(begin, short)
	if err != nil || what == "" {
		t.Fatal(what, err)
	}
	key, _, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := s.Issue(begin, short, key.Public(), Names{})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := Join(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	if got := pair.Leaf.NotAfter.Sub(begin); got != time.Minute {
		t.Error(got)
	}
	if got := s.current.certificate.NotAfter.Sub(begin); got != 365*time.Minute {
		t.Error(got)
	}
	if _, what, err := s.Renew(begin.Add(244*time.Minute), short); err != nil || what != "the next root is published" {
		t.Error(what, err)
	}
	if got := (Times{Leaf: time.Minute, Root: time.Hour}).renewAfter(); got != 40*time.Minute {
		t.Error(got)
	}
}

func TestRenew_AfterAYearOfNothingANewRootSignsAtOnce(t *testing.T) {
	s, _ := renewed(t, State{}, begin)
	now := begin.Add(RootLifetime)
	s, did := renewed(t, stored(t, s), now)
	if len(did) != 1 || !strings.Contains(did[0], "had expired") {
		t.Error(did)
	}
	if err := verified(s.Bundle(), issued(t, s, now), now); err != nil {
		t.Error(err)
	}
}

func TestIssue_NothingOutlivesItsRoot(t *testing.T) {
	s, _ := renewed(t, State{}, begin)
	if c := issued(t, s, begin.Add(RootLifetime-time.Hour)); c.NotAfter.After(begin.Add(RootLifetime)) {
		t.Error(c.NotAfter)
	}
}

func TestDecode_NamesWhatCannotBeUsed(t *testing.T) {
	s, _ := renewed(t, State{}, begin)
	s, _ = renewed(t, s, begin.Add(renewAfter))
	other, _ := renewed(t, State{}, begin)
	good, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.Encode()
	if err != nil {
		t.Fatal(err)
	}
	leaf := encoded("CERTIFICATE", issued(t, s, begin).Raw)
	for _, c := range []struct {
		key, want string
		value     []byte
	}{
		{KeyCertificate, "ca.crt: holds no PEM", []byte("x")},
		{KeyCertificate, "ca.crt: x509", encoded("CERTIFICATE", []byte("x"))},
		{KeyCertificate, "ca.crt: the certificate of \"load-balancer-1\" may sign no others", leaf},
		{keyKey, "ca.key: holds no PEM", nil},
		{keyKey, "ca.key: asn1", encoded("PRIVATE KEY", []byte("x"))},
		{keyKey, "ca.key: is not the key of the certificate in ca.crt", theirs[keyKey]},
		{keyNext, "next.crt: holds no PEM", []byte("x")},
		{keyNextKey, "next.key: holds no PEM", nil},
		{keyPrevious, "previous.crt: holds no PEM", []byte("x")},
		{keySigningSince, `signing-since: "soon" is not allowed`, []byte("soon")},
	} {
		data := maps.Clone(good)
		data[c.key] = c.value
		if _, err := Decode(data); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.key, err, c.want)
		}
	}
	if s, err := Decode(nil); err != nil || s.current.certificate != nil || !s.Due(Times{}).IsZero() {
		t.Error("an empty Secret", err)
	}
}

func TestReadRequest_Refuses(t *testing.T) {
	_, good, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, weak)
	if err != nil {
		t.Fatal(err)
	}
	for want, text := range map[string][]byte{
		"at most 8192":               make([]byte, maxRequest+1),
		"no PEM":                     []byte("x"),
		"the request: ":              encoded("CERTIFICATE REQUEST", []byte("x")),
		"an ECDSA key on P-256":      encoded("CERTIFICATE REQUEST", raw),
		"of a CERTIFICATE REQUEST":   encoded("PRIVATE KEY", nil),
		"is not signed by its own k": forged(t, good),
	} {
		if _, err := ReadRequest(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// forged is a request with the last byte of its signature changed.
func forged(t *testing.T, request []byte) []byte {
	t.Helper()
	block := decoded(t, request)
	block[len(block)-1] ^= 1
	return encoded("CERTIFICATE REQUEST", block)
}

func FuzzReadRequest(f *testing.F) {
	_, good, err := NewRequest()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, text []byte) {
		if key, err := ReadRequest(text); err == nil && key == nil {
			t.Error("no key and no error")
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("x"), []byte("y"))
	f.Fuzz(func(t *testing.T, certificate, key []byte) {
		s, err := Decode(map[string][]byte{KeyCertificate: certificate, keyKey: key})
		if err == nil && len(certificate) > 0 && s.current.key == nil {
			t.Error("a root without a key")
		}
	})
}

func decoded(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("no PEM")
	}
	return block.Bytes
}

func TestObtain_AsksForAKeyOfItsOwn(t *testing.T) {
	s, _ := renewed(t, State{}, begin)
	pair, err := Obtain(t.Context(), func(_ context.Context, request []byte) ([]byte, error) {
		public, err := ReadRequest(request)
		if err != nil {
			return nil, err
		}
		return s.Issue(begin, Times{}, public, Names{Common: "c", DNS: []string{"c.example"}})
	})
	if err != nil || pair.Leaf.VerifyHostname("c.example") != nil {
		t.Errorf("%+v, %v", pair, err)
	}
	away := errors.New("away")
	if _, err := Obtain(t.Context(), func(context.Context, []byte) ([]byte, error) { return nil, away }); !errors.Is(err, away) {
		t.Errorf("nobody answers: %v", err)
	}
	if _, err := Obtain(t.Context(), func(context.Context, []byte) ([]byte, error) { return []byte("none"), nil }); err == nil {
		t.Error("what is no certificate is taken")
	}
}
