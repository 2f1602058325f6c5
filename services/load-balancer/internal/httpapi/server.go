// Package httpapi serves the admin port: what this load balancer knows and does, by the generated
// strict server, beside the endpoints of the kubelet and of Prometheus. It changes nothing. Client
// traffic never comes here.
package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/dispatch"
)

// Link is how the exchange with the controller goes.
type Link struct {
	Connected     bool
	RoutesVersion string    // "" before the first routes
	LastGood      time.Time // zero: never
	LastError     string
}

// Source is where the state comes from.
type Source interface {
	Snapshots() []dispatch.Snapshot
	Link() Link
	Draining() bool
}

// Options say who answers.
type Options struct {
	Balancer  string
	StartedAt time.Time
	Source    Source
	Now       func() time.Time
}

type server struct{ o Options }

var _ loadbalancer.StrictServerInterface = (*server)(nil)

// Handler serves the contract; every request is checked against it first.
func Handler(o Options) (http.Handler, error) {
	spec, err := loadbalancer.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("contract of the admin API: %w", err)
	}
	refuse := func(w http.ResponseWriter, r *http.Request, err error) { fault.Write(w, r, err) }
	router := chi.NewRouter()
	router.Use(httpserver.Validate(spec))
	strict := loadbalancer.NewStrictHandlerWithOptions(&server{o: o}, nil, loadbalancer.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  refuse,
		ResponseErrorHandlerFunc: refuse,
	})
	return loadbalancer.HandlerWithOptions(strict, loadbalancer.ChiServerOptions{BaseRouter: router, ErrorHandlerFunc: refuse}), nil
}

// GetState answers what is known and done at this moment.
func (s *server) GetState(_ context.Context, request loadbalancer.GetStateRequestObject) (loadbalancer.GetStateResponseObject, error) {
	draining := s.o.Source.Draining()
	state := loadbalancer.State{
		Balancer:     s.o.Balancer,
		StartedAt:    s.o.StartedAt,
		Draining:     &draining,
		Controller:   controllerLink(s.o.Source.Link(), s.o.Now()),
		Applications: []loadbalancer.ApplicationState{},
	}
	for _, snapshot := range s.o.Source.Snapshots() {
		if ns := request.Params.Namespace; ns == nil || *ns == snapshot.Route.Application.Namespace {
			state.Applications = append(state.Applications, applicationState(snapshot))
		}
	}
	return loadbalancer.GetState200JSONResponse(state), nil
}
