package controller

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/scalinglog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// strict is a controller that answers every request as a test says, and counts them by path.
type strict struct {
	mu     sync.Mutex
	came   map[string]int
	tokens map[string]bool
	code   fault.Code
}

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came[r.URL.Path]++
	s.tokens[r.Header.Get("Authorization")] = true
	w := httptest.NewRecorder()
	fault.Write(w, r, fault.New(s.code, "this is for load balancers"))
	return w.Result(), nil
}

func (s *strict) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.came[path]
}

func refusedClient(t *testing.T, code fault.Code) (*strict, *Client, *bearer.Token) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	token := bearer.New(bearer.Options{File: file, Log: slog.New(slog.DiscardHandler)})
	s := &strict{came: map[string]int{}, tokens: map[string]bool{}, code: code}
	c, err := New(Options{
		URL: "http://controller", Identity: "lb", StartedAt: time.Unix(1, 0), Log: slog.New(slog.DiscardHandler),
		Tracer: noop.NewTracerProvider().Tracer(""), Registry: prometheus.NewRegistry(),
		Wrap: func(http.RoundTripper) http.RoundTripper { return token.To("the autoscaler-controller")(s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, token
}

type still struct{ away bool }

func (*still) Apply(routing.Update) []routing.Application { return nil }
func (f *still) ControllerAway(away bool)                 { f.away = away }

// A controller that refuses this balancer is asked with growing pauses by every loop, and counts as away:
// what is known goes on to be used.
func TestRefused_IsNoHotLoopAndCountsAsAway(t *testing.T) {
	for _, code := range []fault.Code{fault.Unauthenticated, fault.Forbidden} {
		synctest.Test(t, func(t *testing.T) {
			s, c, token := refusedClient(t, code)
			ctx, end := context.WithCancel(t.Context())
			var loops sync.WaitGroup
			fleet := &still{}
			counts := applications(1)
			loops.Go(func() { c.FollowRoutes(ctx, fleet, tuning.NewHolder(func(tuning.Settings) {})) })
			loops.Go(func() { c.Report(ctx, counts) })
			loops.Go(func() {
				c.FollowDecisions(ctx, scalinglog.NewPlace[scalinglog.Decision](time.Time{}), func(scalinglog.Decision) bool { return true }, func(time.Time) {})
			})
			loops.Go(func() {
				c.FollowChanges(ctx, scalinglog.NewPlace[scalinglog.Change](time.Time{}), func(scalinglog.Change) bool { return true }, func(time.Time) {})
			})
			loops.Go(func() {
				for ctx.Err() == nil { // many requests wait
					c.ReportSoon()
					time.Sleep(20 * time.Millisecond)
				}
			})
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			end()
			loops.Wait()
			for path, most := range map[string]int{"/v1/routes": 70, "/v1/traffic": 70, "/v1/decisions": 70, "/v1/changes": 70} {
				if n := s.count(path); n < 30 || n > most {
					t.Errorf("%s: %s was asked %d times within ten minutes", code, path, n)
				}
			}
			if len(s.tokens) != 1 || !s.tokens["Bearer mine"] {
				t.Errorf("it came with %v", s.tokens)
			}
			if link := c.Link(); !fleet.away || link.Connected || !strings.Contains(link.LastError, "refuses this load balancer") {
				t.Errorf("away %v, %+v", fleet.away, link)
			}
			if trouble := strings.Join(token.Trouble(), "\n"); strings.Count(trouble, "refuses this service") != 4 || !strings.Contains(trouble, "this is for load balancers") {
				t.Errorf("trouble:\n%s", trouble)
			}
		})
	}
}

// That a load balancer is refused says nothing of the application that somebody waits for.
func TestRefused_AStartIsNoAnswerAboutTheApplication(t *testing.T) {
	for code, definite := range map[fault.Code]bool{fault.Unauthenticated: false, fault.Forbidden: false, fault.NotFound: true, fault.Unavailable: false} {
		_, c, _ := refusedClient(t, code)
		_, err := c.Start(t.Context(), dispatch.StartCall{App: routing.Application{Namespace: "n", Deployment: "d"}})
		if _, is := errors.AsType[*dispatch.RefusedStartError](err); err == nil || is != definite {
			t.Errorf("%s: %v", code, err)
		}
	}
	if pause(&net.OpError{}, 10) > 2*time.Second || pause(errNotLet, 10) < 5*time.Second {
		t.Error("who is away may be back soon, and who refuses will not")
	}
}
