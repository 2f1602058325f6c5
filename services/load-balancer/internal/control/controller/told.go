package controller

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// told is what the controller was told, and which life of it: a report to the same one names only
// what has changed since. Of a controller with shards each is told, and each has a life of its own. Only the
// reporter uses it.
type told struct {
	epoch  string // that took the last report; "" is a controller that knows no deltas, nor the fields that came with them
	whole  bool   // it took all of the last report; with shards that says nothing
	shards []toldShard
	apps   map[routing.Application]numbers
}

// toldShard is what one shard was told.
type toldShard struct {
	epoch string
	whole bool
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

// knows tells whether the next report may build on the last one, for one shard at least.
func (k *told) knows() bool {
	return k.epoch != "" && (k.whole || slices.ContainsFunc(k.shards, func(s toldShard) bool { return s.whole }))
}

// all tells whether it may for every shard.
func (k *told) all() bool {
	return !slices.ContainsFunc(k.shards, func(s toldShard) bool { return !s.whole })
}

// meet takes note of shards that are not those that were told, or that there are none.
func (k *told) meet(shards []autoscaler.ShardReceipt) {
	k.whole, k.shards = false, nil
	for _, s := range shards {
		k.shards = append(k.shards, toldShard{epoch: s.Epoch})
	}
}

// begin begins a report of what is named, and returns what is to be told: what has changed, or with no delta
// everything; of a shard that lacks something everything too. Until took nothing counts as told.
func (k *told) begin(traffic []dispatch.Traffic, delta bool) []dispatch.Traffic {
	if k.whole = false; !delta {
		k.apps = nil // no shard's whole is true either
		return traffic
	}
	lacks := make([]bool, len(k.shards))
	for i := range k.shards {
		lacks[i], k.shards[i].whole = !k.shards[i].whole, false
	}
	k.forget(lacks)
	return k.changed(traffic)
}

// forget forgets what shards were told.
func (k *told) forget(which []bool) {
	if slices.Contains(which, true) {
		maps.DeleteFunc(k.apps, func(app routing.Application, _ numbers) bool { return which[shard.Of(app.Namespace, len(which))] })
	}
}

// ofShards are the applications of some shards.
func ofShards(traffic []dispatch.Traffic, which []bool) (list []dispatch.Traffic) {
	if !slices.Contains(which, true) {
		return nil
	}
	for i := range traffic {
		if which[shard.Of(traffic[i].App.Namespace, len(which))] {
			list = append(list, traffic[i])
		}
	}
	return list
}

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
// epochs or not, but by the shards that lack something. of is how many applications there are at most.
func (k *told) took(named []dispatch.Traffic, r report, of int, lacking []bool) {
	k.whole = len(k.shards) == 0 && r.later && k.epoch != ""
	for i := range k.shards {
		took := !r.delta // before they were known as shards
		if i < len(lacking) {
			took = !lacking[i]
		}
		k.shards[i].whole = took && r.later && k.shards[i].epoch != ""
	}
	if !k.knows() {
		k.apps = nil // the next one is told everything
		return
	}
	if k.apps == nil {
		k.apps = make(map[routing.Application]numbers, len(named))
	}
	for i := range named {
		k.apps[named[i].App] = numbersOf(&named[i])
	}
	k.forget(lacking)
	if r.delta && len(k.apps) > 2*of+16 { // many have gone: they are forgotten with the next one, of everything
		k.whole = false
		for i := range k.shards {
			k.shards[i].whole = false
		}
	}
}
