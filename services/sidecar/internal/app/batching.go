package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batcher"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/intake"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send"
)

// A collector: bounds of its connections, and how long sidecars' may be idle.
const (
	collectorConnections = 4000
	collectorKept        = 2000
	collectorIdle        = 20 * time.Second
	batchSize            = 500 // the contract's
)

// CollectorSettings are those of a collector: of one that stands between the sidecars of a node, or of
// some hundred pods, and the controller.
type CollectorSettings struct {
	Listen        string
	ControllerURL string
	Name          string
	Every         time.Duration // between two batches
	Keep          int           // pods whose last push may wait
	LogLevel      string
}

// LoadCollector reads the settings. It returns settings.ErrHelp, or every fault at once.
func LoadCollector(args, environ []string, out io.Writer) (CollectorSettings, error) {
	var s CollectorSettings
	set := settings.New("metrics-collector", "NEMESIS_", out)
	set.Address(&s.Listen, "listen", ":8080", "where sidecars push to; metrics and health are served there too")
	set.String(&s.ControllerURL, "controller-url", "http://autoscaler-controller.nemesis-system.svc:8080", "the autoscaler-controller")
	set.String(&s.Name, "name", variable(environ, "POD_NAME"), "of this collector, by default POD_NAME or the host's name")
	set.Duration(&s.Every, "every", time.Second, 100*time.Millisecond, 5*time.Second, "time between two batches, give or take a tenth")
	set.Int(&s.Keep, "keep", 5_000, batchSize, 100_000, "pods whose last push waits at most; the longest waiting are dropped")
	set.Choice(&s.LogLevel, "log-level", "info", "least level that is logged", "debug", "info", "warn", "error")
	err := set.Load(args, environ)
	if errors.Is(err, settings.ErrHelp) {
		return s, err
	}
	if s.Name == "" {
		s.Name, _ = os.Hostname()
	}
	if !isURL(s.ControllerURL) {
		err = errors.Join(err, notURL(s.ControllerURL))
	}
	return s, err
}

// Collector takes the pushes of sidecars and sends them on in batches.
type Collector struct {
	log       *slog.Logger
	telemetry *telemetry.Telemetry
	batcher   *batcher.Batcher[common.PodMetrics]
	server    *httpserver.Server
}

// NewCollector makes a collector and takes its port. The log goes to out.
func NewCollector(ctx context.Context, s CollectorSettings, out io.Writer) (*Collector, error) {
	tel, err := telemetry.Start(ctx, telemetry.Options{Service: "metrics-collector", Instance: s.Name, Level: level(s.LogLevel), Out: out})
	if err != nil {
		return nil, err
	}
	c := &Collector{log: tel.Log, telemetry: tel}
	if err := c.wire(ctx, s); err != nil {
		return nil, errors.Join(err, tel.Close(ctx))
	}
	return c, nil
}

func (c *Collector) wire(ctx context.Context, s CollectorSettings) error {
	sender, err := send.NewBatches(s.ControllerURL, s.Name)
	if err != nil {
		return err
	}
	c.batcher = batcher.New(batcher.Options[common.PodMetrics]{
		Sender: sender, Log: c.log, Every: s.Every, Size: batchSize, Most: s.Keep, Patience: lateness + 10*time.Second,
		Backoff: retry.Backoff{First: s.Every, Most: 10 * time.Second}, Random: rand.Float64,
	})
	pushes, err := intake.Handler(c.batcher)
	if err != nil {
		return err
	}
	connections := httpserver.NewConnections(collectorConnections, collectorKept, collectorIdle)
	c.telemetry.Registry.MustRegister(&batches{c.batcher, connections})
	operations := httpserver.Operations(c.telemetry.Registry, &httpserver.Readiness{}, c.log)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reads := r.Method == http.MethodGet || r.Method == http.MethodHead; reads {
			operations.ServeHTTP(w, r)
			return
		}
		connections.Many(w, r)
		pushes.ServeHTTP(w, r)
	})
	c.server, err = httpserver.Listen(ctx, httpserver.Options{
		Address: s.Listen, Log: c.log, Handler: httpserver.Recover(c.log)(handler), DrainTimeout: drainTimeout,
		Listen: connections.Listen, ConnContext: connections.Context,
	})
	return err
}

// Addr is where it listens.
func (c *Collector) Addr() net.Addr { return c.server.Addr() }

// Run works until ctx ends, and then sends what waits.
func (c *Collector) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var working sync.WaitGroup
	working.Go(func() { c.batcher.Run(life) })
	c.log.Info("serving", "address", c.server.Addr().String())
	fault := c.server.Run(ctx)
	end()
	working.Wait()
	c.log.Info("ended")
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return errors.Join(fault, c.telemetry.Close(closing))
}
