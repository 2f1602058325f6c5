// Package admin serves the admin port, beside the endpoints of the kubelet and of Prometheus: what
// this load balancer knows and does, its settings, its log, and requests that it makes to
// applications for someone. Most of it goes through the generated strict server; what passes an
// application's answer on, or must know who asks, takes the request itself (see api). Client traffic
// never comes here.
package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// maxBody bounds the body of a request to the admin port, in bytes: it is checked, and so held, as
// a whole. Who has more to send uses the data port.
const maxBody = 1 << 20

// Link is how the exchange with the controller goes.
type Link struct {
	Connected     bool
	RoutesVersion string    // "" before the first routes
	LastGood      time.Time // zero: never
	LastError     string
}

// Self is how this load balancer is.
type Self struct {
	Link        Link
	Draining    bool
	Connections int
	Log         LogState
}

// LogState is how the log fares.
type LogState struct {
	Trouble []LogTrouble
	Waiting int64         // records that are not where they are kept
	Age     time.Duration // of the oldest of them
}

// LogTrouble is something of the log that people should look at; the contract has the kinds.
type LogTrouble struct{ Kind, Message string }

// Source is where the state comes from.
type Source interface {
	Snapshots() []dispatch.Snapshot
	Waiting(wanted func(routing.Application) bool, limit int) iter.Seq[dispatch.WaitingRoom] // ordered by names
	Self() Self
}

// Settings are those that are followed. Put changes them for every load balancer.
type Settings interface {
	Current() tuning.Settings
	Put(ctx context.Context, s tuning.Settings) (tuning.Settings, error)
}

// Caller sends requests to applications, as the data port does.
type Caller interface {
	Call(ctx context.Context, w http.ResponseWriter, peer string, o proxy.Order) proxy.Outcome
}

// Logs finds what was proxied.
type Logs interface {
	Find(ctx context.Context, q accesslog.Query) (accesslog.Page, error)
}

// Options say who answers.
type Options struct {
	Balancer  string
	StartedAt time.Time
	Source    Source
	Settings  Settings
	Caller    Caller
	Logs      Logs
	Now       func() time.Time
}

// server answers what the strict server asks it.
type server struct {
	elsewhere
	o Options
}

// api is the strict server, but for the operations that need the request itself.
type api struct {
	loadbalancer.ServerInterface
	o       Options
	answers *budget
}

var (
	_ loadbalancer.StrictServerInterface = (*server)(nil)
	_ loadbalancer.ServerInterface       = (*api)(nil)
)

// Handler serves the contract to whom a Guard before it lets through; every request is checked against the
// contract first.
func Handler(o Options) (http.Handler, error) {
	spec, err := loadbalancer.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("contract of the admin API: %w", err)
	}
	refuse := func(w http.ResponseWriter, r *http.Request, err error) { fault.Write(w, r, err) }
	router := chi.NewRouter()
	router.Use(httpserver.LimitBody(maxBody), contract.Validate(spec))
	unread := func(w http.ResponseWriter, r *http.Request, err error) {
		fault.Write(w, r, contract.Refusal(err, http.StatusBadRequest))
	}
	strict := loadbalancer.NewStrictHandlerWithOptions(&server{o: o}, nil, loadbalancer.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  unread,
		ResponseErrorHandlerFunc: refuse,
	})
	whole := &api{ServerInterface: strict, o: o, answers: &budget{limit: maxAnswers}}
	return loadbalancer.HandlerWithOptions(whole, loadbalancer.ChiServerOptions{
		BaseRouter: router, ErrorHandlerFunc: unread, Middlewares: []loadbalancer.MiddlewareFunc{judged},
	}), nil
}

// judged keeps out what no Guard has let through: with a slip in it nobody is served, rather than everybody.
func judged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := callerOf(r.Context()); err != nil {
			fault.Write(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// GetSettings answers the settings that are followed.
func (s *server) GetSettings(context.Context, loadbalancer.GetSettingsRequestObject) (loadbalancer.GetSettingsResponseObject, error) {
	return loadbalancer.GetSettings200JSONResponse(balancerSettings(s.o.Settings.Current())), nil
}

// PutSettings changes them for every load balancer, and answers those that are followed now.
func (s *server) PutSettings(ctx context.Context, request loadbalancer.PutSettingsRequestObject) (loadbalancer.PutSettingsResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	// The controller judges it again, by the caller's own token: this load balancer has no such right to lend.
	kept, err := s.o.Settings.Put(bearer.Instead(ctx, who.token), settings(*request.Body))
	if err != nil {
		return nil, err
	}
	return loadbalancer.PutSettings200JSONResponse(balancerSettings(kept)), nil
}

// ListProxyLogs answers one page of what was proxied.
func (s *server) ListProxyLogs(ctx context.Context, request loadbalancer.ListProxyLogsRequestObject) (loadbalancer.ListProxyLogsResponseObject, error) {
	q, err := logQuery(request.Params)
	if err != nil {
		return nil, err
	}
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	may, err := who.list(ctx, q.Namespace, s.o.namespaces)
	if err != nil {
		return nil, err
	}
	if !may.all && q.Namespace == "" {
		if q.Among = may.names; len(q.Among) == 0 {
			return loadbalancer.ListProxyLogs200JSONResponse(logPage(accesslog.Page{})), nil
		}
	}
	page, err := s.o.Logs.Find(ctx, q)
	if errors.Is(err, accesslog.ErrCursor) {
		return nil, fault.New(fault.Invalid, "").With("after", q.After, err.Error())
	}
	if err != nil {
		return nil, err
	}
	return loadbalancer.ListProxyLogs200JSONResponse(logPage(page)), nil
}

// routes are those that are known.
func (o Options) routes() []routing.Route {
	snapshots := o.Source.Snapshots()
	routes := make([]routing.Route, 0, len(snapshots))
	for _, s := range snapshots {
		routes = append(routes, s.Route)
	}
	return routes
}

// namespaces are those of the applications that are known, each once.
func (o Options) namespaces() []string {
	snapshots := o.Source.Snapshots()
	names := make([]string, 0, len(snapshots))
	for _, s := range snapshots {
		names = append(names, s.Route.Application.Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
