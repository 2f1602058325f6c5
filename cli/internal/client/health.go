package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/nemesis-scaling/nemesis/gen/common"
)

// healthLimit bounds what is read of a page that should be short.
const healthLimit = 64 << 10

// Health is what the controller says of itself to anybody who asks.
func (n *Nemesis) Health(ctx context.Context) (common.Health, error) {
	way, err := n.toController(ctx)
	if err != nil {
		return common.Health{}, err
	}
	return way.health(ctx)
}

// Health is what the load balancer says of itself to anybody who asks.
func (b Balancer) Health(ctx context.Context) (common.Health, error) { return b.way.health(ctx) }

// health is what /readyz answers: 200 and 503 are answers alike.
func (w way) health(ctx context.Context) (common.Health, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/readyz", nil)
	if err != nil {
		return common.Health{}, err
	}
	answer, err := w.http.send(r)
	if err != nil {
		return common.Health{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, healthLimit))
	if err != nil {
		return common.Health{}, &UnreachableError{Who: w.http.who, Where: r.URL.Host, Err: err}
	}
	var h common.Health
	if json.Unmarshal(body, &h) != nil || h.Status == "" {
		return h, refusalOf(answer.StatusCode, body)
	}
	return h, nil
}
