package balance

import "time"

// How long what a pod says of itself counts.
const (
	gaugesFresh = time.Second      // in full
	gaugesGone  = 10 * time.Second // and not at all any more
)

// Gauges are what a pod says of itself.
type Gauges struct {
	Running float64   // requests that it works on, whoever sent them
	Waiting float64   // requests that wait in it
	Cache   float64   // share of its KV cache that is used, from 0 to 1
	At      time.Time // when it came here; zero: it says nothing

	own int32 // in flight from here then
}

// gaugeMean is what pods say on average. It stands for those that say nothing, or said it long ago:
// silence must not attract requests.
type gaugeMean struct {
	known                   bool
	others, waiting, cached float64
}

// SetGauges takes what the pod says of itself.
func (p *Pod) SetGauges(g Gauges) {
	g.own = p.inFlight
	p.gauges = g
	p.changed()
}

// others are the requests on the pod that are not from here. Ours are known without delay.
func (g *Gauges) others() float64 { return max(g.Running+g.Waiting-float64(g.own), 0) }

// weight is how much the gauges still count.
func (g *Gauges) weight(now time.Time) float64 {
	if g.At.IsZero() {
		return 0
	}
	return min(max(float64(gaugesGone-now.Sub(g.At))/float64(gaugesGone-gaugesFresh), 0), 1)
}

// average takes the mean of those that are fresh.
func (b *Pool) average(now time.Time) {
	var m gaugeMean
	n := 0.0
	for _, p := range b.pods {
		if w := p.gauges.weight(now); w > 0 && p.usable {
			m.others += w * p.gauges.others()
			m.waiting += w * p.gauges.Waiting
			m.cached += w * p.gauges.Cache
			n += w
		}
	}
	if n > 0 {
		m = gaugeMean{known: true, others: m.others / n, waiting: m.waiting / n, cached: m.cached / n}
	}
	b.loads = m
}

// mixed is the value as far as it counts, and the mean for the rest.
func mixed(value, mean, weight float64) float64 { return mean + (value-mean)*weight }
