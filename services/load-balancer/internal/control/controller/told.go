package controller

import (
	"fmt"
	"hash/fnv"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// told is what the controller was told, and which life of it: a report to the same one names only
// what has changed since. Only the reporter uses it.
type told struct {
	epoch string // that took the last report; "" is a controller that knows no deltas, nor the fields that came with them
	whole bool   // it took all of the last report
	apps  map[routing.Application]numbers
}

// numbers are all that is counted of an application that stay as they are while it is quiet.
type numbers struct {
	inFlight, streaming, tunnels, waiting     int
	waitingBytes, activity                    int64
	arrivals, requests, failures, rejected    int64
	busySeconds, streamSeconds, tunnelSeconds float64
	pods                                      uint64 // which of them has how much, as a sum
}

func numbersOf(t *dispatch.Traffic) numbers {
	return numbers{
		t.InFlight, t.Streaming, t.Tunnels, t.Waiting,
		t.WaitingBytes, t.LastActivity.UnixNano(),
		t.Arrivals, t.Requests, t.Failures, t.Rejected,
		t.BusySeconds, t.StreamSeconds, t.TunnelSeconds, podsSum(t.Pods),
	}
}

// podsSum is another one when what is said of the pods is.
func podsSum(pods []dispatch.PodTraffic) uint64 {
	if pods == nil {
		return 0
	}
	sum := fnv.New64a()
	for _, p := range pods {
		_, _ = fmt.Fprintf(sum, "%s %d %d\n", p.Pod, p.InFlight, p.Streaming) // never fails
	}
	return sum.Sum64()
}

// knows tells whether the next report may build on the last one.
func (k *told) knows() bool { return k.epoch != "" && k.whole }

// changed are the applications of which there is something new.
func (k *told) changed(traffic []dispatch.Traffic) []dispatch.Traffic {
	named := make([]dispatch.Traffic, 0, 16)
	for i := range traffic {
		t := &traffic[i]
		before, known := k.apps[t.App]
		if !known || before != numbersOf(t) || t.Times != (dispatch.Times{}) || len(t.WakeUps) > 0 {
			named = append(named, *t)
		}
	}
	return named
}

// took notes that a report of what is named was taken to its end, in the words of a controller that knows
// epochs or not. of is how many applications there are at most, where it named what had changed alone.
func (k *told) took(named []dispatch.Traffic, r report, of int) {
	if k.whole = r.later && k.epoch != ""; !k.whole {
		k.apps = nil // the next one is told everything
		return
	}
	if k.apps == nil {
		k.apps = make(map[routing.Application]numbers, len(named))
	}
	for i := range named {
		k.apps[named[i].App] = numbersOf(&named[i])
	}
	if r.delta && len(k.apps) > 2*of+16 { // many have gone: they are forgotten with the next one, of everything
		k.whole = false
	}
}
