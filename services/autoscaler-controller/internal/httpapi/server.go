// Package httpapi is the adapter for the controller's own API: the strict server generated from
// api/autoscaler.yaml, the stream and the long poll of the routes, the calls on custom resources that are passed
// on to the Kubernetes API server, and, on a replica that does not lead, the relay to the leader.
//
// compat.go translates between the contract's types and ours, both ways; no generated type goes
// further inward. Pushes are ingest's.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Fleet is what is known.
type Fleet interface {
	Keys() []fleet.Key
	Namespaces() []string
	View(k fleet.Key, now time.Time) (fleet.View, bool)
	Routes(after string) (fleet.Update, <-chan struct{})
}

// Control decides, and remembers what it decided.
type Control interface {
	Start(ctx context.Context, k fleet.Key, call scaling.Call) (fleet.Started, error)
	Sleep(ctx context.Context, k fleet.Key, by string) (fleet.Started, error)
	Preview(ctx context.Context, k fleet.Key, spec scaling.Spec) (fleet.Record, error)
	Decisions(f fleet.Filter, limit int) []fleet.Record
	DecisionsSince(k fleet.Key) time.Time // from when on those are all of them; zero: not known
	Insight(k fleet.Key) (*fleet.Record, []fleet.Condition)
}

// Traffic takes the load balancers' reports.
type Traffic interface {
	ReportTraffic(ctx context.Context, in autoscaler.ReportTrafficRequestObject) (autoscaler.ReportTrafficResponseObject, error)
}

// Metrics takes the sidecars' measurements that were checked against the contract; of a batch, the
// outside was.
type Metrics interface {
	SubmitPodMetrics(ctx context.Context, in autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error)
	SubmitBatch(body []byte, by access.Caller) (autoscaler.PodMetricsBatchReceipt, error)
}

// Objects passes a call on a custom resource to the Kubernetes API server.
type Objects interface {
	Do(in *http.Request) (*http.Response, error)
	Watch(in *http.Request) (*http.Response, error) // its body comes as things happen
}

// Settings keeps what every load balancer follows.
type Settings interface {
	Now() (fleet.BalancerSettings, error)
	Keep(ctx context.Context, s fleet.BalancerSettings) (fleet.BalancerSettings, error)
}

// Certificates issues a certificate for a request (PKCS #10, PEM) of a pod's service account, and says by
// what it is verified; both as PEM.
type Certificates interface {
	IssueTo(ctx context.Context, who Service, request []byte) (certificate, authority []byte, err error)
}

// Service is a caller as its token has it.
type Service struct{ Namespace, Account, Pod, PodUID string }

// Leadership knows where the leader is: "" when it is here, or not known. The channel closes when
// that changes.
type Leadership interface {
	Leader() (address string, changed <-chan struct{})
}

// Meter measures.
type Meter interface {
	Polling(change int) // long polls that are open
	// RelayFailed counts that a shard's leader did not answer, and that it was done here. The shard is its
	// number, "all" for what is for no shard alone, or "" without shards.
	RelayFailed(shard string)
	BodyRefused(why BodyFault)
	Watching(change int)   // watches that are open
	Following(change int)  // streams of events that are open
	WatchEnded(end string) // one of WatchEnds
}

// Options are what the API needs. All are needed.
type Options struct {
	Fleet      Fleet
	Control    Control
	Traffic    Traffic
	Metrics    Metrics
	News       News    // nil: nothing is told of
	History    History // nil: none is kept
	Claims     Claims  // nil: none are refused
	Objects    Objects
	Settings   Settings
	Leadership Leadership
	Meter      Meter
	Log        *slog.Logger
	Missing    func() string   // what the picture still lacks; "" is whole
	Ending     <-chan struct{} // closes when the service is about to end: long polls answer at once
	// Shard names the shard that this is of, for its leader; "": there are none.
	Shard string
	// Authorities verify the leader; nil: it is called in clear text.
	Authorities httpclient.Authorities
	// Certificates are issued to services.
	Certificates Certificates
	// Dial connects to the leader; nil is the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Guard judges who calls; nil: nobody is judged.
	Guard Guard
	// Audit takes note of changes; nil: nobody does.
	Audit Audit
	// Changes are those that Audit took note of, here and on other replicas; nil: none.
	Changes Changes
	// NodeOf is the node of a pod, "" where that is not known; nil: it never is.
	NodeOf func(namespace, pod string) string
	// Pushes have a shorter way; nil: the way of all requests.
	Pushes Pushes
	// TraceURL is where a trace is shown, for who shows a link to it; "": nobody said.
	TraceURL string
	// Connections are the server's; nil: they are not bounded.
	Connections *httpserver.Connections
}

// New makes the handler of the whole API. The chain, from the outside: a panic is caught, who calls is judged,
// pushes leave by their short way, a span is made, the body is bounded and read, a follower relays, the request
// is checked against the contract.
func New(o Options) (http.Handler, error) {
	check, err := newCheck()
	if err != nil {
		return nil, err
	}
	handler, err := relaying(o, check)
	if err != nil {
		return nil, err
	}
	return around(o, nil, handler)
}

// check refuses what does not fit the contract.
type check = func(http.Handler) http.Handler

func newCheck() (check, error) {
	spec, err := checked()
	if err != nil {
		return nil, err
	}
	return contract.Validate(spec), nil
}

// relaying is the API of one controller, or of one shard of it, with its relay.
func relaying(o Options, valid check) (http.Handler, error) {
	codec, err := NewSettingsCodec()
	if err != nil {
		return nil, err
	}
	if o.News == nil {
		o.News = news.New("none")
	}
	if o.History == nil {
		o.History = noHistory{}
	}
	if o.Claims == nil {
		o.Claims = noClaims{}
	}
	api := &api{
		Options: o, codec: codec,
		watches: seats{most: maxWatches, mostOfOne: maxOfOne}, streams: seats{most: maxStreams, mostOfOne: maxStreamsOfMe},
	}
	api.pulse.news = o.News
	o.News.OnRemoved(api.told.forget)
	wrapper := autoscaler.NewStrictHandlerWithOptions(api, nil, autoscaler.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  api.badRequest,
		ResponseErrorHandlerFunc: api.refuse,
	})
	router := chi.NewRouter()
	router.Use(valid, saysSo)
	options := autoscaler.ChiServerOptions{BaseRouter: router, ErrorHandlerFunc: api.badRequest}
	if o.Guard != nil {
		known, err := contractOperations()
		if err != nil {
			return nil, err
		}
		options.Middlewares = []autoscaler.MiddlewareFunc{onlyJudged(known)}
	}
	autoscaler.HandlerWithOptions(&server{ServerInterface: wrapper, api: api}, options)
	return newRelay(o, router), nil
}

// around is what every request passes first.
func around(o Options, shards *sharded, handler http.Handler) (http.Handler, error) {
	bodies := newBodies(o.Meter, handler)
	bodies.judged = o.Guard != nil
	handler = otelhttp.NewHandler(bodies, "http", otelhttp.WithSpanNameFormatter(spanName))
	p := &pushes{Options: o, bodies: bodies, shards: shards, next: handler, others: handler}
	if o.Guard != nil {
		known, err := contractOperations()
		if err != nil {
			return nil, err
		}
		p.others = &guarded{o.Guard, known, handler}
	}
	return httpserver.Recover(o.Log)(p), nil
}

// server is the strict server, but for the calls on custom resources, which carry objects whose
// every field must come through unchanged, so that they are passed on as bytes; and for batches of
// pushes, whose items are not yet checked.
type server struct {
	autoscaler.ServerInterface
	api *api
}

// api implements the strict server's operations.
type api struct {
	// The operations on custom resources and batches never get here: server has them all. A test holds that.
	autoscaler.StrictServerInterface
	Options
	codec   *SettingsCodec
	watches seats
	streams seats // of events
	pulse   pulse
	told    told
	words   words
}

// checked is the spec that requests are checked against. The bodies of custom resources are left
// to the Kubernetes API server: it checks them against the schema generated from the same
// contract, so that everyone gets the same answer on both ways. The items of a batch are left to
// ingest, which refuses each by itself.
func checked() (*openapi3.T, error) {
	spec, err := autoscaler.GetSpec()
	if err != nil {
		return nil, err
	}
	for path, item := range spec.Paths.Map() {
		if strings.HasPrefix(path, "/apis/") {
			for _, operation := range item.Operations() {
				operation.RequestBody = nil
			}
		}
	}
	batch := spec.Paths.Find(batchPath).Post.RequestBody.Value.Content["application/json"].Schema.Value
	batch.Properties["items"].Value.Items = openapi3.NewSchemaRef("", openapi3.NewSchema())
	return spec, nil
}

// refuse answers with the problem document of an error; one that nobody foresaw is logged.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has gone
	}
	if e := fault.From(err); e.Code == fault.Internal || e.Cause != nil {
		a.Log.WarnContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	fault.Write(w, r, err)
}

func (a *api) badRequest(w http.ResponseWriter, r *http.Request, err error) {
	fault.Write(w, r, contract.Refusal(err, http.StatusBadRequest))
}

// spanName is the kind of request, so that spans can be grouped.
func spanName(_ string, r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) > 0 && parts[0] == "apis":
		return r.Method + " customautoscalers"
	case len(parts) == 6 && slices.Contains([]string{"start", "wake", "sleep", "preview"}, parts[5]):
		return r.Method + " " + parts[5]
	case len(parts) >= 2 && parts[0] == "v1":
		return r.Method + " " + parts[1]
	default:
		return r.Method
	}
}
