package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// guarded is a buffer that is read while others write.
type guarded struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func (g *guarded) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// A NetworkPolicy with another port than the API server's: nothing answers. After ten seconds, and then once a minute, the
// log says which policy that may be and how its port is given.
func TestFirstList_ThatDoesNotComeIsAnErrorThatNamesTheNetworkPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out guarded
		log := slog.New(slog.NewJSONHandler(&out, nil))
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			awaitFirstList(ctx, log, func() string { return "the first list of Deployments" }, "nemesis-system", "https://10.96.0.1:443")
		}()
		time.Sleep(firstListTime - time.Second)
		synctest.Wait()
		if out.String() != "" {
			t.Errorf("too soon: %s", out.String())
		}
		time.Sleep(firstListAgain + 2*time.Second)
		synctest.Wait()
		end()
		<-ended
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("%d lines: %s", len(lines), out.String())
		}
		for _, want := range []string{`"level":"ERROR"`, "NetworkPolicies", "autoscaler-controller in the namespace nemesis-system", "networkPolicy.apiServer.ports", "443 and 6443", "https://10.96.0.1:443", "the first list of"} {
			if !strings.Contains(lines[0], want) {
				t.Errorf("%s lacks %s", lines[0], want)
			}
		}
	})
}
