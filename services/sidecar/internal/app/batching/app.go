// Package batching puts the metrics-collector together, as app does the sidecar: New wires every part in a
// straight line, Run works until its context ends. It stands apart from app so that what the collector needs
// to know whose a push is does not come into the sidecar's program.
package batching

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batcher"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/intake"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/judge"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send/batches"
)

// The bounds of its connections, and how long sidecars' may be idle.
const (
	mostConnections = 4000
	mostKept        = 2000
	idleTimeout     = 20 * time.Second
	batchSize       = 500 // the contract's
	drainTimeout    = time.Second
	// patience is how long nothing may be taken before sidecars are told: what they push counts no longer then.
	patience = 20 * time.Second
)

// Settings are those of a metrics-collector: of one that stands between the sidecars of a node, or of
// some hundred pods, and the controller.
type Settings struct {
	Listen        string
	ControllerURL string
	Name          string
	Every         time.Duration // between two batches
	Keep          int           // pods whose last push may wait
	TokenFile     string        // this collector's token for the controller; "" sends none
	Encryption    encryption.Settings
	// Authentication is whether pushes must bring a token: required or optional.
	Authentication string
	OpenMetrics    bool // GET /metrics is anybody's
	LogLevel       string
}

// Load reads the settings. It returns settings.ErrHelp, or every fault at once.
func Load(args, environ []string, out io.Writer) (Settings, error) {
	var s Settings
	set := settings.New("metrics-collector", "NEMESIS_", out)
	set.Address(&s.Listen, "listen", ":8080", "where sidecars push to; metrics and health are served there too")
	set.URL(&s.ControllerURL, "controller-url", "https://autoscaler-controller.nemesis-system.svc:8080", "the autoscaler-controller")
	set.String(&s.Name, "name", podName(environ), "of this collector, by default POD_NAME or the host's name")
	set.Duration(&s.Every, "every", time.Second, 100*time.Millisecond, 5*time.Second, "time between two batches, give or take a tenth")
	set.Int(&s.Keep, "keep", 5_000, batchSize, 100_000, "pods whose last push waits at most; the longest waiting are dropped")
	set.String(&s.TokenFile, "token-file", bearer.DefaultFile, "a projected service-account token for the audience nemesis, which is sent to the controller; empty sends none, and a file that is missing is said in the log")
	s.Encryption.Declare(set)
	set.Choice(&s.Authentication, "authentication", authentication.Required, "whether pushes, and who reads the metrics, must bring a token; optional serves those without one as before there were any, for a rollout", authentication.Required, authentication.Optional)
	set.Bool(&s.OpenMetrics, "open-metrics", false, "serve GET /metrics to anybody, and not only to who may get /metrics in the cluster")
	set.Choice(&s.LogLevel, "log-level", "info", "least level that is logged", "debug", "info", "warn", "error")
	err := set.Load(args, environ)
	if errors.Is(err, settings.ErrHelp) {
		return s, err
	}
	if s.Name == "" {
		s.Name, _ = os.Hostname()
	}
	return s, errors.Join(err, s.Encryption.Validate())
}

func (s Settings) level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // a Choice: always a level
	return level
}

func podName(environ []string) string {
	for _, kv := range environ {
		if name, ok := strings.CutPrefix(kv, "POD_NAME="); ok {
			return name
		}
	}
	return ""
}

// Collector takes the pushes of sidecars and sends them on in batches.
type Collector struct {
	log       *slog.Logger
	telemetry *telemetry.Telemetry
	batcher   *batcher.Batcher[common.PodMetrics]
	callers   *callers
	server    *httpserver.Server
	secured   *secured
}

// New makes a collector and takes its port. The log goes to out.
func New(ctx context.Context, s Settings, out io.Writer) (*Collector, error) {
	tel, err := telemetry.Start(ctx, telemetry.Options{Service: "metrics-collector", Instance: s.Name, Level: s.level(), Out: out})
	if err != nil {
		return nil, err
	}
	c := &Collector{log: tel.Log, telemetry: tel}
	if err := c.wire(ctx, s); err != nil {
		return nil, errors.Join(err, tel.Close(ctx))
	}
	return c, nil
}

func (c *Collector) wire(ctx context.Context, s Settings) error {
	token := bearer.New(bearer.Options{File: s.TokenFile, Log: c.log})
	var err error
	if c.secured, err = newSecured(s, c.telemetry, token.To("the autoscaler-controller")); err != nil {
		return err
	}
	sender, err := batches.New(s.ControllerURL, s.Name, send.Way{Wrap: token.To("the autoscaler-controller"), Authorities: c.secured.authorities})
	if err != nil {
		return err
	}
	c.batcher = batcher.New(batcher.Options[common.PodMetrics]{
		Sender: sender, Log: c.log, Every: s.Every, Size: batchSize, Most: s.Keep, Patience: patience,
		Backoff: retry.Backoff{First: s.Every, Most: 10 * time.Second}, Random: rand.Float64,
	})
	asked, err := judge.New(s.ControllerURL, token.To("the autoscaler-controller"), c.secured.authorities)
	if err != nil {
		return err
	}
	if c.callers, err = newCallers(c, s, asked); err != nil {
		return err
	}
	connections := httpserver.NewConnections(mostConnections, mostKept, idleTimeout)
	pushes, err := intake.Handler(c.batcher, c.callers.pod, connections.Many)
	if err != nil {
		return err
	}
	c.telemetry.Registry.MustRegister(&counts{c.batcher, connections}, telemetry.Figures(token.Figures))
	ready := &httpserver.Readiness{}
	ready.AddTrouble(c.callers.trouble)
	ready.AddTrouble(token.Trouble)
	ready.AddTrouble(c.secured.trouble)
	ready.AddCertificates(c.secured.certificate.Times)
	operations := httpserver.Operations(c.telemetry.Page(), ready)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reads := r.Method == http.MethodGet || r.Method == http.MethodHead; reads {
			if r.URL.Path == "/metrics" {
				if err := c.callers.metrics(r.Context(), r.Header); err != nil {
					fault.Write(w, r, err)
					return
				}
			}
			operations.ServeHTTP(w, r)
			return
		}
		pushes.ServeHTTP(w, r)
	})
	c.server, err = httpserver.Listen(ctx, httpserver.Options{
		Address: s.Listen, Log: c.log, Handler: httpserver.Recover(c.log)(handler), DrainTimeout: drainTimeout,
		Secure: c.secured.secure, Listen: connections.Listen, ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return fairshare.From(connections.Context(ctx, conn), conn.RemoteAddr().String())
		},
	})
	return err
}

// Registry shows what is measured, also what has no series yet.
func (c *Collector) Registry() *prometheus.Registry { return c.telemetry.Registry }

// Addr is where it listens.
func (c *Collector) Addr() net.Addr { return c.server.Addr() }

// Run works until ctx ends, and then sends what waits.
func (c *Collector) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var working sync.WaitGroup
	working.Go(func() { c.batcher.Run(life) })
	working.Go(func() { c.secured.run(life) })
	working.Go(func() { c.callers.keys.Run(life) })
	c.log.Info("serving", "address", c.server.Addr().String())
	fault := c.server.Run(ctx)
	end()
	working.Wait()
	c.log.Info("ended")
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return errors.Join(fault, c.telemetry.Close(closing))
}
