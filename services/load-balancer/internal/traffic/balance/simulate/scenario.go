// Package simulate sends requests through the very policies of package balance in virtual time, so
// that they can be compared: several load balancers that do not speak to each other, pods of
// different speeds, costs with a heavy tail, pods that fail or come cold. It is pure and, for one
// seed, gives the same every time. Connections, bodies and the time of the network's way are not
// simulated: they are the same for every policy.
package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// Scenario is what is simulated.
type Scenario struct {
	Name      string
	Pods      []Pod
	Balancers int
	Load      float64 // of what the pods that are there from the beginning can do, from 0 to 1
	Cost      Cost
	Requests  int
	Limit     int           // requests that a pod may have at a time, from each load balancer; 0 is none
	Keys      int           // how many different keys there are; 0 is that requests have none
	Gauges    time.Duration // how often pods say how much they have to do; 0 is never
	Lag       time.Duration // how old that is when it comes to the load balancers
}

// Pod is one server: requests queue, and so many are worked on at a time.
type Pod struct {
	Speed   float64 // of work done in a second by a worker; 1 is the usual
	Workers int
	Joins   time.Duration // when it comes; 0 is from the beginning
	Cold    int           // so many first requests take longer
	ColdFor float64       // by this factor
	// FailShare of the requests is answered with an error after FailTook, without work: FailStatus, or 503.
	FailShare  float64
	FailTook   time.Duration
	FailStatus int
	// Most is how many requests it takes at a time; above, it answers 429 after FailTook. 0 is any number.
	Most int
}

// Cost draws how long one request is worked on at speed 1.
type Cost struct {
	Name string
	Mean time.Duration
	Draw func(r *rand.Rand) time.Duration
}

// Exponential is the cost of the textbook.
func Exponential(mean time.Duration) Cost {
	return Cost{"exponential", mean, func(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * float64(mean)) }}
}

// Fixed is the same cost for every request.
func Fixed(mean time.Duration) Cost {
	return Cost{"fixed", mean, func(*rand.Rand) time.Duration { return mean }}
}

// Mixed is many light requests among a few heavy ones: of twenty one takes twenty times as long.
func Mixed(mean time.Duration) Cost {
	const share, times = 0.05, 20
	light := float64(mean) / (1 - share + share*times)
	return Cost{"mixed", mean, func(r *rand.Rand) time.Duration {
		cost := r.ExpFloat64() * light
		if r.Float64() < share {
			cost *= times
		}
		return time.Duration(cost)
	}}
}

// HeavyTailed is log-normal: the longest of a thousand takes some sixty times the mean.
func HeavyTailed(mean time.Duration) Cost {
	const sigma = 1.5
	return Cost{"heavy-tailed", mean, func(r *rand.Rand) time.Duration {
		return time.Duration(float64(mean) * math.Exp(sigma*r.NormFloat64()-sigma*sigma/2))
	}}
}

// capacity is how many requests a second the pods can work on that are there from the beginning.
func (s Scenario) capacity() float64 {
	work := 0.0
	for _, p := range s.Pods {
		if p.Joins == 0 && p.FailShare < 1 {
			work += p.Speed * float64(p.Workers)
		}
	}
	return work / s.Cost.Mean.Seconds()
}

// Alike makes n pods of one kind.
func Alike(n int, p Pod) []Pod {
	pods := make([]Pod, n)
	for i := range pods {
		pods[i] = p
	}
	return pods
}

// Speeds makes n pods whose speeds are those given, in turn.
func Speeds(n, workers int, speeds ...float64) []Pod {
	pods := make([]Pod, n)
	for i := range pods {
		pods[i] = Pod{Speed: speeds[i%len(speeds)], Workers: workers}
	}
	return pods
}
