// Package httpapi serves the sidecar's own API by the generated strict server: what was measured, and
// the commands to measure and to send now.
package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/nemesis-scaling/nemesis/gen/lean/sidecar"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/agent"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/wire"
)

// Agent is what measures and sends.
type Agent interface {
	State() agent.State
	Collect(ctx context.Context) error
	Send(ctx context.Context) error
}

// Options say whose pod it is.
type Options struct {
	Agent     Agent
	Pod       string
	Namespace string
	Now       func() time.Time
}

type server struct{ o Options }

var _ sidecar.StrictServerInterface = (*server)(nil)

// Handler serves the contract. Its operations take no input: only their paths and methods are to be checked.
func Handler(o Options) http.Handler {
	refuse := func(w http.ResponseWriter, r *http.Request, err error) { fault.Write(w, r, err) }
	router := chi.NewRouter()
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, fault.New(fault.NotFound, "no operation has this path"))
	})
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if router.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		refuse(w, r, fault.New(fault.MethodNotAllowed, "the path has no operation with this method"))
	})
	strict := sidecar.NewStrictHandlerWithOptions(&server{o: o}, nil, sidecar.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  refuse,
		ResponseErrorHandlerFunc: refuse,
	})
	return sidecar.HandlerWithOptions(strict, sidecar.ChiServerOptions{BaseRouter: router, ErrorHandlerFunc: refuse})
}

// GetPodMetrics answers the last measurement.
func (s *server) GetPodMetrics(context.Context, sidecar.GetPodMetricsRequestObject) (sidecar.GetPodMetricsResponseObject, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	return sidecar.GetPodMetrics200JSONResponse(state), nil
}

// CollectNow measures now.
func (s *server) CollectNow(ctx context.Context, _ sidecar.CollectNowRequestObject) (sidecar.CollectNowResponseObject, error) {
	if err := s.o.Agent.Collect(ctx); err != nil {
		return nil, err
	}
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	return sidecar.CollectNow200JSONResponse(state), nil
}

// SendNow measures now, and sends all that waits.
func (s *server) SendNow(ctx context.Context, _ sidecar.SendNowRequestObject) (sidecar.SendNowResponseObject, error) {
	if err := s.o.Agent.Send(ctx); err != nil {
		if ctx.Err() != nil || fault.Is(err, fault.Unavailable) {
			return nil, err
		}
		return nil, fault.New(fault.BadGateway, "%v; measurements that wait: %d", err, s.o.Agent.State().Delivery.Waiting)
	}
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	return sidecar.SendNow200JSONResponse(state), nil
}

// state is what is known now; an error as long as that is nothing.
func (s *server) state() (sidecar.SidecarState, error) {
	known := s.o.Agent.State()
	m := known.Measurement
	switch {
	case !known.Measured:
		return sidecar.SidecarState{}, fault.New(fault.Unavailable, "the first measurement is being made").After(time.Second)
	case m.Empty():
		return sidecar.SidecarState{}, fault.New(fault.Unavailable, "nothing can be measured: %s", join(m.Missing())).After(retryEmpty)
	}
	out := sidecar.SidecarState{
		PodName: s.o.Pod, Namespace: s.o.Namespace, Metrics: wire.Measurements(m), AgeSeconds: max(s.o.Now().Sub(m.At).Seconds(), 0),
		Waiting: int32of(known.Delivery.Waiting), Dropped: known.Delivery.Dropped, Sent: known.Delivery.Sent,
	}
	out.Application = application(m.Application)
	if missing := m.Missing(); len(missing) > 0 {
		out.Missing = &missing
	}
	if at := known.Delivery.LastSent; !at.IsZero() {
		out.LastSentAt = &at
	}
	if known.Delivery.LastError != "" {
		text := cut(known.Delivery.LastError)
		out.LastError = &text
	}
	return out, nil
}
