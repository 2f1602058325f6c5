package certificates

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestChoose_TakesTheCertificateOfTheNameAndElseTheFirst(t *testing.T) {
	first := makeFor(t, "ecdsa", time.Hour, "first.example")
	wild := makeFor(t, "ecdsa", time.Hour, "*.shop.example", "shop.example")
	exact := makeFor(t, "ecdsa", time.Hour, "api.other.example")
	b := serve(t, pairOf(t, first), pairOf(t, wild), pairOf(t, exact))
	for name, want := range map[string]made{
		"": first, "first.example": first, "unknown.example": first, "shop.example": wild, "a.shop.example": wild, "A.SHOP.example": wild,
		"a.b.shop.example": first, "api.other.example": exact,
	} {
		if got := b.shown(t, name); got != want.serial {
			t.Errorf("%q: certificate %d, want %d", name, got, want.serial)
		}
	}
}

func TestChoose_TakesTheKindThatTheClientCanVerify(t *testing.T) {
	modern, old := makeFor(t, "ecdsa", time.Hour, "shop.example"), makeFor(t, "rsa", time.Hour, "shop.example")
	b := serve(t, pairOf(t, modern), pairOf(t, old))
	c := b.dial(t, &tls.Config{ServerName: "shop.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})
	if got := c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != old.serial {
		t.Errorf("a client that knows RSA alone is shown %d", got)
	}
	if got := b.shown(t, "shop.example"); got != modern.serial {
		t.Errorf("a client that knows both is shown %d", got)
	}
}

func TestConfig_SpeaksWhatIsSafe(t *testing.T) {
	b := serve(t, pairOf(t, makeFor(t, "ecdsa", time.Hour, "shop.example")))
	for _, c := range []struct {
		offers       []string
		most         uint16
		version      uint16
		protocol     string
		refusedWhole bool
	}{
		{offers: []string{"h2", "http/1.1"}, version: tls.VersionTLS13, protocol: "h2"},
		{offers: []string{"http/1.1", "h2"}, version: tls.VersionTLS13, protocol: "h2"},
		{offers: []string{"http/1.1"}, version: tls.VersionTLS13, protocol: "http/1.1"},
		{version: tls.VersionTLS13},
		{most: tls.VersionTLS12, version: tls.VersionTLS12},
		{most: tls.VersionTLS11, refusedWhole: true},
		{offers: []string{"smtp"}, refusedWhole: true},
	} {
		conn, err := b.try(&tls.Config{NextProtos: c.offers, MinVersion: tls.VersionTLS10, MaxVersion: c.most})
		if c.refusedWhole {
			if err == nil {
				t.Errorf("%+v: taken", c)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if s := conn.ConnectionState(); s.Version != c.version || s.NegotiatedProtocol != c.protocol {
			t.Errorf("%+v: version %x, protocol %q", c, s.Version, s.NegotiatedProtocol)
		}
		_ = conn.Close()
	}
}

func TestReload_FollowsASecretAndDropsNobody(t *testing.T) {
	dir := t.TempDir()
	before, after := makeFor(t, "ecdsa", time.Hour, "shop.example"), makeFor(t, "ecdsa", 2*time.Hour, "shop.example")
	mount(t, dir, before)
	pairs, err := Settings{Dirs: dir}.Pairs()
	if err != nil {
		t.Fatal(err)
	}
	b := serve(t, pairs...)
	cache := tls.NewLRUClientSessionCache(1)
	open := b.dial(t, &tls.Config{ServerName: "shop.example", ClientSessionCache: cache})
	says(t, open, "before") // which also brings the ticket

	b.Reload(now)
	if got := b.shown(t, ""); got != before.serial {
		t.Fatalf("nothing changed, and %d is shown", got)
	}
	mount(t, dir, after)
	b.Reload(now)
	if got := b.shown(t, ""); got != after.serial {
		t.Errorf("after the Secret changed %d is shown, want %d", got, after.serial)
	}
	says(t, open, "after")
	again := b.dial(t, &tls.Config{ServerName: "shop.example", ClientSessionCache: cache})
	if !again.ConnectionState().DidResume {
		t.Error("the session was forgotten with the certificate")
	}
	if got := strings.Count(b.log.String(), "a certificate was read again"); got != 1 {
		t.Errorf("%d lines:\n%s", got, b.log.String())
	}
	b.metric(t, "used", pairs[0], 1)
	if got := testutil.ToFloat64(b.metrics.expiry.WithLabelValues(pairs[0].CertFile)); got != float64(now.Add(2*time.Hour).Unix()) {
		t.Errorf("expiry %v", got)
	}
}

func (b *bench) metric(t *testing.T, result string, p Pair, want float64) {
	t.Helper()
	if got := testutil.ToFloat64(b.metrics.reloads.WithLabelValues(p.CertFile, result)); got != want {
		t.Errorf("%s: %v, want %v", result, got, want)
	}
}

func TestReload_ABrokenPairLeavesTheOneBefore(t *testing.T) {
	good, other := makeFor(t, "ecdsa", time.Hour, "shop.example"), makeFor(t, "ecdsa", time.Hour, "shop.example")
	late := makeFor(t, "ecdsa", -time.Hour, "shop.example")
	for name, c := range map[string]struct {
		spoil func(t *testing.T, p Pair)
		says  string
	}{
		"a key of another certificate": {func(t *testing.T, p Pair) { t.Helper(); write(t, p.KeyFile, other.key) }, "private key does not match public key"},
		"half a file":                  {func(t *testing.T, p Pair) { t.Helper(); write(t, p.CertFile, other.cert[:40]) }, "is not PEM"},
		"an empty file":                {func(t *testing.T, p Pair) { t.Helper(); write(t, p.KeyFile, nil) }, "a.key is empty"},
		"no file": {func(t *testing.T, p Pair) {
			t.Helper()
			if err := os.Remove(p.CertFile); err != nil {
				t.Fatal(err)
			}
		}, "no such file"},
		"one that has ended": {func(t *testing.T, p Pair) { t.Helper(); write(t, p.CertFile, late.cert); write(t, p.KeyFile, late.key) }, "has ended on"},
	} {
		t.Run(name, func(t *testing.T) {
			p, beside := pairOf(t, good), pairOf(t, makeFor(t, "ecdsa", time.Hour, "beside.example"))
			b := serve(t, p, beside)
			c.spoil(t, p)
			newer := makeFor(t, "ecdsa", time.Hour, "beside.example")
			write(t, beside.CertFile, newer.cert)
			write(t, beside.KeyFile, newer.key)
			b.Reload(now)
			b.Reload(now)
			if got := b.shown(t, "shop.example"); got != good.serial {
				t.Errorf("%d is shown", got)
			}
			if got := b.shown(t, "beside.example"); got != newer.serial {
				t.Errorf("the pair beside did not change: %d", got)
			}
			if log := b.log.String(); strings.Count(log, "cannot be used") != 1 || !strings.Contains(log, c.says) {
				t.Errorf("the log should say once that it %q:\n%s", c.says, log)
			}
			b.metric(t, "refused", p, 2)

			write(t, p.CertFile, other.cert)
			write(t, p.KeyFile, other.key)
			b.Reload(now)
			if got := b.shown(t, "shop.example"); got != other.serial {
				t.Errorf("after it was mended %d is shown", got)
			}
		})
	}
}

func TestReload_WarnsAgainWhenAFaultComesBack(t *testing.T) {
	good := makeFor(t, "ecdsa", time.Hour, "shop.example")
	p := pairOf(t, good)
	b := serve(t, p)
	for range 2 {
		write(t, p.KeyFile, nil)
		b.Reload(now)
		write(t, p.KeyFile, good.key)
		b.Reload(now)
	}
	if got := strings.Count(b.log.String(), "cannot be used"); got != 2 {
		t.Errorf("%d warnings:\n%s", got, b.log.String())
	}
}

func TestReload_AnEndedCertificateMayFollowAnEndedOne(t *testing.T) {
	p := pairOf(t, makeFor(t, "ecdsa", -time.Hour, "shop.example"))
	b := serve(t, p)
	if !strings.Contains(b.log.String(), "a certificate has ended") {
		t.Errorf("the log does not warn:\n%s", b.log.String())
	}
	next := makeFor(t, "ecdsa", -time.Minute, "shop.example")
	write(t, p.CertFile, next.cert)
	write(t, p.KeyFile, next.key)
	b.Reload(now)
	if got := b.shown(t, ""); got != next.serial {
		t.Errorf("%d is shown", got)
	}
}

// While a Secret is set anew again and again, no reader sees the certificate of one version with the
// key of another, and no handshake fails.
func TestReload_UnderHandshakes(t *testing.T) {
	dir := t.TempDir()
	versions := []made{makeFor(t, "ecdsa", time.Hour, "a.example"), makeFor(t, "ecdsa", time.Hour, "a.example")}
	mount(t, dir, versions[0])
	pairs, err := Settings{Dirs: dir}.Pairs()
	if err != nil {
		t.Fatal(err)
	}
	b := serve(t, pairs...)
	var over atomic.Bool
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for !over.Load() {
				c, err := b.try(&tls.Config{})
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.Close()
			}
		})
	}
	for i := range 20 {
		mount(t, dir, versions[(i+1)%2])
		b.Reload(now)
	}
	over.Store(true)
	clients.Wait()
	b.metric(t, "refused", pairs[0], 0)
	b.metric(t, "used", pairs[0], 20)
}

func TestRun_LooksEveryFewSecondsUntilItEnds(t *testing.T) {
	p := pairOf(t, makeFor(t, "ecdsa", time.Hour, "shop.example"))
	next := makeFor(t, "ecdsa", 24*365*100*time.Hour, "shop.example")
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		s, err := Load([]Pair{p}, time.Now(), slog.New(slog.DiscardHandler), registry)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		write(t, p.CertFile, next.cert)
		write(t, p.KeyFile, next.key)
		time.Sleep(every + time.Second)
		synctest.Wait()
		if got := (*s.current.Load())[0].Leaf.SerialNumber.Int64(); got != next.serial {
			t.Errorf("certificate %d is in use, want %d", got, next.serial)
		}
		cancel()
		<-ended
	})
}
