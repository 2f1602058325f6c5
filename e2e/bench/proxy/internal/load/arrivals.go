package load

import (
	"math/rand/v2"
	"time"
)

// arrivals are the times at which requests are due, whether earlier ones are answered or not: what a
// slow answer delays has waited since it was due, and so nothing is left out of the latencies
// (coordinated omission). They are as random as strangers are (a Poisson process), and the same in
// every run.
type arrivals struct {
	mean   float64 // nanoseconds
	at     time.Duration
	random *rand.Rand
}

func newArrivals(rate float64, begin time.Duration) arrivals {
	if rate <= 0 {
		return arrivals{at: begin}
	}
	return arrivals{mean: float64(time.Second) / rate, at: begin, random: rand.New(rand.NewPCG(1, 2))}
}

// next is when the next one is due.
func (a *arrivals) next() time.Duration { return a.at }

// take takes the next one.
func (a *arrivals) take() time.Duration {
	at := a.at
	a.at += time.Duration(a.random.ExpFloat64() * a.mean)
	return at
}
