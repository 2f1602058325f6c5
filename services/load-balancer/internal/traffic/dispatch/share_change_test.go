package dispatch

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// TestShare_KeepsTheLimitWhileItIsChangedAndPodsDrain has limits change, and pods be chosen to go, while
// requests come and go at three load balancers.
func TestShare_KeepsTheLimitWhileItIsChangedAndPodsDrain(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := newParty(t, "a", "b", "c")
		names := []string{"x", "y", "z"}
		drains := map[string]bool{}
		limit, before := int(1+seed%3), int(1+seed%3)
		follow := func() {
			endpoints := make([]routing.Endpoint, 0, len(names))
			for _, name := range names {
				e := pod(name, nil)
				if drains[name] {
					chosen(time.Minute)(&e)
				}
				endpoints = append(endpoints, e)
			}
			p.follow(limit, endpoints...)
		}
		follow()
		var waiting, sent []*Visit
		on := map[string]int{}
		look := func(step int, changed bool) {
			left := waiting[:0:0]
			for _, v := range waiting {
				if v.Pod == nil {
					left = append(left, v)
					continue
				}
				on[v.Pod.Name]++
				sent = append(sent, v)
				if most := max(limit, before); limit > 0 && before > 0 && on[v.Pod.Name] > most {
					t.Fatalf("seed %d, step %d: %d on a pod, the limit is %d", seed, step, on[v.Pod.Name], most)
				}
				if !changed && drains[v.Pod.Name] {
					t.Fatalf("seed %d, step %d: sent to a pod that drains", seed, step)
				}
			}
			waiting = left
		}
		for step := range 300 {
			changed := false
			switch r.IntN(12) {
			case 0:
				before, limit, changed = limit, r.IntN(4), true
				follow()
			case 1:
				name := names[r.IntN(2)] // z stays
				drains[name], changed = !drains[name], true
				follow()
			case 2, 3, 4, 5, 6:
				if len(sent) > 0 {
					i := r.IntN(len(sent))
					v := sent[i]
					sent[i] = sent[len(sent)-1]
					sent = sent[:len(sent)-1]
					on[v.Pod.Name]--
					p.end(v)
				}
			default:
				waiting = append(waiting, p.ask([]string{"a", "b", "c"}[r.IntN(3)]))
			}
			look(step, changed)
			if !changed {
				before = limit
			}
		}
		limit, before = 3, 3
		clear(drains)
		follow()
		for n := 0; len(waiting)+len(sent) > 0; n++ {
			if look(n, true); len(sent) == 0 || n > 2000 {
				t.Fatalf("seed %d: %d wait for ever", seed, len(waiting))
			}
			v := sent[0]
			sent = sent[1:]
			on[v.Pod.Name]--
			p.end(v)
		}
	}
}
