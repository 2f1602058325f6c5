package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/figures"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/httpapi"
)

// Ports that nothing else has: above those that the kernel gives to connections and Kubernetes to nodes.
// One of an application that began later than this program would keep that from its port.
const (
	firstPort = 61_000
	lastPort  = 65_535
	tries     = 16
)

// listen serves the sidecar's own API. It returns nil when there is to be none, or when the port is
// somebody else's: the application must not suffer from what measures it, nor go unmeasured for that.
func (a *App) listen(ctx context.Context, s Settings, trouble func() []string) *httpserver.Server {
	if s.Listen == "" {
		return nil
	}
	ready := &httpserver.Readiness{}
	ready.Add(func() string {
		if !a.agent.State().Measured {
			return "the first measurement"
		}
		return ""
	})
	ready.AddTrouble(trouble)
	mux := httpserver.Operations(figures.Page(a.figures, figures.Process), ready)
	mux.Handle("/", httpapi.Handler(httpapi.Options{Agent: a.agent, Pod: s.PodName, Namespace: s.PodNamespace, Now: time.Now}))
	options := httpserver.Options{Log: a.log, Handler: httpserver.Recover(a.log)(mux), DrainTimeout: drainTimeout}
	var err error
	for _, options.Address = range addresses(s.Listen) {
		var server *httpserver.Server
		if server, err = httpserver.Listen(ctx, options); err == nil {
			return server
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	a.log.Warn("the sidecar measures without an API of its own", "why", err.Error())
	return nil // it goes on without
}

// addresses are those to try: port 0 is any that nobody has.
func addresses(listen string) []string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port != "0" {
		return []string{listen}
	}
	out := make([]string, 0, tries+1)
	for range tries {
		out = append(out, net.JoinHostPort(host, strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort+1))))
	}
	return append(out, listen)
}

// Addr is where the API is; nil when there is none.
func (a *App) Addr() net.Addr {
	if a.server == nil {
		return nil
	}
	return a.server.Addr()
}
