package gopeer

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

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

func TestProxies_PassOnRequestsAndKeepTheirConnections(t *testing.T) {
	for name, serve := range map[string]func(backend string) func(net.Listener) error{
		"bare":         func(backend string) func(net.Listener) error { return (&bare{backend: backend}).serve },
		"ReverseProxy": func(backend string) func(net.Listener) error { return server(backend, false).Serve },
	} {
		t.Run(name, func(t *testing.T) {
			b, l := start(t), listen(t)
			go func() { _ = serve(b.Addr().String())(l) }()
			for _, request := range [][]byte{load.Post("/echo"), load.Get("/large")} {
				r, err := load.Run(t.Context(), load.Plan{Addr: addr(l), Connections: 4, Request: request, For: 50 * time.Millisecond})
				if err != nil || r.Requests == 0 {
					t.Fatalf("%d answers, %v", r.Requests, err)
				}
			}
			if b.Accepts() > 16 {
				t.Errorf("%d connections to the backend for %d requests", b.Accepts(), b.Requests())
			}
		})
	}
}

func TestReverseProxy_PassesOnGRPC(t *testing.T) {
	b, l := start(t), listen(t)
	grpc, err := b.StartGRPC(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server(grpc, true).Serve(l) }()
	r, err := load.GRPC(t.Context(), load.Plan{Addr: addr(l), Connections: 2, For: 100 * time.Millisecond})
	if err != nil || r.Requests == 0 {
		t.Errorf("%d calls, %v", r.Requests, err)
	}
}

func TestRun_RefusesAnAddressThatIsNone(t *testing.T) {
	if err := Run(t.Context(), true, []string{"-listen", "127.0.0.1:0", "-listen-admin", "nowhere"}); err == nil {
		t.Error("no error")
	}
	if err := Run(t.Context(), true, []string{"-unknown"}); err == nil {
		t.Error("no error")
	}
}

func addr(l net.Listener) netip.AddrPort { return netip.MustParseAddrPort(l.Addr().String()) }
