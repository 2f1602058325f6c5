// Package load sends requests and times the answers, from one thread and over kept connections, with
// prebuilt bytes and raw sockets: it must cost less than any proxy does. It goes to loopback alone, and
// every run is bounded in connections and in time.
package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/loop"
)

// Bounds of a run.
const (
	MaxConnections = 4096
	MaxDuration    = 10 * time.Minute
	silence        = 10 * time.Second // nothing at all came for so long: it hangs
	lastAnswers    = 5 * time.Second  // for what is under way when the time is over
)

// Plan is one run.
type Plan struct {
	Addr        netip.AddrPort
	Connections int
	Request     []byte
	Rate        float64       // requests a second that arrive, answered or not; 0: each connection sends when it was answered
	Warm        time.Duration // before the measurement
	For         time.Duration
	Begin, End  func() // around the measurement, without the warm-up
}

// Result is what a run saw between Begin and End.
type Result struct {
	Requests  int
	Took      time.Duration
	Latencies []time.Duration // in the order of the answers; with a rate, since the request was due
}

func (p Plan) validate() error {
	if p.Connections < 1 || p.Connections > MaxConnections {
		return fmt.Errorf("connections: %d is not allowed: must be from 1 to %d", p.Connections, MaxConnections)
	}
	if p.For <= 0 || p.Warm+p.For > MaxDuration {
		return fmt.Errorf("duration: %v is not allowed: must be more than 0 and at most %v", p.Warm+p.For, MaxDuration)
	}
	return nil
}

// Run sends the load of the plan.
func Run(ctx context.Context, p Plan) (r Result, err error) {
	if err := p.validate(); err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := loop.New()
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	c := &client{plan: p, loop: l}
	defer c.close()
	if err := c.connect(); err != nil {
		return Result{}, err
	}
	c.arrivals = newArrivals(p.Rate, backend.Now())
	return c.result, c.run(ctx)
}
