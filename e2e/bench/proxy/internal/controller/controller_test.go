package controller

import (
	"context"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestWatchRoutes_HasBothRoutesAndThenNoChange(t *testing.T) {
	s, err := Start(t.Context(), "127.0.0.1:1005", "/bench", "/asleep")
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
	if len(routes) != 2 || !answer.JSON200.Complete || routes[0].Endpoints[0].Address != "127.0.0.1:1005" || len(routes[1].Endpoints) != 0 {
		t.Errorf("%+v", answer.JSON200)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	after := answer.JSON200.Version
	if _, err := s.WatchRoutes(ctx, autoscaler.WatchRoutesRequestObject{Params: autoscaler.WatchRoutesParams{After: &after}}); err == nil {
		t.Error("something changed, where nothing does")
	}
}
