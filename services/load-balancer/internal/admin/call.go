package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

const (
	jsonMedia = "application/json"
	apiPath   = "/api" // of a target application, as the contract has it
	busyRetry = time.Second
)

// ProxyRequest sends one request to an application, and answers with its answer in an envelope.
func (a *api) ProxyRequest(w http.ResponseWriter, r *http.Request) {
	var request loadbalancer.ProxyRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		fault.Write(w, r, contract.Refusal(err, http.StatusBadRequest))
		return
	}
	target, err := meant(r.Context(), a.o, func(routes []routing.Route) (routing.Target, string, error) {
		t, err := targetOf(routes, request.TargetUrl)
		return t, t.Application.Namespace, err
	})
	if err != nil {
		fault.Write(w, r, err)
		return
	}
	order := proxy.Order{Target: target, Method: string(value(request.Method)), ContentType: jsonMedia, Body: request.Data, Traceparent: r.Header.Get("Traceparent")}
	switch {
	case order.Method != "":
	case len(order.Body) > 0:
		order.Method = http.MethodPost
	default:
		order.Method = http.MethodGet
	}
	answer := &envelope{budget: a.answers, header: http.Header{}}
	defer answer.close()
	began := a.o.Now()
	outcome := a.o.Caller.Call(r.Context(), answer, r.RemoteAddr, order)
	switch {
	case outcome.Refusal != nil:
		refuse(w, r, outcome, outcome.Refusal)
		return
	case outcome.Cut && r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody is there to read an answer
	case outcome.Cut:
		refuse(w, r, outcome, answer.refusal())
		return
	}
	response := loadbalancer.ProxyResponse{LatencyMs: milliseconds(a.o.Now().Sub(began)), Pod: optional(outcome.Pod)}
	answer.fill(&response)
	if err := loadbalancer.ProxyRequest200JSONResponse(response).VisitProxyRequestResponse(w); err != nil {
		fault.Write(w, r, err)
	}
}

// QueryTargetApp asks the target application.
func (a *api) QueryTargetApp(w http.ResponseWriter, r *http.Request, params loadbalancer.QueryTargetAppParams) {
	query := ""
	if params.Query != nil {
		query = url.Values{"query": {*params.Query}}.Encode()
	}
	a.passOn(w, r, params.Target, query)
}

// ActOnTargetApp has the target application do something.
func (a *api) ActOnTargetApp(w http.ResponseWriter, r *http.Request, params loadbalancer.ActOnTargetAppParams) {
	a.passOn(w, r, params.Target, "")
}

// UpdateTargetApp replaces a resource of the target application.
func (a *api) UpdateTargetApp(w http.ResponseWriter, r *http.Request, params loadbalancer.UpdateTargetAppParams) {
	a.passOn(w, r, params.Target, "")
}

// ChangeTargetApp changes a resource of the target application.
func (a *api) ChangeTargetApp(w http.ResponseWriter, r *http.Request, params loadbalancer.ChangeTargetAppParams) {
	a.passOn(w, r, params.Target, "")
}

// passOn sends the request to the application's own API, and streams the answer back as it is.
func (a *api) passOn(w http.ResponseWriter, r *http.Request, target *string, query string) {
	route, err := meant(r.Context(), a.o, func(routes []routing.Route) (routing.Route, string, error) {
		route, err := routeOf(routes, value(target))
		return route, route.Application.Namespace, err
	})
	if err != nil {
		fault.Write(w, r, err)
		return
	}
	inside, err := routing.Inside(route, apiPath, query)
	if err != nil {
		fault.Write(w, r, err)
		return
	}
	body, err := io.ReadAll(r.Body) // the validator has read it: it is in memory
	if err != nil {
		fault.Write(w, r, fault.New(fault.Invalid, "the body did not arrive").Because(err))
		return
	}
	outcome := a.o.Caller.Call(r.Context(), through{w}, r.RemoteAddr, proxy.Order{
		Target: inside, Method: r.Method, ContentType: jsonMedia, Body: body, Traceparent: r.Header.Get("Traceparent"),
	})
	switch {
	case outcome.Refusal != nil:
		refuse(w, r, outcome, outcome.Refusal)
	case outcome.Cut:
		panic(http.ErrAbortHandler) // the client must see that the answer is not whole
	}
}

// refuse answers with a problem document that names the trace of the request that was made.
func refuse(w http.ResponseWriter, r *http.Request, outcome proxy.Outcome, problem *fault.Error) {
	fault.Write(w, r.WithContext(trace.ContextWithSpanContext(r.Context(), outcome.Trace)), problem)
}

// through lets an answer through to who asked, and nothing else: reading from the connection, and
// the connection itself, stay with the admin server.
type through struct{ w http.ResponseWriter }

func (t through) Header() http.Header         { return t.w.Header() }
func (t through) WriteHeader(status int)      { t.w.WriteHeader(status) }
func (t through) Write(p []byte) (int, error) { return t.w.Write(p) }

// FlushError sends what was written.
func (t through) FlushError() error { return http.NewResponseController(t.w).Flush() }

// SetWriteDeadline bounds how long a client may take for a part of the answer.
func (t through) SetWriteDeadline(at time.Time) error {
	return http.NewResponseController(t.w).SetWriteDeadline(at)
}
