// Package tuning holds the settings that people change while the load balancers run, the same ones
// for every replica: they are kept in the cluster by the controller, which publishes them with
// the routes. Who follows a setting reads it here anew for each request, so that a change needs no
// restart and drops no connection.
//
// It is pure: where settings come from, and who is notified, is others' business. What a replica is
// started with (ports, sizes) is not here; see app.
package tuning

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

// The policies, in the words of the settings.
const (
	RoundRobin       = "round_robin"
	LeastConnections = "least_connections"
	Random           = "random"
	LeastRequest     = "least_request"
	PeakEWMA         = "peak_ewma"
	Prequal          = "prequal"
	ConsistentHash   = "consistent_hash"
	ModelAware       = "model_aware"
)

// Settings are what every load balancer follows.
type Settings struct {
	Policy         string        // for applications whose route names no algorithm
	MaxConnections int           // client connections that one load balancer serves at a time
	Timeout        time.Duration // how long a pod may stay silent
}

// Defaults are the contract's; a test holds the two together.
func Defaults() Settings {
	return Settings{Policy: LeastConnections, MaxConnections: 10_000, Timeout: 10 * time.Minute}
}

// OrDefaults is s with the defaults in place of what is not set.
func (s Settings) OrDefaults() Settings {
	d := Defaults()
	if s.Policy == "" {
		s.Policy = d.Policy
	}
	if s.MaxConnections <= 0 {
		s.MaxConnections = d.MaxConnections
	}
	if s.Timeout <= 0 {
		s.Timeout = d.Timeout
	}
	return s
}

// Algorithm is the policy as a CustomAutoscaler names it. A name that is not known, of a newer
// controller, stays as it is: balance says what is done then.
func (s Settings) Algorithm() string {
	if name, known := algorithms[s.Policy]; known {
		return name
	}
	return s.Policy
}

var algorithms = map[string]string{
	RoundRobin: balance.RoundRobinName, LeastConnections: balance.LeastConnectionsName, Random: balance.RandomName,
	LeastRequest: balance.LeastRequestName, PeakEWMA: balance.PeakEWMAName, Prequal: balance.PrequalName,
	ConsistentHash: balance.ConsistentHashName, ModelAware: balance.ModelAwareName,
}
