package app

import (
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// senders are the ways to pods, by what these speak.
type senders struct{ http1, http2 proxy.Sender }

// Send sends the request in the pod's protocol.
func (s senders) Send(to proxy.Destination, r *proxy.Outgoing) (proxy.Answer, error) {
	if to.Protocol == routing.H2C {
		return s.http2.Send(to, r)
	}
	return s.http1.Send(to, r)
}
