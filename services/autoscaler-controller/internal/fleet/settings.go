package fleet

import "time"

// BalancerSettings are what every load balancer follows.
type BalancerSettings struct {
	Policy         string // how a pod is chosen where the CustomAutoscaler does not say; in the contract's words
	MaxConnections int32
	Timeout        time.Duration
}

// Configure takes the settings of the load balancers and tells them, as it tells the routes. Before
// the first call they are told nothing, and keep what they follow.
func (f *Fleet) Configure(s BalancerSettings) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if before := f.routes.settings; before != nil && *before == s {
		return
	}
	f.routes.settings = &s
	f.routes.note(change{settings: true})
}
