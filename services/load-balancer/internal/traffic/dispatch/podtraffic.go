package dispatch

import (
	"cmp"
	"slices"
	"time"
)

// PodTraffic is what is on one pod now. The controller chooses by it which pods go, and sees when they
// are empty.
type PodTraffic struct {
	Pod       string
	InFlight  int // streams and tunnels included
	Streaming int // of these, answers that have begun and not ended
}

// reportedPods bounds of how many pods is told at once, as the contract does. Those that drain come
// first: that one of them is not named says that it is empty.
const reportedPods = 1000

// podTraffic is what is on the pods; nil where there is nothing to choose among. The caller has the
// lock.
func (a *Application) podTraffic(now time.Time) []PodTraffic {
	if len(a.pods) < 2 {
		return nil
	}
	busy := make([]*Pod, 0, len(a.pods))
	for _, p := range a.pods {
		if p.balanced.InFlight() > 0 {
			busy = append(busy, p)
		}
	}
	if len(busy) > reportedPods {
		slices.SortStableFunc(busy, func(p, o *Pod) int {
			return cmp.Or(-cmpBool(p.balanced.Draining(now), o.balanced.Draining(now)), cmp.Compare(o.balanced.InFlight(), p.balanced.InFlight()))
		})
		busy = busy[:reportedPods]
	}
	list := make([]PodTraffic, 0, len(busy))
	for _, p := range busy {
		list = append(list, PodTraffic{Pod: p.Name, InFlight: p.balanced.InFlight(), Streaming: p.streaming})
	}
	return list
}

// cmpBool orders false before true.
func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// emptied tells whether a pod that was chosen to go has become empty: the controller waits for it.
func (p *Pod) emptied(now time.Time) bool {
	return p.balanced.InFlight() == 0 && p.balanced.Draining(now)
}
