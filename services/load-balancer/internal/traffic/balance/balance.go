// Package balance decides which pod takes a request. A Pool knows the pods of one application as
// this load balancer sees them; its filters leave those that may take a request at all:
//
//	usable (ready, not terminating) ─▶ not ejected ─▶ neither draining nor busy ─▶ room by its limit and its ramp ─▶ policy
//
// and a policy chooses among them. It is pure: chance and time are handed in, and every choice comes
// with its reason. Who the pods are, and whether they are usable, is dispatch's business. A Pool has
// no lock of its own; a pick allocates nothing.
//
// Whoever grants a pod's places across load balancers (slots) says so with Pod.SetLimit: the filter
// for room is the only one that counts requests.
package balance

import (
	"maps"
	"slices"
	"time"
)

// Request is what a policy may know of a request.
type Request struct {
	Key uint64 // of what belongs together, by Hash; 0 is nothing
	Pin uint64 // the ID of the pod that alone can serve it; 0 is any
}

// Policy chooses one of the pool's open pods; index -1 when none of them has room.
type Policy interface {
	Pick(b *Pool, r Request, now time.Time) (index int, reason string)
}

// learner is a policy that goes by what pods did.
type learner interface {
	// answered takes an answer's head: how long it took, and how many requests from here were in
	// flight when it was sent.
	answered(b *Pool, p *Pod, s sample, now time.Time)
}

// sorter is a policy for which pods are kept sorted by their requests in flight, keeper one for which
// it is remembered whose a key is, and counter one that is drawn to pods with few requests in flight.
type (
	sorter  interface{ sorts() }
	keeper  interface{ keeps() }
	counter interface{ counts() }
)

// sample is one answer, or what stands for it.
type sample struct {
	took   time.Duration
	level  int32 // requests in flight at the pod when it was sent, that one included
	failed bool  // then took is what stands for it
}

// Intn is a source of chance: a whole number from 0 to n-1.
type Intn func(n int) int

// The names of the policies, as in a CustomAutoscaler.
const (
	RoundRobinName       = "RoundRobin"
	RandomName           = "Random"
	LeastConnectionsName = "LeastConnections"
	LeastRequestName     = "LeastRequest"
	PeakEWMAName         = "PeakEWMA"
	PrequalName          = "Prequal"
	ConsistentHashName   = "ConsistentHash"
	ModelAwareName       = "ModelAware"
)

// DefaultName is the policy of who names none: of those that learn nothing and need nothing to be said
// the one with the shortest tails (make bench-policies).
const DefaultName = LeastConnectionsName

// constructors are all policies.
var constructors = map[string]func(Intn) Policy{
	RoundRobinName:       newRoundRobin,
	RandomName:           newRandom,
	LeastConnectionsName: newLeastConnections,
	LeastRequestName:     newLeastRequest,
	PeakEWMAName:         newPeakEWMA,
	PrequalName:          newPrequal,
	ConsistentHashName:   newConsistentHash,
	ModelAwareName:       newModelAware,
}

// Names are those of all policies, in order.
func Names() []string { return slices.Sorted(maps.Keys(constructors)) }

// ByName makes the policy of that name; the default, and false, for a name that is not known, as a
// newer controller may send one.
func ByName(name string, intn Intn) (Policy, bool) {
	if construct, known := constructors[name]; known {
		return construct(intn), true
	}
	return constructors[DefaultName](intn), false
}
