package controller

import (
	"context"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestWatchRoutes_HasAllRoutesAndThenNoChange(t *testing.T) {
	s, err := Start(t.Context(), Options{Prefix: "/bench", Backend: "127.0.0.1:1005", PrefixGRPC: "/bench.Echo", BackendGRPC: "127.0.0.1:1006", Asleep: "/asleep"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	client, err := autoscaler.NewClientWithResponses(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.WatchRoutesWithResponse(t.Context(), &autoscaler.WatchRoutesParams{})
	if err != nil || answer.JSON200 == nil {
		t.Fatalf("%v, %v", answer, err)
	}
	routes := answer.JSON200.Applications
	if len(routes) != 3 || !answer.JSON200.Complete || routes[0].Endpoints[0].Address != "127.0.0.1:1005" || *routes[1].Protocol != autoscaler.H2C || len(routes[2].Endpoints) != 0 {
		t.Errorf("%+v", answer.JSON200)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	after := answer.JSON200.Version
	if _, err := s.WatchRoutes(ctx, autoscaler.WatchRoutesRequestObject{Params: autoscaler.WatchRoutesParams{After: &after}}); err == nil {
		t.Error("something changed, where nothing does")
	}
}

func TestStart_HasNeitherCertificatesNorKeys(t *testing.T) {
	s, err := Start(t.Context(), Options{Prefix: "/bench", Backend: "127.0.0.1:1005", PrefixGRPC: "/bench.Echo", BackendGRPC: "127.0.0.1:1006", Asleep: "/asleep"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	client, err := autoscaler.NewClientWithResponses(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := client.IssueCertificateWithResponse(t.Context(), autoscaler.IssueCertificateJSONRequestBody{})
	if err != nil || certificate.StatusCode() != 404 {
		t.Errorf("a certificate: %v, %v, want 404", certificate, err)
	}
	keys, err := client.GetIdentityKeysWithResponse(t.Context())
	if err != nil || keys.StatusCode() != 404 {
		t.Errorf("keys: %v, %v, want 404", keys, err)
	}
}
