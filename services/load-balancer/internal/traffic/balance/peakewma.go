package balance

import (
	"math"
	"time"
)

// ewmaDecay is in how long a peak is forgotten to a third.
const ewmaDecay = 10 * time.Second

// latency is how long a pod took lately until its answer began: an average that a slow answer lifts
// at once, and that time and quick answers bring down.
type latency struct {
	mean float64 // milliseconds
	at   time.Time
}

func (l *latency) observe(took float64, now time.Time) {
	if l.at.IsZero() || took > l.mean {
		l.mean = took
	} else {
		l.mean = took + (l.mean-took)*decayed(now.Sub(l.at))
	}
	l.at = now
}

// read is the average now. What is long ago says little: a pod that is not asked any more is taken
// for a typical one after a while, as one is that never answered yet.
func (l *latency) read(typical float64, now time.Time) float64 {
	if l.at.IsZero() {
		return typical
	}
	return typical + (l.mean-typical)*decayed(now.Sub(l.at))
}

func decayed(age time.Duration) float64 {
	if age <= time.Millisecond { // the usual case, and not worth an exponential
		return 1 - float64(max(age, 0))/float64(ewmaDecay)
	}
	return math.Exp(-float64(age) / float64(ewmaDecay))
}

// peakEWMA takes the one of two pods that chance names where an answer will come sooner: by its
// latency lately, times the requests that are in flight there.
type peakEWMA struct{ intn Intn }

func newPeakEWMA(intn Intn) Policy { return peakEWMA{intn} }

func (peakEWMA) counts() {}

// Pick implements Policy.
func (e peakEWMA) Pick(b *Pool, _ Request, now time.Time) (int, string) {
	const reason = "answers sooner than another one"
	first, second := b.two(e.intn)
	if second < 0 {
		return first, reason
	}
	one, other := e.cost(b, first, now), e.cost(b, second, now)
	if other < one || other == one && e.intn(2) == 0 {
		return second, reason
	}
	return first, reason
}

func (peakEWMA) cost(b *Pool, i int, now time.Time) float64 {
	const least = 1e-3 // of a millisecond: before any answer came requests in flight alone count
	return max(b.pods[i].latency.read(b.typical, now), least) * float64(b.load[i]+1)
}

func (peakEWMA) answered(_ *Pool, p *Pod, s sample, now time.Time) {
	p.latency.observe(milliseconds(s.took), now)
}
