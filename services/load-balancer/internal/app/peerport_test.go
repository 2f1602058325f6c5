package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/peers"
	"github.com/nemesis-scaling/nemesis/pkg/testtokens"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// peerAddress starts the load balancer lb-a, and waits until the controller knows where others reach it.
func peerAddress(t *testing.T, g *guards, url string, change func(*app.Settings)) (address string) {
	t.Helper()
	g.names = true
	boot(t, url, func(s *app.Settings) {
		s.Identity, s.PeerListen, s.PeerHost = "lb-a", "127.0.0.1:0", "127.0.0.1"
		change(s)
	})
	testwait.Until(t, "its address is reported", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		if a := g.members["lb-a"].Address; a != nil {
			address = *a
		}
		return address != ""
	})
	return address
}

func TestPeerPort_TakesTheWordOfLoadBalancersEachForItself(t *testing.T) {
	const ns, account = "nemesis-system", "load-balancer"
	g, url := newGuards(t)
	g.edit(func(map[autoscaler.ApplicationKey]autoscaler.Route) {})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(g.issuer.Token(t, ns, account, "lb-a")), 0o600); err != nil {
		t.Fatal(err)
	}
	g.gone = g.issuer.Token(t, ns, account, "lb-gone")
	listen := peerAddress(t, g, url, func(s *app.Settings) { s.Identities.Authentication, s.Identities.TokenFile = "required", file })
	now := time.Now()
	message := func(from string) string {
		text, err := json.Marshal(peers.SlotsExchange{
			From: peers.Balancer{Name: from, StartedAt: now, Address: "127.0.0.1:1"}, To: peers.BalancerId{Name: "lb-a"}, Applications: []peers.ApplicationSlots{},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	other := g.issuer.Token(t, ns, account, "lb-b")
	// To whom it is said stands in a message, and this one is for an earlier life: a 409 is beyond the guard.
	testwait.Until(t, "the keys are known", func() bool {
		status, _ := call(t, "POST", "http://"+listen+"/v1/slots", other, message("lb-b"))
		return status == http.StatusConflict
	})
	expired := g.issuer.Token(t, ns, account, "lb-b", func(c map[string]any) { c["exp"] = now.Add(-time.Hour).Unix() })
	audience := g.issuer.Token(t, ns, account, "lb-b", func(c map[string]any) { c["aud"] = []string{testtokens.Name} })
	for name, c := range map[string]struct {
		token, from string
		status      int
		says        string
	}{
		"itself":                   {other, "lb-b", 409, "lb-a"},
		"gone":                     {g.gone, "lb-gone", 401, "does not take this token any more: the API server does not know it"},
		"another pod":              {other, "lb-c", 403, "speaks for itself alone"},
		"nobody":                   {"", "lb-b", 401, "send a token"},
		"expired":                  {expired, "lb-b", 401, "expired"},
		"another audience":         {audience, "lb-b", 401, "must be for nemesis"},
		"another account":          {g.issuer.Token(t, ns, "default", "lb-b"), "lb-b", 403, "no load balancer's service account"},
		"the name of it elsewhere": {g.issuer.Token(t, "shop", account, "lb-b"), "lb-b", 403, "no load balancer's service account"},
		"no pod":                   {g.issuer.Token(t, ns, account, ""), "lb-b", 403, "its token is not a pod's"},
		"another issuer's":         {testtokens.New(t).Token(t, ns, account, "lb-b"), "lb-b", 401, "signature"},
		"a person":                 {"admin", "lb-b", 401, "not a signed JSON Web Token"},
	} {
		if status, body := call(t, "POST", "http://"+listen+"/v1/slots", c.token, message(c.from)); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s, want %d", name, status, body, c.status)
		}
	}
}

func TestPeerPort_Optional(t *testing.T) {
	g, url := newGuards(t)
	g.edit(func(map[autoscaler.ApplicationKey]autoscaler.Route) {})
	listen := peerAddress(t, g, url, func(*app.Settings) {})
	body := `{"from":{"name":"lb-b","startedAt":"2026-01-01T00:00:00Z","address":"127.0.0.1:1"},"to":{"name":"lb-a","startedAt":"2026-01-01T00:00:00Z"},"applications":[]}`
	for token, want := range map[string]int{"": 409, "nonsense": 401} {
		testwait.Until(t, "the keys are known", func() bool {
			status, _ := call(t, "POST", "http://"+listen+"/v1/slots", token, body)
			return status == want
		})
	}
}

// Two that limit a pod together, each with a token of its own and as strict as they are made.
func TestPeerPort_SlotsAreLentAmongThoseWhoSayWhoTheyAre(t *testing.T) {
	g, url := newGuards(t)
	g.names = true
	sleeper(g.fakeController, "fib", "/fib", pod(t, says("1")), func(r *autoscaler.Route) { r.ContainerConcurrency = 1 })
	var all []*balancer
	for _, name := range []string{"lb-a", "lb-b"} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(g.issuer.Token(t, "nemesis-system", "load-balancer", name)), 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, boot(t, url, func(s *app.Settings) {
			s.Identity, s.PeerListen, s.PeerHost = name, "127.0.0.1:0", "127.0.0.1"
			s.Identities.Authentication, s.Identities.TokenFile, s.Identities.OpenMetrics = "required", file, true
		}))
	}
	for range 3 {
		for _, b := range all {
			if r, body := get(t, client(t), b.url+"/fib/"); r.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", r.StatusCode, body)
			}
		}
	}
	testwait.Until(t, "they talk to each other", func() bool {
		var pages string
		for _, b := range all {
			_, page := get(t, client(t), b.admin+"/metrics")
			pages += page
		}
		return strings.Contains(pages, `nemesis_lb_peer_exchanges_total{result="ok"}`) && strings.Contains(pages, `nemesis_lb_peer_tokens_total{outcome="verified"}`)
	})
	for _, b := range all {
		if _, body := call(t, "GET", b.admin+"/readyz", "", ""); strings.Contains(body, "refuses") {
			t.Errorf("one refuses the other: %s", body)
		}
	}
}
