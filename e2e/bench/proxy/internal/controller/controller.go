// Package controller is an autoscaler-controller as far as a load balancer of ours asks for one: it
// has some routes that never change, and takes every report.
package controller

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

const version = "bench.1"

// Server is the controller.
type Server struct {
	autoscaler.StrictServerInterface

	routes []autoscaler.Route
	server *http.Server
	addr   string
}

// Options say where the routes lead.
type Options struct {
	Prefix, Backend         string // HTTP/1.1
	PrefixGRPC, BackendGRPC string // HTTP/2 in clear
	Asleep                  string // prefix of an application that is started and never gets ready
}

// Start serves until Close.
func Start(ctx context.Context, o Options) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	grpc := awake("grpc", o.PrefixGRPC, o.BackendGRPC)
	grpc.StripPrefix, grpc.Protocol = new(false), new(autoscaler.H2C)
	s := &Server{
		routes: []autoscaler.Route{awake("bench", o.Prefix, o.Backend), grpc, route("asleep", o.Asleep)},
		addr:   listener.Addr().String(),
	}
	handler := autoscaler.HandlerWithOptions(autoscaler.NewStrictHandler(s, nil), autoscaler.ChiServerOptions{})
	s.server = &http.Server{Handler: known(handler), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// known answers what it does not serve as a controller of before does: there are neither certificates nor keys.
func known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/certificates", "/v1/identity/keys", "/v1/access":
			http.NotFound(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// URL is where it listens.
func (s *Server) URL() string { return "http://" + s.addr }

// Close ends it.
func (s *Server) Close() error { return s.server.Close() }

// WatchRoutes answers once, and then never again while it is waited for.
func (s *Server) WatchRoutes(ctx context.Context, request autoscaler.WatchRoutesRequestObject) (autoscaler.WatchRoutesResponseObject, error) {
	if after := request.Params.After; after != nil && *after == version {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Second):
			return autoscaler.WatchRoutes200JSONResponse{Version: version, Applications: []autoscaler.Route{}, Removed: []autoscaler.ApplicationKey{}}, nil
		}
	}
	return autoscaler.WatchRoutes200JSONResponse{Version: version, Complete: true, Applications: s.routes, Removed: []autoscaler.ApplicationKey{}}, nil
}

// StartApplication says that the pods are starting.
func (s *Server) StartApplication(context.Context, autoscaler.StartApplicationRequestObject) (autoscaler.StartApplicationResponseObject, error) {
	return autoscaler.StartApplication200JSONResponse{State: autoscaler.ApplicationStateWaking, Replicas: 1, Scaled: true, Message: "0 to 1"}, nil
}

// ReportTraffic takes every report.
func (s *Server) ReportTraffic(context.Context, autoscaler.ReportTrafficRequestObject) (autoscaler.ReportTrafficResponseObject, error) {
	return autoscaler.ReportTraffic200JSONResponse{Status: autoscaler.TrafficReceived}, nil
}

// ListDecisions has none.
func (s *Server) ListDecisions(context.Context, autoscaler.ListDecisionsRequestObject) (autoscaler.ListDecisionsResponseObject, error) {
	return autoscaler.ListDecisions200JSONResponse{Items: []autoscaler.Decision{}}, nil
}

// awake is the route to an application with one pod.
func awake(name, prefix, backend string) autoscaler.Route {
	r := route(name, prefix)
	r.State = autoscaler.ApplicationStateAwake
	r.Endpoints = []autoscaler.Endpoint{{Pod: name + "-0", Address: backend, Ready: true, Probes: []autoscaler.Probe{}}}
	return r
}

// route is that of an application without pods.
func route(name, prefix string) autoscaler.Route {
	return autoscaler.Route{
		Namespace: "default", Deployment: name, Autoscaler: name, ApiPrefix: prefix, Hosts: []string{},
		State: autoscaler.ApplicationStateAsleep, WakeUpTimeoutSeconds: 600, Endpoints: []autoscaler.Endpoint{},
	}
}
