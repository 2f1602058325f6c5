// Package app puts the load balancer together: New wires every part in a straight line, Run serves
// until its context ends and then drains. Nothing is decided here. A test boots it on port 0.
package app

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/admin"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/controller"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/connections"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/http2"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/nethttp"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/upstream"
)

// How the end is divided.
const (
	closingTime  = time.Second     // before the drain's deadline who still waits is sent away with a clear answer
	farewellTime = 3 * time.Second // for the last report and the last spans
)

// App is one load balancer.
type App struct {
	settings   Settings
	log        *slog.Logger
	telemetry  *telemetry.Telemetry
	secured    *secured
	identity   *identities
	controller *controller.Client
	peers      *peerPort // nil: limits are kept alone
	dispatcher *dispatch.Dispatcher
	tuning     *tuning.Holder
	gate       *connections.Gate
	logs       *logs
	prober     *upstream.Prober
	waker      *proxy.Waker
	upstream   *upstream.Client
	http2      *http2.Sender // to pods that speak it
	metrics    *proxy.Metrics
	proxy      *proxy.Proxy
	data       *dataPort
	admin      *httpserver.Server
}

// New makes a load balancer and takes its ports. The log goes to out.
func New(ctx context.Context, s Settings, out io.Writer) (*App, error) {
	startedAt := time.Now()
	tel, err := telemetry.Start(ctx, telemetry.Options{
		Service: "load-balancer", Instance: s.Identity, Level: s.level(), Out: out,
	})
	if err != nil {
		return nil, err
	}
	trusted, err := s.trusted()
	if err != nil {
		return nil, fmt.Errorf("trusted-proxies: %w", err)
	}
	logged, err := s.logged()
	if err != nil {
		return nil, err
	}
	a := &App{settings: s, log: tel.Log, telemetry: tel, metrics: proxy.NewMetrics(tel.Registry)}
	a.identity = newIdentities(a)
	if a.secured, err = newSecured(a); err != nil {
		return nil, err
	}
	if a.peers, err = openPeers(ctx, a); err != nil {
		return nil, err
	}
	a.controller, err = controller.New(controller.Options{
		URL: s.ControllerURL, Identity: s.Identity, StartedAt: startedAt, Log: tel.Log, Tracer: tel.Tracer, Registry: tel.Registry,
		Address: a.peers.address(), Taken: func(sent time.Time) { a.dispatcher.Reported(sent) },
		Authorities: a.secured.authorities,
		ForgetAfter: s.ForgetAfter, Wrap: a.identity.token.To("the autoscaler-controller"),
	})
	if err != nil {
		return nil, err
	}
	a.prober = upstream.NewProber(tel.Log, tel.Registry)
	a.waker = proxy.NewWaker(a.controller, tel.Log, a.metrics)
	dispatching := dispatch.Options{
		RoomRequests: s.WaitingRoomRequests, RoomBytes: int64(s.WaitingRoomMiB) << 20,
		Now: time.Now, Intn: rand.IntN, Chance: rand.Float64, NewID: newWakeUpID,
		Prober: a.prober, Waker: a.waker, ReportSoon: a.controller.ReportSoon, Woken: a.woken, Forgotten: a.metrics.Forget,
		Self: slots.Member{ID: slots.ID{Name: s.Identity, Started: startedAt.UnixNano()}, Address: a.peers.address()}, Lends: a.lends,
		Terms: slots.TermsFor(s.ForgetAfter),
	}
	a.peers.join(&dispatching)
	a.dispatcher = dispatch.New(dispatching)
	a.peers.attach(a.dispatcher)
	a.tuning = tuning.NewHolder(a.tuned)
	checkMemory(s, a.tuning.Current().MaxConnections, memoryLimit(os.ReadFile), tel.Log)
	a.gate = connections.NewGate(func() int { return a.tuning.Current().MaxConnections }, tel.Registry)
	tel.Registry.MustRegister(&collector{dispatcher: a.dispatcher})
	if a.logs, err = openLogs(s, logged, startedAt, tel.Log, tel.Registry); err != nil {
		return nil, err
	}
	a.upstream, a.http2 = upstream.New(upstream.Options{}), http2.NewSender(http2.SenderOptions{})
	options := proxy.Options{
		Matcher: a.dispatcher, Sender: senders{a.upstream, a.http2}, HTTPSPort: s.Entry.httpsPort(), TrustedProxies: trusted, TrustTraces: s.TrustTraces,
		NamesInRefusals: s.NamesInRefusals,
		AccessLog:       a.logs, LogRequest: logged.requestFields, LogResponse: logged.answerFields,
		Limits: proxy.Limits{
			Body: int64(s.MaxBodyMiB) << 20, URI: s.MaxURIBytes, StreamIdle: s.StreamIdleTimeout,
			Gathered: int64(s.WaitingRoomMiB) << 20 / gatheredShare,
		},
		Places:  a.gate,
		Silence: func() time.Duration { return a.tuning.Current().Timeout },
		Log:     tel.Log, Metrics: a.metrics, Now: time.Now,
	}
	if tel.Exports {
		options.Tracer = tel.Tracer
	}
	a.proxy = proxy.New(options)
	if err := a.listen(ctx, startedAt); err != nil {
		a.logs.close(ctx)
		a.peers.close()
		return nil, errors.Join(err, tel.Close(ctx))
	}
	return a, nil
}

// newWakeUpID makes the id of a wake-up whose first request has no trace. It is also the name of the
// wake-up's document in the log, of which Elasticsearch keeps the first.
func newWakeUpID() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

// listen takes both ports.
func (a *App) listen(ctx context.Context, startedAt time.Time) (err error) {
	if a.data, err = openDataPort(ctx, a); err != nil {
		return err
	}
	ready := &httpserver.Readiness{}
	ready.Add(func() string {
		if a.dispatcher.Version() == "" {
			return "the first routes from the controller"
		}
		return ""
	})
	ready.Add(func() string {
		if a.data.Draining() {
			return "nothing: it is draining"
		}
		return ""
	})
	ready.AddTrouble(a.identity.trouble)
	ready.AddTrouble(func() []string { return a.secured.trouble(a) })
	ready.AddCertificates(a.secured.certificate.Times)
	ready.AddCertificates(a.data.times)
	ready.AddTrouble(a.logs.texts) // which keeps nobody from serving
	api, err := admin.Handler(admin.Options{
		Balancer: a.settings.Identity, StartedAt: startedAt, Now: time.Now, Source: source{a}, Settings: settingsOf{a}, Caller: nethttp.Caller{Proxy: a.proxy}, Logs: a.logs,
	})
	if err != nil {
		return err
	}
	mux := httpserver.Operations(a.telemetry.Page(), ready)
	mux.Handle("/", api)
	guard, err := a.identity.guard(a.controller)
	if err != nil {
		return err
	}
	a.admin, err = httpserver.Listen(ctx, httpserver.Options{
		Secure: a.secured.secure, Address: a.settings.AdminListen, Log: a.log, Handler: httpserver.Recover(a.log)(guard.Wrap(mux)), DrainTimeout: farewellTime,
	})
	return err
}

// DataAddr is where clients come.
func (a *App) DataAddr() net.Addr { return a.data.Addr() }

// TLSAddr is where clients come over TLS; nil is nowhere.
func (a *App) TLSAddr() net.Addr { return a.data.TLSAddr() }

// AdminAddr is where the API is.
func (a *App) AdminAddr() net.Addr { return a.admin.Addr() }

// Run serves until ctx ends, then drains: the data port first, then what it needs, the admin port
// last. It returns nil when every request ended well.
func (a *App) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var loops sync.WaitGroup
	loops.Go(func() { a.controller.FollowRoutes(life, a.dispatcher, a.tuning) })
	loops.Go(func() { a.controller.Report(life, a.dispatcher) })
	loops.Go(func() { a.followDecisions(life) })
	loops.Go(func() { a.followChanges(life) })
	loops.Go(func() { a.peers.run(life) })
	loops.Go(func() { a.secured.run(life, a) })
	loops.Go(func() { a.identity.keys.Run(life) })

	adminLife, endAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer endAdmin()
	adminEnd := make(chan error, 1)
	go func() { adminEnd <- a.admin.Run(adminLife) }()

	dataEnd := make(chan error, 1)
	go func() { dataEnd <- a.data.serve(life) }()
	a.log.Info("serving", "data", a.data.Addr().String(), "admin", a.admin.Addr().String(), "controller", a.settings.ControllerURL)

	var fault error
	select {
	case <-ctx.Done():
		loops.Go(func() { a.peers.leave(life, a.dispatcher) })
		a.log.Info("draining", "lame_duck", a.settings.LameDuck, "timeout", a.settings.DrainTimeout)
	case fault = <-dataEnd:
		dataEnd <- nil
	case fault = <-adminEnd: // without it nobody sees whether we live
		adminEnd <- nil
	}
	fault = errors.Join(fault, a.drain(dataEnd))
	end()
	loops.Wait()
	farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTime)
	defer cancel()
	if err := a.controller.Leave(farewell, a.dispatcher); err != nil {
		a.log.Warn("the last report was not delivered", "error", err)
	}
	a.peers.end(farewell)
	a.waker.Close()
	a.prober.Close()
	a.upstream.Close()
	a.http2.Close()
	a.logs.close(farewell)
	endAdmin()
	fault = errors.Join(fault, <-adminEnd)
	a.log.Info("ended")
	return errors.Join(fault, a.telemetry.Close(farewell))
}

// drain ends the data port: requests are taken for a moment still, while the cluster forgets this
// pod. Who waits goes on waiting, and is woken as ever, until shortly before the deadline.
func (a *App) drain(dataEnd <-chan error) error {
	left := a.settings.LameDuck + a.settings.DrainTimeout
	deadline, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	closing := time.AfterFunc(max(left-closingTime, left/2), a.dispatcher.Close)
	defer closing.Stop()
	var farewell sync.WaitGroup
	defer farewell.Wait()
	defer cancel()
	a.proxy.BeginDrain()
	farewell.Go(func() { a.sendAway(deadline, left) })
	fault := a.data.drain(deadline, a.settings.LameDuck, dataEnd)
	if cut := a.proxy.Drain(deadline.Done()); cut > 0 {
		fault = errors.Join(fault, fmt.Errorf("%d tunnels and requests of the admin port were still open at the deadline", cut))
	}
	return fault
}

// sendAway closes WebSockets in the last part of a drain that takes so long.
func (a *App) sendAway(deadline context.Context, left time.Duration) {
	notice := min(a.settings.WebSocketNotice, a.settings.DrainTimeout)
	if notice == 0 {
		return
	}
	timer := time.NewTimer(left - notice)
	defer timer.Stop()
	select {
	case <-timer.C:
		if asked := a.proxy.SendAway(deadline.Done(), notice); asked > 0 {
			a.log.Info("WebSockets were asked to connect anew", "count", asked)
		}
	case <-deadline.Done():
	}
}

// tuned tells who keeps a setting of its own, and notes what is followed.
func (a *App) tuned(s tuning.Settings) {
	a.dispatcher.Prefer(s.Algorithm())
	a.log.Info("settings followed", "policy", s.Policy, "max_connections", s.MaxConnections, "timeout", s.Timeout)
}

// woken notes a wake-up that ended.
func (a *App) woken(app routing.Application, wake dispatch.WakeUp) {
	a.metrics.Woken(app, wake)
	attrs := []any{"application", app.String(), "outcome", string(wake.Outcome), "waited", wake.Waited, "wakeup", wake.ID}
	for _, phase := range []struct {
		name string
		at   time.Time
	}{
		{"start_called_ms", wake.StartCalledAt}, {"start_answered_ms", wake.StartAnsweredAt},
		{"first_good_probe_ms", wake.FirstProbeAt}, {"first_byte_ms", wake.FirstByteAt},
	} {
		if !phase.at.IsZero() {
			attrs = append(attrs, phase.name, float64(phase.at.Sub(wake.ArrivedAt).Microseconds())/1000)
		}
	}
	a.log.Info("wake-up", attrs...)
	a.logs.scaling.Woken(wakeUpOf(app, wake))
}

// source joins what the admin API shows.
type source struct{ a *App }

func (s source) Snapshots() []dispatch.Snapshot { return s.a.dispatcher.Snapshots() }

func (s source) Waiting(wanted func(routing.Application) bool, limit int) iter.Seq[dispatch.WaitingRoom] {
	return s.a.dispatcher.Waiting(wanted, limit)
}

func (s source) Self() admin.Self {
	link := s.a.controller.Link()
	return admin.Self{
		Link: admin.Link{
			Connected: link.Connected, RoutesVersion: s.a.dispatcher.Version(), LastGood: link.LastGood, LastError: link.LastError,
		},
		Draining: s.a.data.Draining(), Connections: s.a.gate.Open(), Log: s.a.logs.state(time.Now()),
	}
}

// settingsOf joins the settings that are followed with the way to change them.
type settingsOf struct{ a *App }

func (s settingsOf) Current() tuning.Settings { return s.a.tuning.Current() }
func (s settingsOf) Put(ctx context.Context, to tuning.Settings) (tuning.Settings, error) {
	return s.a.controller.PutSettings(ctx, to, s.a.tuning)
}
