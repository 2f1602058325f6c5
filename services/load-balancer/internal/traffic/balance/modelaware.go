package balance

import "time"

// How a model server's load is weighed.
const (
	cacheFull     = 0.8  // share of a KV cache from which on it costs: requests are preempted soon
	cacheCost     = 10   // times what is above: three times the cost when it is full
	affinityBound = 1.25 // times the least cost, that a pod may have which knows the prompt
	affinitySlack = 2    // requests beside
)

// modelAware takes the model server with the least to do: the requests on it, those that wait in it
// once more, all the more the fuller its KV cache is. What pods say of themselves loses weight with
// its age, and our own requests are counted without delay. A pod that has the beginning of the
// prompt in its cache, which is the same one for the same beginning, is taken although it has
// somewhat more to do.
type modelAware struct{ intn Intn }

func newModelAware(intn Intn) Policy { return modelAware{intn} }

func (modelAware) keeps()  {}
func (modelAware) counts() {}

// Pick implements Policy.
func (m modelAware) Pick(b *Pool, r Request, now time.Time) (int, string) {
	n := len(b.open)
	at := 0
	if n > 1 {
		at = m.intn(n)
	}
	best, least := -1, 0.0
	for range min(n, probes) {
		if i := int(b.open[at]); b.free(i) {
			if c := m.cost(b, i, now); best < 0 || c < least {
				best, least = i, c
			}
		}
		if at++; at == n {
			at = 0
		}
	}
	if best < 0 {
		best = b.fewest(m.intn)
	}
	if r.Key != 0 && best >= 0 {
		if i := b.owner(r.Key, unlimited); i >= 0 && m.cost(b, i, now) <= affinityBound*least+affinitySlack {
			return i, "it has the beginning of the prompt"
		}
	}
	return best, "least to do, by its own account and ours"
}

func (modelAware) cost(b *Pool, i int, now time.Time) float64 {
	load := float64(b.load[i]) + 1
	if !b.loads.known {
		return load
	}
	g := &b.pods[i].gauges
	w := g.weight(now)
	load += mixed(g.others(), b.loads.others, w) + mixed(g.Waiting, b.loads.waiting, w)
	return load * (1 + cacheCost*max(mixed(g.Cache, b.loads.cached, w)-cacheFull, 0))
}
