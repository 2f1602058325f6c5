// Package app wires the autoscaler-controller: every part is made and joined here, in a straight
// line, and nowhere else. A test boots the real thing on port 0.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/build"
	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/console"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/apiproxy"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/archive"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/cluster"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/control"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/receivers"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/settings"
)

// lameDuck is how long requests are still taken while the cluster forgets this pod.
const lameDuck = time.Second

// keptIdle is how long the connection of a sidecar is kept over which nothing comes: longer than two
// measurements are apart, and shorter than the time after which one says that nothing has changed.
const keptIdle = 12 * time.Second

// App is the service. Make it with New, and Run it once.
type App struct {
	log      *slog.Logger
	watcher  *cluster.Watcher
	post     *receivers.Post
	pods     *cluster.Balancers
	settings *settings.Store
	parts    parts
	elected  elections
	trust    *trust
	handOver *httpapi.HandOver
	server   *httpserver.Server
	hooks    *hooks
	// namespace is the controller's own, and apiServer where it looks for the API server.
	namespace, apiServer string
	ending               chan struct{}
}

// New makes the service and takes its port; nothing runs yet. ctx is for the making, and for the
// events that are still to be sent.
func New(ctx context.Context, s Settings, config *rest.Config, t *telemetry.Telemetry) (*App, error) {
	clients, err := kube.Connect(config, build.Version())
	if err != nil {
		return nil, err
	}
	p, err := newParts(max(s.Shards, 1))
	if err != nil {
		return nil, err
	}
	instruments := newInstruments(t.Registry, t.Tracer)
	watcher := cluster.NewWatcher(cluster.Options{Clients: clients, Log: t.Log, Namespace: s.WatchNamespace})
	elected := newElections(clients, t.Log, s, p, func() bool { return watcher.Missing() == "" })
	events := kube.NewEvents(ctx, clients, t.Log, instruments)
	networks, err := receivers.ParseNetworks(s.NotificationNetworks)
	if err != nil {
		return nil, fmt.Errorf("notification-networks: %w", err)
	}
	post, err := receivers.New(receivers.Options{
		Clients: clients, Log: t.Log, Namespace: s.Namespace, Within: s.WatchNamespace, Networks: networks, Events: events, Meter: newSentNotices(t.Registry),
	})
	if err != nil {
		return nil, err
	}
	scaler, marker, recorder := cluster.NewScaler(clients), cluster.NewMarker(clients), cluster.NewRecorder(clients, watcher, events, post)
	queues := newQueues(t.Registry)
	histories, keeps := archive.New(clients, t.Log, s.Namespace), newHistoryMeter(t.Registry)
	for i := range p {
		name := p.name(i)
		p[i].loop = control.New(control.Options{
			Fleet: p[i].fleet, Scaler: scaler, Marker: marker, Recorder: recorder,
			Observer: instruments, Changes: p.see(i, histories, keeps, t.Log), Log: t.Log, Epoch: p[i].epoch, Missing: watcher.Missing, Awaited: elected.of(i).Awaited, Patience: elected.of(i).Patience,
			Queues: queues.of(name), Autoscalers: func() []fleet.Autoscaler { return watcher.Autoscalers(p.ours(i)) },
		})
		if p[i].metrics, err = cluster.NewMetricsReader(clients, t.Log, p[i].fleet, p[i].loop, instruments); err != nil {
			return nil, err
		}
		t.Registry.MustRegister(newLoopGauges(name, p[i].loop.Stats), newEpochGauge(name, p[i].epoch))
	}
	codec, err := httpapi.NewSettingsCodec()
	if err != nil {
		return nil, err
	}
	balancers := settings.New(settings.Options{
		Clients: clients, Log: t.Log, Namespace: s.Namespace, Codec: codec, Sink: p, Events: events,
	})
	t.Registry.MustRegister(newGauges(p), newSettingsGauge(balancers.Trouble), newLayoutGauge(elected.trouble), newEventsGauge(events.Waiting), newClaimsGauge(watcher.Refusals), newPostGauges(post), newSavingsGauges(p))
	registerAPIMetrics(t.Registry)
	objects, err := apiproxy.New(clients, s.AnonymousAccess)
	if err != nil {
		return nil, err
	}
	pods := cluster.NewBalancers(clients, t.Log, s.Namespace, p)
	a := &App{namespace: s.Namespace, apiServer: config.Host, log: t.Log, watcher: watcher, post: post, pods: pods, settings: balancers, parts: p, elected: elected, ending: make(chan struct{})}
	connections := httpserver.NewConnections(s.MaxConnections, s.KeptConnections, keptIdle)
	t.Registry.MustRegister(newConnectionGauges(connections))
	named := newAudit(t.Log, t.Registry, p[0].epoch)
	trust, err := newTrust(s, clients, t.Log, p, func() bool { return watcher.Missing() == "" }, newAltered(events, t.Registry))
	if err != nil {
		return nil, err
	}
	replicas := newReplicasClient(&s, t.Log, trust)
	a.trust, a.handOver = trust, newHandOver(replicas, t.Log, elected, named)
	p.report(post, histories, t.Log, s.Namespace, &httpapi.Everywhere{Address: a.own(s.Advertise), Client: replicas, Secure: true})
	judge, err := newGuard(clients, t.Log, &s, newJudgements(t.Registry, s.Authentication == authentication.Optional), named, watcher, pods)
	if err != nil {
		return nil, err
	}
	s.warn(ctx, t.Log)
	api, err := newAPI(httpapi.Options{
		NodeOf: watcher.NodeOf, Claims: watcher,
		Authorities: trust.authorities, Certificates: trust,
		Guard: judge, Audit: named, Changes: named.book, Objects: objects, Settings: balancers, Connections: connections,
		Meter: instruments, Log: t.Log, Missing: watcher.Missing, Ending: a.ending, TraceURL: s.TraceURL,
	}, p, elected, instruments)
	if err != nil {
		return nil, fmt.Errorf("API: %w", err)
	}
	if a.hooks, err = newHooks(ctx, s, clients, t, watcher, p[0].loop.Leading); err != nil {
		return nil, err
	}
	page, err := console.New()
	if err != nil {
		return nil, err //nolint:wrapcheck // it says of what
	}
	ready := &httpserver.Readiness{}
	ready.AddTrouble(a.hooks.trouble)
	ready.AddCertificates(a.hooks.times)
	ready.Add(watcher.Missing)
	ready.AddTrouble(elected.trouble)
	trust.observe(t.Registry, ready)
	ready.AddTrouble(s.open)
	a.server, err = httpserver.Listen(ctx, httpserver.Options{
		Address: s.Listen, Log: t.Log, LameDuck: lameDuck, Secure: trust.secure, Listen: connections.Listen, ConnContext: from(connections),
		Handler: beside(page, mux(httpserver.Operations(t.Page(), ready), judge, api)),
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Addr is where the API listens.
func (a *App) Addr() net.Addr { return a.server.Addr() }

// own is where this replica reaches itself, once it listens: as the others do, or else on this machine.
func (a *App) own(advertised string) func() string {
	return func() string {
		if advertised != "" {
			return advertised
		}
		_, port, _ := net.SplitHostPort(a.server.Addr().String()) // it is one
		return net.JoinHostPort("127.0.0.1", port)
	}
}

// Run works until ctx ends, then stops in this order: the Lease is given back, long polls are
// answered, what is in flight is drained, and the watches and the loop end last.
func (a *App) Run(ctx context.Context) error {
	// What serves requests outlives ctx until they are drained.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running sync.WaitGroup
	failed := make(chan error, 6)
	running.Go(func() {
		if err := a.watcher.Run(serving, a.parts); err != nil {
			failed <- err
		}
	})
	running.Go(func() {
		if err := a.settings.Run(serving); err != nil {
			failed <- err
		}
	})
	running.Go(func() {
		if err := a.pods.Run(serving); err != nil {
			failed <- err
		}
	})
	running.Go(func() {
		if err := a.trust.Run(serving); err != nil {
			failed <- err
		}
	})
	running.Go(func() {
		if err := a.post.Run(serving); err != nil {
			failed <- err
		}
	})
	running.Go(func() { a.parts.Run(serving) })
	running.Go(func() { a.handOver.Run(serving) })
	running.Go(func() { awaitFirstList(serving, a.log, a.watcher.Missing, a.namespace, a.apiServer) })

	led, end := context.WithCancel(ctx)
	defer end()
	var leading sync.WaitGroup
	leading.Go(func() {
		if err := a.elected.Run(led, a.parts); err != nil {
			failed <- err
		}
	})
	var draining sync.WaitGroup
	var serveErr, hooksErr error
	draining.Go(func() { serveErr = a.server.Run(led) })
	draining.Go(func() { hooksErr = a.hooks.Run(serving, led) })

	a.log.Info("serving", "address", a.server.Addr().String())
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end()
	close(a.ending)
	leading.Wait()
	draining.Wait()
	stop()
	running.Wait()
	return errors.Join(err, serveErr, hooksErr)
}

// beside has the console stand beside the API.
func beside(page, api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if console.Is(r) {
			page.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// mux sends what the kubelet and Prometheus ask around the API.
func mux(operations http.Handler, judge httpapi.Guard, api http.Handler) http.Handler {
	metrics := httpapi.Guarded(judge, "getMetrics", operations)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch r.URL.Path {
		case "/healthz", "/readyz":
			if reads {
				operations.ServeHTTP(w, r)
				return
			}
		case "/metrics":
			if reads {
				metrics.ServeHTTP(w, r)
				return
			}
		}
		api.ServeHTTP(w, r) // also the sidecars' POST /metrics, and the refusal of other methods
	})
}

// from says of each request where it comes from, once for a connection.
func from(connections *httpserver.Connections) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, conn net.Conn) context.Context {
		return fairshare.From(connections.Context(ctx, conn), conn.RemoteAddr().String())
	}
}

// newReplicasClient makes one that speaks to replicas of this service in its own name.
func newReplicasClient(s *Settings, log *slog.Logger, t *trust) *httpclient.Client {
	token := bearer.New(bearer.Options{File: s.TokenFile, Log: log})
	return httpclient.New(httpclient.Options{Authorities: t.authorities, Wrap: token.To("the replica that leads")})
}

// newHandOver makes what tells the leader of changes.
func newHandOver(c *httpclient.Client, log *slog.Logger, e elections, a *audit) *httpapi.HandOver {
	return &httpapi.HandOver{Book: a.book, Leadership: e.of(0), Client: c, Secure: true, Log: log, Failed: a.unheard.Inc}
}

// newEpoch names this life of the process.
func newEpoch() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<40))
	if err != nil {
		return "", fmt.Errorf("random: %w", err)
	}
	return strings.ToLower(n.Text(36)), nil
}
