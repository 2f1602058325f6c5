package fleet

import "math"

// knee learns how many requests a pod works on at a time before its throughput stops to grow: of each
// level of concurrency it keeps the throughput that was seen. It says nothing before it has seen a
// level at twice the concurrency that gave no more.
type knee struct{ levels [kneeLevels]level }

// level is what was seen around one concurrency: 2^(i/2).
type level struct {
	seen       int
	throughput float64 // answers per second and pod, a mean that forgets
}

const (
	kneeLevels  = 32   // to 46,000 requests on a pod
	perOctave   = 2    // levels
	enoughLooks = 10   // at a level before it counts
	kneeShare   = 0.9  // of the best throughput that a level must have to be the knee
	growth      = 1.1  // less than that at twice the concurrency is none
	forgetting  = 0.05 // the weight of the last look
)

// see takes a look at the pods: how many requests are on one, and how many it ends per second.
func (k *knee) see(concurrency, throughput float64) {
	if !(concurrency >= 0.5) || !(throughput > 0) || math.IsInf(concurrency+throughput, 0) {
		return
	}
	l := &k.levels[min(max(int(math.Round(perOctave*math.Log2(concurrency))), 0), kneeLevels-1)]
	l.seen = min(l.seen+1, 1<<30)
	l.throughput += (throughput - l.throughput) * max(forgetting, 1/float64(l.seen))
}

// concurrency is the knee; 0 while it is not known.
func (k *knee) concurrency() float64 {
	if k == nil {
		return 0
	}
	best := 0.0
	for _, l := range k.levels {
		if l.seen >= enoughLooks {
			best = max(best, l.throughput)
		}
	}
	for i, l := range k.levels {
		if l.seen < enoughLooks || l.throughput < kneeShare*best {
			continue
		}
		for _, higher := range k.levels[min(i+perOctave, kneeLevels):] {
			if higher.seen >= enoughLooks && higher.throughput <= growth*l.throughput {
				return math.Exp2(float64(i) / perOctave)
			}
		}
		return 0 // nothing tells yet that more would not be more
	}
	return 0
}
