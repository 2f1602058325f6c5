package app_test

import (
	"context"
	"flag"
	"io"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testmetrics"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

var update = flag.Bool("update", false, "write METRICS.md")

// A load balancer with all that can be on, after a wake-up, so that there is a series of everything that is
// measured by application.
func TestMetrics_AreThoseOfThePage(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fibonacci", pod(t, says("1")), func(r *autoscaler.Route) {
		r.ContainerConcurrency = 1 // slots are lent
	})
	s, err := app.Load([]string{
		"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-controller-url", server.URL, "-identity", "lb", "-lame-duck", "0s",
		"-log-spool-dir", t.TempDir(), "-tls-listen", "127.0.0.1:0", "-tls-cert-dirs", certificateFor(t, "fib.example"), "-proxy-protocol", "accept",
		"-trusted-proxies", "127.0.0.1/32", "-peer-listen", "127.0.0.1:0", "-peer-host", "127.0.0.1", "-elasticsearch-url", "http://" + unused, "-authentication", "optional",
	}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.Encryption.ClearText = true
	a, err := app.New(t.Context(), s, testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	testwait.Until(t, "ready", func() bool {
		r, err := http.Get("http://" + a.AdminAddr().String() + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	if r, body := get(t, client(t), "http://"+a.DataAddr().String()+"/fibonacci/1"); r.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", r.StatusCode, body)
	}
	testwait.Until(t, "the wake-up and its request are counted", func() bool {
		families, err := a.Registry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		counted := 0
		for _, f := range families {
			if name := f.GetName(); name == "nemesis_lb_wakeup_duration_seconds" || name == "nemesis_lb_request_duration_seconds" || name == "nemesis_lb_in_flight" {
				counted++
			}
		}
		return counted == 3
	})
	testmetrics.Check(t, filepath.Join("..", "..", "METRICS.md"), *update, testmetrics.Program{
		Name: "load-balancer", Registry: a.Registry(),
		Types: map[string]string{"nemesis_lb_slots_lent": "gauge", "nemesis_lb_slots_lender": "gauge"}, // they need a second load balancer
	})
}
