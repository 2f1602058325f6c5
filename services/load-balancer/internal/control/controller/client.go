// Package controller is the load balancer's side of the control plane: it follows the routes by a
// stream, or by long polls where there is none, calls for starts and reports traffic, over the generated client. Generated types end
// here; compat.go is the only place that knows both sides.
//
// The controller may be away at any time. What is known then goes on being used; every loop tries
// again with back-off and jitter, and all of them together decide whether it counts as away.
package controller

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
)

// maxAnswer bounds an answer of the controller, in bytes.
const maxAnswer = 64 << 20

// Options say which controller, and who asks.
type Options struct {
	URL       string
	Identity  string    // this balancer's name
	StartedAt time.Time // when its counters began
	Address   string    // at which other load balancers reach it; "" is none
	// ForgetAfter is how long a silence this one counts on not being taken for gone; 0 is the usual.
	ForgetAfter time.Duration
	Taken       func(sent time.Time) // the leader took a report that was sent then; nil is nobody
	// Wrap goes around every exchange: with a token, say. Nil is nothing.
	Wrap func(http.RoundTripper) http.RoundTripper
	// Authorities verify it where its URL begins with https; nil: the system's do.
	Authorities httpclient.Authorities

	Log      *slog.Logger
	Tracer   trace.Tracer
	Registry prometheus.Registerer
}

// Client speaks to the controller.
type Client struct {
	o        Options
	api      autoscaler.ClientWithResponsesInterface
	routes   autoscaler.ClientInterface // answers have no end there
	link     *link
	soon     chan struct{} // a report is due at once
	sequence int64         // of the last report; only the reporter uses it
	told     told
	exchange *prometheus.CounterVec
}

// New makes a client. It connects to nothing yet.
func New(o Options) (*Client, error) {
	c := &Client{o: o, link: newLink(), soon: make(chan struct{}, 1)}
	api, err := autoscaler.NewClientWithResponses(o.URL, autoscaler.WithHTTPClient(httpclient.New(httpclient.Options{
		MaxAnswer: maxAnswer, HeadTimeout: silence, Trace: telemetry.Inject, Wrap: o.Wrap, Authorities: o.Authorities,
		MaxIdle: 64, // many applications may wake at once
	})))
	if err != nil {
		return nil, fmt.Errorf("controller at %q: %w", o.URL, err)
	}
	routes, err := autoscaler.NewClient(o.URL, autoscaler.WithHTTPClient(httpclient.New(httpclient.Options{MaxAnswer: math.MaxInt64, HeadTimeout: silence, Wrap: o.Wrap, Authorities: o.Authorities})))
	if err != nil {
		return nil, fmt.Errorf("controller at %q: %w", o.URL, err)
	}
	c.api, c.routes = api, routes
	c.exchange = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nemesis_lb_controller_exchanges_total", Help: "Exchanges with the controller, by operation and result.",
	}, []string{"operation", "result"})
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nemesis_lb_controller_connected", Help: "1 while the last exchange with the controller went well.",
	}, func() float64 {
		if c.link.state().Connected {
			return 1
		}
		return 0
	})
	o.Registry.MustRegister(c.exchange, connected)
	return c, nil
}

// ended counts an exchange, and tells the link.
func (c *Client) ended(operation string, err error) {
	c.counted(operation, err)
	if err != nil {
		c.link.failed(err)
		return
	}
	c.link.went(time.Now())
}

// counted only counts an exchange: one that no traffic depends on.
func (c *Client) counted(operation string, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	c.exchange.WithLabelValues(operation, result).Inc()
}

// refused is the error of an answer that is not what was asked for.
func refused(status int, body []byte) error {
	e, _ := fault.Read(status, body)
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return fmt.Errorf("%w: %w", errNotLet, e.Cause)
	}
	return e.Cause
}

// errNotLet is that the controller does not take this load balancer's token, or does not let it: nothing
// that is asked for, and nobody's but the operator's to mend.
var errNotLet = errors.New("the controller refuses this load balancer")

// backOff is how long an exchange that failed is waited with: not long, for requests may wait for it.
var backOff = retry.Backoff{First: 50 * time.Millisecond, Most: time.Second}

// pause is how long to wait after so many failures in a row, of which this was the last. What somebody must
// mend first is asked for seldom.
func pause(err error, failures int) time.Duration {
	if errors.Is(err, errNotLet) {
		return bearer.Backoff.Near(failures, rand.Float64)
	}
	return backOff.Near(failures, rand.Float64)
}
