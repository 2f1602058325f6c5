package http2

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// front is a whole front door: routes, waiting room, proxy, and this package on both sides.
type front struct {
	address    string
	server     *Server
	sender     *Sender
	dispatcher *dispatch.Dispatcher
	woken      chan *dispatch.StartRequest // start calls

	mu      sync.Mutex
	records []accesslog.Record
	limit   int // of connections, when those to come are beyond it
}

var application = routing.Application{Namespace: "default", Deployment: "app"}

func newFront(t *testing.T, edit func(*Options)) *front {
	t.Helper()
	f := &front{sender: NewSender(SenderOptions{}), woken: make(chan *dispatch.StartRequest, 16)}
	f.dispatcher = dispatch.New(dispatch.Options{
		RoomRequests: 100, RoomBytes: 1 << 20, Now: time.Now, Intn: rand.IntN, Chance: rand.Float64, Prober: noProbes{}, Waker: f,
		ReportSoon: func() {}, Woken: func(routing.Application, dispatch.WakeUp) {}, Forgotten: func(routing.Application) {},
	})
	p := proxy.New(proxy.Options{
		Matcher: f.dispatcher, Sender: f.sender, AccessLog: f, Log: slog.New(slog.DiscardHandler), Metrics: proxy.NewMetrics(prometheus.NewRegistry()),
		Limits:  proxy.Limits{Body: 10 << 20, URI: 8 << 10, StreamIdle: time.Minute, Gathered: 1 << 20},
		Silence: func() time.Duration { return time.Minute },
	})
	o := Options{Handler: p, Log: slog.New(slog.DiscardHandler)}
	if edit != nil {
		edit(&o)
	}
	f.server = New(o)
	f.address = f.listen(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.server.Shutdown(ctx)
		f.sender.Close()
	})
	return f
}

func (f *front) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			from := nc.RemoteAddr().(*net.TCPAddr).AddrPort()
			f.mu.Lock()
			limit := f.limit
			f.mu.Unlock()
			go f.server.ServeConn(&Connection{Net: nc, Peer: proxy.Peer{IP: from.Addr(), Address: from.Addr().String(), Port: from.Port()}, Limit: limit})
		}
	}()
	return l.Addr().String()
}

// route makes the application known: asleep without pods, else awake with these.
func (f *front) route(pods ...string) {
	r := routing.Route{Application: application, Prefix: "/", Protocol: routing.H2C, State: routing.Asleep, WakeUpTimeout: time.Minute}
	for _, address := range pods {
		r.State = routing.Awake
		r.Endpoints = append(r.Endpoints, routing.Endpoint{Pod: "pod-" + address, Address: address, Ready: true})
	}
	f.dispatcher.Apply(routing.Update{Version: "1", Complete: true, Routes: []routing.Route{r}})
}

// Wake takes a start call.
func (f *front) Wake(r *dispatch.StartRequest) { f.woken <- r }

// Add keeps a record.
func (f *front) Add(r *accesslog.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records = append(f.records, *r)
}

type noProbes struct{}

func (noProbes) Probe(*dispatch.Pod, <-chan struct{}) {}

// asker is a client's side for a sender alone.
type asker struct {
	io.Reader
	trailer   func() []string
	gone      chan struct{}
	broken    chan struct{}
	once      sync.Once
	mu        sync.Mutex
	who       proxy.Canceler
	continued int // to send its body
}

func newAsker(body io.Reader) *asker {
	return &asker{Reader: body, gone: make(chan struct{}), broken: make(chan struct{})}
}

func (a *asker) Patience(time.Duration, time.Time) {}
func (a *asker) Ready() bool                       { return false }
func (a *asker) Interrupt()                        { a.once.Do(func() { close(a.broken) }) }
func (a *asker) Gone() <-chan struct{}             { return a.gone }

func (a *asker) Continue() error {
	a.continued++
	return nil
}

func (a *asker) interrupted() bool {
	select {
	case <-a.broken:
		return true
	default:
		return false
	}
}

func (a *asker) Watch(who proxy.Canceler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.who = who
	if who != nil && a.HasGone() {
		who.Cancel()
	}
}

func (a *asker) HasGone() bool {
	select {
	case <-a.gone:
		return true
	default:
		return false
	}
}

// leave is what a client does that goes away.
func (a *asker) leave() {
	close(a.gone)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.who != nil {
		a.who.Cancel()
	}
}

// blocking is a body of which nothing comes until it is interrupted.
type blocking struct {
	first string
	a     *asker
	waits chan struct{} // closed when it is waited for; nil: nobody asks
}

func (b *blocking) Read(p []byte) (int, error) {
	if b.first != "" {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	if b.waits != nil {
		close(b.waits)
	}
	<-b.a.broken
	return 0, errors.New("interrupted")
}

// nothing is flushed before an answer is awaited.
type nothing struct{}

func (nothing) Flush() error { return nil }
