package scaling

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// headroom is the share of containerConcurrency that a pod is meant to have on average, so that the
	// next request meets a free one. It is Knative's default (container-concurrency-target-percentage).
	headroom = 0.7
	// drainWithin is how soon what waits should be worked off once its pods serve: of short requests one
	// pod takes many within it, of long ones as many as it may have at a time.
	drainWithin = time.Second
)

// byConcurrency tells how many requests a pod is meant to have at a time, and whether that is asked for
// at all.
func (s Spec) byConcurrency(d Demand) (float64, bool) {
	switch {
	case s.TargetConcurrency > 0:
		return s.TargetConcurrency, true
	case s.ContainerConcurrency > 0:
		return headroom * float64(s.ContainerConcurrency), true
	case s.Learn && d.PodConcurrency > 0:
		return headroom * d.PodConcurrency, true
	default:
		return 0, false
	}
}

// demanding tells whether pods are added and removed by demand.
func (s Spec) demanding(d Demand) bool {
	_, ok := s.byConcurrency(d)
	return ok || s.TargetRequestRate > 0
}

// takes is how many of the requests that wait one pod takes: what it may have at a time or, of requests
// that are known to be short, what it works off within drainWithin. 0: not known, one pod is asked for.
func (s Spec) takes(d Demand) float64 {
	atOnce := float64(s.ContainerConcurrency)
	if atOnce == 0 {
		atOnce, _ = s.byConcurrency(d)
	}
	if d.ServiceTime > 0 && d.ServiceTime < drainWithin {
		atOnce *= float64(drainWithin) / float64(d.ServiceTime)
	}
	return atOnce
}

// forWaiting is how many pods what waits asks for; at least one where anything does.
func forWaiting(spec Spec, waiting float64, d Demand) int32 {
	takes := spec.takes(d)
	if takes <= 0 || waiting <= 0 {
		return min(1, pods(waiting))
	}
	return pods(waiting / takes)
}

// pods rounds up to whole pods, within what the contract allows.
func pods(n float64) int32 {
	const most = 10_000
	return int32(math.Ceil(min(max(n-1e-9, 0), most)))
}

// demand asks for as many pods as the requests need: by how many there are at a time, and by how many
// come. It names a count, and so goes up and down by any number at once; how fast is for the pace.
//
// What is on pods counts by its mean over the last ten seconds or the last minute, whichever is more, so
// that a burst is followed at once and let go of slowly. What waits counts by what a pod takes, and not
// as concurrency: a start of a minute would make that grow without any more work to do. Tunnels hold a
// place on their pod and are no work.
//
// The means fall as time passes, and nothing is heard of that: while they ask for pods they are looked at
// again soon.
func (h *holding) demand(spec Spec, s State) ([]Reason, time.Time) {
	if s.Replicas == 0 {
		return nil, time.Time{}
	}
	var reasons []Reason
	if target, ok := spec.byConcurrency(s.Demand); ok {
		reasons = append(reasons, concurrency(spec, s, target))
	}
	if spec.TargetRequestRate > 0 {
		rate := max(s.Demand.Arrivals.Short, s.Demand.Arrivals.Long)
		reasons = append(reasons, Reason{
			Rule: "RequestRate", Effect: Wish, Trigger: ByDemand, Replicas: rateCount(spec, s.Demand),
			Brief:   fmt.Sprintf("for %v requests a second in each pod", spec.TargetRequestRate),
			Message: fmt.Sprintf("%v requests a second, %v a pod", round(rate), spec.TargetRequestRate),
			Inputs: []Input{
				{Name: "arrivals", Value: rate, Unit: "requests/s", Age: s.Demand.Age},
				{Name: "targetRequestRate", Value: spec.TargetRequestRate, Unit: "requests/s"},
			},
		})
	}
	var due time.Time
	if slices.ContainsFunc(reasons, func(r Reason) bool { return r.Replicas > 1 }) {
		due = h.now.Truncate(demandAgain).Add(demandAgain)
	}
	return reasons, due
}

// demandAgain is how often means that ask for pods are looked at: at its multiples, whatever news there was.
const demandAgain = ShortWindow / 2

// rateCount is how many pods the requests that come ask for.
func rateCount(spec Spec, d Demand) int32 {
	return max(1, pods(max(d.Arrivals.Short, d.Arrivals.Long)/spec.TargetRequestRate))
}

// atWork is what there is to do at a time, and how many pods that asks for.
type atWork struct {
	working, waiting float64
	bySidecars       bool
	pods             int32
}

func concurrencyOf(spec Spec, s State, target float64) atWork {
	d := s.Demand
	if d.Still { // for too long to count
		d.Running, d.Queued = 0, 0
	}
	w := atWork{working: max(d.Concurrency.Short, d.Concurrency.Long), waiting: float64(s.Traffic.Waiting) + d.Queued}
	if d.Running > w.working { // requests that passed by no load balancer are work too
		w.working, w.bySidecars = d.Running, true
	}
	n := w.working / target
	if w.waiting > 0 && spec.ContainerConcurrency > 0 {
		// Every place is taken, by tunnels too: what waits needs places beside those.
		n = max(n, float64(s.Traffic.InFlight)/float64(spec.ContainerConcurrency))
	}
	if w.waiting > 0 {
		n += w.waiting / spec.takes(d) // with a target a pod takes some
	}
	// Rounded up together: what is left of a mean after a while, next to nothing, is no pod by itself.
	w.pods = max(1, pods(n))
	return w
}

func concurrency(spec Spec, s State, target float64) Reason {
	d, w := s.Demand, concurrencyOf(spec, s, target)
	r := Reason{Rule: "Concurrency", Effect: Wish, Trigger: ByDemand, Replicas: w.pods}
	note := ""
	if w.bySidecars {
		note = ", as the sidecars say"
	}
	if w.waiting > 0 {
		note += fmt.Sprintf(", and %v wait", round(w.waiting))
	}
	r.Message = fmt.Sprintf("%v requests at a time%s; %v a pod", round(w.working), note, round(target))
	r.Brief = fmt.Sprintf("for %v requests at a time in each pod", round(target))
	r.Inputs = []Input{
		{Name: "concurrency", Value: w.working, Unit: "requests", Age: d.Age},
		{Name: "waiting", Value: w.waiting, Unit: "requests", Age: s.Traffic.Age},
		{Name: "targetConcurrency", Value: target, Unit: "requests"},
		{Name: "podTakes", Value: spec.takes(d), Unit: "requests"},
		{Name: "serviceTime", Value: d.ServiceTime.Seconds(), Unit: "s"},
	}
	return r
}

// surge binds how many pods may be starting at a time.
func (d *Decision) surge(spec Spec, s State, to int32) int32 {
	limit := s.Ready + spec.MaxStarting
	if spec.MaxStarting <= 0 || to <= limit || to <= s.Replicas {
		return to
	}
	to = max(limit, s.Replicas)
	d.Reasons = append(d.Reasons, Reason{
		Rule: "MaxStartingPods", Effect: Clamp, Replicas: to, Message: fmt.Sprintf("maxStartingPods is %d", spec.MaxStarting),
		Inputs: []Input{{Name: "maxStartingPods", Value: float64(spec.MaxStarting), Unit: "pods"}, {Name: "ready", Value: float64(s.Ready), Unit: "pods"}},
	})
	return to
}

// round keeps a number short for people.
func round(v float64) float64 {
	if v >= 100 {
		return math.Round(v)
	}
	return math.Round(v*100) / 100
}
