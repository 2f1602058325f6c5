package fleet

import "time"

// BalancerSettings are what every load balancer follows.
type BalancerSettings struct {
	Policy         string // how a pod is chosen where the CustomAutoscaler does not say; in the contract's words
	MaxConnections int32
	Timeout        time.Duration
	Version        uint64 // grows with every change, whichever replica reads it; 0: not known
}

// Configure takes the settings of the load balancers and publishes them, as it does the routes. Before
// the first call none are published, and the load balancers keep what they follow. A new version of the
// same settings is published too: a load balancer may have come to know what was between.
func (f *Fleet) Configure(s BalancerSettings) {
	f.routes.configure(s)
}
