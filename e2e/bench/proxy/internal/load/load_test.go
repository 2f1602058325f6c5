package load

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/loop"
)

const short = 50 * time.Millisecond

func start(t *testing.T) *backend.Backend {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	b, err := backend.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end()
		<-b.Ended()
	})
	return b
}

func TestRun_CountsAnswersBetweenBeginAndEnd(t *testing.T) {
	for name, plan := range map[string]Plan{
		"closed, small": {Connections: 4, Request: Post("/echo")},
		"closed, large": {Connections: 4, Request: Get("/large")},
		"open":          {Connections: 4, Request: Post("/echo"), Rate: 500},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			var from, to int64
			plan.Addr, plan.For = b.Addr(), short
			plan.Begin, plan.End = func() { from = b.Requests() }, func() { to = b.Requests() }
			r, err := Run(t.Context(), plan)
			if err != nil {
				t.Fatal(err)
			}
			if r.Requests == 0 || len(r.Latencies) != r.Requests || r.Took < short {
				t.Errorf("%d requests, %d latencies in %v", r.Requests, len(r.Latencies), r.Took)
			}
			if sent := to - from; int64(r.Requests) > sent+int64(plan.Connections) {
				t.Errorf("%d answers to %d requests", r.Requests, sent)
			}
			if b.Accepts() != int64(plan.Connections) {
				t.Errorf("%d connections, want %d", b.Accepts(), plan.Connections)
			}
		})
	}
}

func TestRun_CountsWhatWaitedSinceItWasDue(t *testing.T) {
	// One connection cannot carry a million requests a second: the later one is due, the longer it waits.
	r, err := Run(t.Context(), Plan{Addr: start(t).Addr(), Connections: 1, Request: Post("/echo"), Rate: 1e6, For: short})
	if err != nil {
		t.Fatal(err)
	}
	if first, last := r.Latencies[0], r.Latencies[len(r.Latencies)-1]; last <= first {
		t.Errorf("the first waited %v, the last %v", first, last)
	}
}

func TestRun_SaysWhatIsWrong(t *testing.T) {
	b := start(t)
	for name, plan := range map[string]Plan{
		"no connections":   {Connections: 0, For: short},
		"too many":         {Connections: MaxConnections + 1, For: short},
		"too long":         {Connections: 1, For: MaxDuration + 1},
		"no time":          {Connections: 1},
		"another status":   {Connections: 1, Request: Get("/nothing"), For: short},
		"not over there":   {Addr: netip.MustParseAddrPort("192.0.2.1:80"), Connections: 1, For: short},
		"nobody is there":  {Addr: netip.MustParseAddrPort("127.0.0.1:1"), Connections: 1, For: short},
		"an endless reply": {Connections: 1, Request: Get("/stream"), For: short},
	} {
		if !plan.Addr.IsValid() {
			plan.Addr = b.Addr()
		}
		if _, err := Run(t.Context(), plan); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHold_BringsEachConnectionToItsStage(t *testing.T) {
	for name, c := range map[string]struct {
		stage   Stage
		request []byte
	}{
		"answered":  {Answered, Post("/echo")},
		"streaming": {Streaming, Get("/stream")},
		"tunnelled": {Tunnelled, Upgrade("/ws")},
		"waiting":   {Waiting, Post("/hold")},
	} {
		t.Run(name, func(t *testing.T) {
			b, called := start(t), false
			err := Hold(t.Context(), HoldPlan{
				Addr: b.Addr(), Connections: 20, Request: c.request, Until: c.stage, Settle: time.Millisecond,
				Held: func() error {
					called = true
					if b.Open() != 20 && c.stage != Waiting {
						return errors.New("a connection is gone")
					}
					return nil
				},
			})
			if err != nil || !called {
				t.Errorf("called %v, %v", called, err)
			}
		})
	}
}

func TestHold_RefusesAnAnswerWhereNoneWasToCome(t *testing.T) {
	err := Hold(t.Context(), HoldPlan{
		Addr: start(t).Addr(), Connections: 1, Request: Post("/echo"), Until: Waiting, Settle: time.Second, Held: func() error { return nil },
	})
	if err == nil {
		t.Error("no error")
	}
}

func TestTokens_AreTimedOnEveryStream(t *testing.T) {
	r, err := Tokens(t.Context(), TokensPlan{Addr: start(t).Addr(), Streams: 10, Request: Get("/tokens"), For: 4 * backend.TokenEvery})
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests < 10 || len(r.Latencies) != r.Requests {
		t.Errorf("%d tokens, %d times", r.Requests, len(r.Latencies))
	}
	for _, l := range r.Latencies {
		if l < 0 {
			t.Errorf("a token came before it was sent: %v", l)
		}
	}
}

func TestStream_FindsTokensHoweverTheyAreCut(t *testing.T) {
	text := "1c\r\ndata: 00000000000000000001\n\n\r\n1c\r\ndata: 00000000000000000002\n\n\r\n"
	for cut := range len(text) {
		s := &stream{listener: &listener{measuring: true}}
		s.take([]byte(text[:cut]))
		s.take([]byte(text[cut:]))
		if s.tokens < 1 || s.tokens > 2 {
			t.Errorf("cut at %d: %d tokens", cut, s.tokens)
		}
	}
}

func TestSecure_RunsOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		w.Header().Set("Content-Length", "0")
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	r, err := Secure(t.Context(), Plan{Addr: netip.MustParseAddrPort(server.Listener.Addr().String()), Connections: 3, Request: Post("/"), For: short})
	if err != nil || r.Requests == 0 || len(r.Latencies) != r.Requests {
		t.Errorf("%d requests, %v", r.Requests, err)
	}
}

func TestGRPC_EndsEveryCallWithItsTrailers(t *testing.T) {
	b := start(t)
	addr, err := b.StartGRPC(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := GRPC(t.Context(), Plan{Addr: netip.MustParseAddrPort(addr), Connections: 2, For: 4 * short})
	if err != nil || r.Requests == 0 || len(r.Latencies) != r.Requests {
		t.Fatalf("%d calls, %v", r.Requests, err)
	}
	if calls := b.Requests(); calls < int64(r.Requests) {
		t.Errorf("%d calls arrived, %d were answered", calls, r.Requests)
	}
}

func TestDial_GoesToLoopbackAlone(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:80", "0.0.0.0:80", "[::1]:80"} {
		if fd, err := loop.Dial(netip.MustParseAddrPort(addr)); err == nil {
			t.Errorf("%s: connected as %d", addr, fd)
		}
	}
}
