package balance

import "time"

// How Prequal chooses.
const (
	probes      = 16   // pods that are looked at, at most
	hotQuantile = 0.75 // of the requests in flight: a pod above it is hot
)

// prequal goes by two signals, as the paper of that name (NSDI 2024) does: requests in flight, and
// the latency that goes with so many. Pods with many in flight are hot; of those that are not the one
// is taken whose answer will come soonest, and when all are, the one with the fewest in flight.
//
// What the paper asks pods for by probes is known here without asking: every answer is a report, and
// the requests in flight from here are counted as they are sent, so a report is charged at once. There
// is one freshest report for each pod; of more than 16 pods chance takes 16. A pod that has left has
// none. What pods say of themselves is not used: it is older than the requests that it leads to, and
// four load balancers that follow it herd (make bench-policies). That a pod has much to do from
// elsewhere shows in its answers soon enough.
type prequal struct{ intn Intn }

func newPrequal(intn Intn) Policy { return prequal{intn} }

func (prequal) counts() {}

func (prequal) answered(b *Pool, p *Pod, s sample, now time.Time) {
	p.pace.observe(b.usual.compare(s), s.failed, now.UnixNano())
}

// report is what is known of a pod.
type report struct{ pod, inFlight int32 }

// Pick implements Policy.
func (q prequal) Pick(b *Pool, _ Request, now time.Time) (int, string) {
	var space [probes]report
	reports := q.reports(b, space[:0])
	if len(reports) == 0 { // those that were looked at are full
		return b.fewest(q.intn), "fewest requests in flight"
	}
	hot, at := quantile(reports), now.UnixNano()
	cold, calm := -1, 0
	soonest := float32(0)
	for k, r := range reports {
		if r.inFlight < reports[calm].inFlight {
			calm = k
		}
		if r.inFlight > hot {
			continue
		}
		if due := float32(r.inFlight+1) * b.pods[r.pod].pace.read(at); cold < 0 || due < soonest {
			cold, soonest = k, due
		}
	}
	if cold >= 0 {
		return int(reports[cold].pod), "the quickest of those with few requests in flight"
	}
	return int(reports[calm].pod), "fewest requests in flight"
}

// reports are those of up to 16 free pods, in an order that begins anywhere.
func (q prequal) reports(b *Pool, into []report) []report {
	n := len(b.open)
	at, step := 0, 1
	if n > 1 {
		at = q.intn(n)
	}
	if n > probes { // a stride through all of them: 16 different ones
		step = 1 + q.intn(n/probes)
	}
	for range n {
		if i := b.open[at]; b.free(int(i)) {
			into = append(into, report{i, b.load[i]})
			if len(into) == cap(into) {
				return into
			}
		}
		if at += step; at >= n {
			at -= n
		}
	}
	return into
}

// hotFrom is how many of n reports are hot, at most.
func hotFrom(n int) int { return n - int(hotQuantile*float64(n-1)) - 1 }

// quantile is how many requests in flight are not hot yet. So few reports are hot that keeping the
// highest is quicker than to sort all.
func quantile(reports []report) int32 {
	var highest [probes/4 + 1]int32
	keep := hotFrom(len(reports)) + 1
	for k, r := range reports {
		j := k
		if k >= keep {
			if r.inFlight <= highest[keep-1] {
				continue
			}
			j = keep - 1
		}
		for ; j > 0 && highest[j-1] < r.inFlight; j-- {
			highest[j] = highest[j-1]
		}
		highest[j] = r.inFlight
	}
	return highest[keep-1]
}
