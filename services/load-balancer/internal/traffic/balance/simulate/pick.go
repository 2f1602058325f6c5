package simulate

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

// Settled is a pool of a policy in which every pod has answered, and some have requests in flight:
// for benchmarks.
func Settled(name string, pods int, r *rand.Rand) *balance.Pool {
	policy, _ := balance.ByName(name, r.IntN)
	b := balance.NewPool(policy, r.IntN, r.Float64)
	list := make([]*balance.Pod, pods)
	for i := range list {
		list[i] = &balance.Pod{ID: balance.Hash("pod-" + strconv.Itoa(i))}
		list[i].SetUsable(true)
	}
	b.SetPods(list)
	for i, p := range list {
		for range r.IntN(8) {
			p.Answered(balance.Good, time.Duration(1+i%7)*time.Millisecond, p.Sent(), time.Unix(1000, 0))
		}
	}
	return b
}
