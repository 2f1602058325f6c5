package encryption

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/pkg/testauthority"
)

var discard = slog.New(slog.DiscardHandler)

// files writes a certificate as cert-manager's Secret has it.
func files(t *testing.T, a *testauthority.Authority, s *Settings, names ...string) {
	t.Helper()
	pair := a.Issue(names...)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	a.Write(s.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	a.Write(s.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

func given(t *testing.T) *Settings {
	t.Helper()
	folder := t.TempDir()
	return &Settings{CertFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key")}
}

func TestCertificate_AtFirstIsOneThatNobodyTrusts(t *testing.T) {
	c, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if !c.Provisional() || c.Trouble() != nil {
		t.Error(c.Trouble())
	}
	if _, err := c.Leaf().Verify(x509.VerifyOptions{Roots: x509.NewCertPool()}); err == nil {
		t.Error("it is trusted")
	}
	shown, err := c.Get(nil)
	if err != nil || shown.Leaf.Subject.CommonName != "provisional: no certificate yet" {
		t.Error(shown, err)
	}
	c.fault(errors.New("the controller is away"))
	if got := c.Trouble(); len(got) != 1 || !strings.Contains(got[0], "no certificate yet") || !strings.Contains(got[0], "the controller is away") {
		t.Error(got)
	}
}

// issuer issues in virtual time.
type issuer struct {
	t         *testing.T
	authority *testauthority.Authority
	issued    atomic.Int64
	fails     atomic.Int64 // so often, first
	lost      atomic.Bool  // what was issued is trusted no longer
}

func (i *issuer) Issue(context.Context) (*tls.Certificate, error) {
	if i.fails.Add(-1) >= 0 {
		return nil, errors.New("the controller is away")
	}
	i.issued.Add(1)
	return i.authority.Issue("x"), nil
}

func (i *issuer) Trusted(*x509.Certificate) bool { return !i.lost.Swap(false) }

func TestCertificate_IsRenewedWhenTwoThirdsOfItsTimeAreOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &issuer{t: t, authority: testauthority.New(t)}
		c, err := NewCertificate()
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go c.Keep(ctx, discard, from)
		synctest.Wait()
		first := c.Leaf()
		if c.Provisional() || from.issued.Load() != 1 {
			t.Error("it was not issued at once")
		}
		time.Sleep(14 * time.Hour)
		synctest.Wait()
		if c.Leaf() != first {
			t.Error("it was renewed too soon")
		}
		time.Sleep(150 * time.Minute) // 16.5 hours in all: two thirds, less what is left to chance, are past
		synctest.Wait()
		if from.issued.Load() != 2 || c.Leaf() == first {
			t.Errorf("issued %d times", from.issued.Load())
		}
		from.fails.Store(4)
		time.Sleep(17 * time.Hour)
		synctest.Wait()
		if from.issued.Load() != 3 || c.Trouble() != nil {
			t.Errorf("issued %d times, %v", from.issued.Load(), c.Trouble())
		}
		stop()
	})
}

func TestCertificate_IsAskedForAgainUntilItIsIssuedAndWhenItIsTrustedNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &issuer{t: t, authority: testauthority.New(t)}
		from.fails.Store(1 << 40)
		c, err := NewCertificate()
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go c.Keep(ctx, discard, from)
		time.Sleep(time.Hour)
		synctest.Wait()
		if tries := 1<<40 - from.fails.Load(); tries < 90 || tries > 250 || !c.Provisional() || len(c.Trouble()) != 1 {
			t.Errorf("%d tries in an hour, trouble %v", tries, c.Trouble())
		}
		from.fails.Store(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.Provisional() || c.Trouble() != nil {
			t.Error(c.Trouble())
		}
		from.lost.Store(true)
		time.Sleep(lookEvery + time.Second)
		synctest.Wait()
		if from.issued.Load() != 2 {
			t.Errorf("issued %d times", from.issued.Load())
		}
		stop()
	})
}

func TestCertificate_OfFilesIsReadAgainAsTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := testauthority.New(t), given(t)
		files(t, a, s, "one")
		c, err := NewCertificate()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Load(&Settings{}), c.Load(s), s.Validate()); err != nil || c.Leaf().DNSNames[0] != "one" {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go c.Follow(ctx, discard, s)
		wait := func() { time.Sleep(lookEvery + time.Second); synctest.Wait() }
		files(t, a, s, "two")
		if wait(); c.Leaf().DNSNames[0] != "two" || c.Trouble() != nil {
			t.Error(c.Leaf().DNSNames, c.Trouble())
		}
		for _, wrong := range []string{"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
			a.Write(s.CertFile, []byte(wrong))
			if wait(); c.Leaf().DNSNames[0] != "two" || len(c.Trouble()) != 1 || !strings.Contains(c.Trouble()[0], "service-cert-file") {
				t.Errorf("%q: %v %v", wrong, c.Leaf().DNSNames, c.Trouble())
			}
		}
		files(t, a, s, "three")
		if wait(); c.Leaf().DNSNames[0] != "three" || c.Trouble() != nil {
			t.Error(c.Leaf().DNSNames, c.Trouble())
		}
		stop()
	})
}

func TestSettings_NameWhatCannotBeUsed(t *testing.T) {
	a, s := testauthority.New(t), given(t)
	files(t, a, s, "one")
	other := given(t)
	files(t, a, other, "other")
	folder := t.TempDir()
	for want, s := range map[string]Settings{
		"service-key-file: \"\" is not allowed":  {CertFile: s.CertFile},
		"service-cert-file: \"\" is not allowed": {KeyFile: s.KeyFile},
		"no such file":                           {CertFile: filepath.Join(folder, "x"), KeyFile: s.KeyFile},
		"service-key-file: " + folder:            {CertFile: s.CertFile, KeyFile: folder},
		"private key does not match":             {CertFile: s.CertFile, KeyFile: other.KeyFile},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := (&Settings{}).Validate(); err != nil {
		t.Error(err)
	}
	var out Settings
	set := settings.New("x", "NEMESIS_", io.Discard)
	out.Declare(set)
	if err := set.Load(nil, []string{"NEMESIS_CLEAR_TEXT=true"}); err != nil || !out.ClearText || out.CAFile != DefaultCAFile || out.Given() {
		t.Errorf("%+v %v", out, err)
	}
	if got := out.Trouble("https://a", "http://b:1"); len(got) != 2 || !strings.Contains(got[1], "http://b:1") {
		t.Error(got)
	}
	if got := (&Settings{}).Trouble("https://a"); got != nil {
		t.Error(got)
	}
}

// called is a server and a client that trusts what is in a file.
func called(t *testing.T, s *Settings, cert *tls.Certificate) (url string, call func() (*tls.ConnectionState, error), a *Authorities) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = slog.NewLogLogger(discard.Handler(), slog.LevelDebug)
	if cert == nil {
		server.Start()
	} else {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS13}
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	a = s.NewAuthorities()
	transport := &http.Transport{DialTLSContext: a.DialTLS((&net.Dialer{}).DialContext, 10*time.Second), DisableKeepAlives: true}
	url = "https://" + server.Listener.Addr().String()
	return url, func() (*tls.ConnectionState, error) {
		answer, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			return nil, err
		}
		return answer.TLS, answer.Body.Close()
	}, a
}

func TestAuthorities_VerifyByTheFileAsItIsNow(t *testing.T) {
	right, other := testauthority.New(t), testauthority.New(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	_, call, a := called(t, &Settings{CAFile: file}, right.Issue())
	if _, err := call(); err == nil || !strings.Contains(err.Error(), "ConfigMap nemesis-ca") || a.Missing() == "" {
		t.Error("without the file:", err)
	}
	right.Write(file, []byte("no PEM"))
	if _, err := call(); err == nil || !strings.Contains(err.Error(), "has no certificate (PEM)") {
		t.Error("with another content:", err)
	}
	right.Write(file, right.Bundle())
	for i, resumed := range []bool{false, true} {
		if state, err := call(); err != nil || state == nil || state.DidResume != resumed {
			t.Errorf("call %d: %+v, %v", i, state, err)
		}
	}
	if !a.Trusts(right.Issue().Leaf) || a.Trusts(other.Issue().Leaf) || a.Missing() != "" {
		t.Error("what is trusted")
	}
	later := func() { a.mu.Lock(); a.looked = a.looked.Add(-lookEvery); a.mu.Unlock() }
	for _, broken := range []string{"", "no PEM"} {
		right.Write(file, []byte(broken))
		if later(); true {
			if _, err := call(); err != nil {
				t.Errorf("%q: what was read before is trusted: %v", broken, err)
			}
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if later(); a.Missing() != "" {
		t.Error("the file is away for a moment")
	}
	right.Write(file, other.Bundle())
	later()
	if _, err := call(); err == nil {
		t.Error("the authority of before is trusted, or its session is resumed")
	}
	if a.ClearText() != 0 {
		t.Error("in clear text")
	}
}

func TestAuthorities_ClearTextIsSpokenWhereTheOtherSpeaksNoTLSAndItIsWanted(t *testing.T) {
	authority := testauthority.New(t)
	for _, c := range []struct {
		name      string
		s         Settings
		cert      *tls.Certificate
		err       string
		clearText int64
	}{
		{"the other speaks none", Settings{CAFile: authority.File, ClearText: true}, nil, "", 1},
		{"the other speaks none, and must", Settings{CAFile: authority.File}, nil, "the other side speaks clear text alone", 0},
		{"there are no authorities", Settings{CAFile: "/no/such/file", ClearText: true}, nil, "", 1},
		{"there are no authorities, and must be", Settings{CAFile: "/no/such/file"}, nil, "no such file", 0},
		{"the other cannot be verified", Settings{CAFile: testauthority.New(t).File, ClearText: true}, authority.Issue(), "unknown authority", 0},
		{"the other speaks TLS", Settings{CAFile: authority.File, ClearText: true}, authority.Issue(), "", 0},
		{"the system's authorities do not know ours", Settings{}, authority.Issue(), "certificate", 0},
	} {
		_, call, a := called(t, &c.s, c.cert)
		_, err := call()
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || a.ClearText() != c.clearText {
			t.Errorf("%s: %v, %d in clear text", c.name, err, a.ClearText())
		}
	}
}

func TestRenewAt_IsWhenTwoThirdsAreOver(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	got := RenewAt(&x509.Certificate{NotBefore: begin, NotAfter: begin.Add(24 * time.Hour)})
	if want := begin.Add(16 * time.Hour); !got.Equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
