package nethttp

import (
	"bytes"
	"context"
	"net/http"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// Caller sends orders of the admin API through the proxy.
type Caller struct{ Proxy *proxy.Proxy }

// Call sends an order, and writes the answer to w, of which nothing is asked but to write and flush.
// ctx ends the order; peer is who asked, host:port.
func (k Caller) Call(ctx context.Context, w http.ResponseWriter, peer string, o proxy.Order) proxy.Outcome {
	c := newClient(ctx, w, peer, bytes.NewReader(o.Body))
	defer c.cancel()
	return k.Proxy.Call(c, o)
}
