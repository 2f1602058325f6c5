package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key   = fleet.Key{Namespace: "default", Deployment: "web"}
)

// world is a cluster in virtual time that does what a Plan says, with a fleet that knows it. Its
// Kubernetes takes pods in the order of its own ranks, and not as the code under test believes.
type world struct {
	t      *testing.T
	now    time.Time
	fleet  *fleet.Fleet
	memory *Memory
	term   uint64
	spec   scaling.Spec
	want   int32 // replicas
	serial uint64

	pods      []fleet.Pod
	on        map[string]fleet.PodTraffic // by pod, as the one load balancer has it
	balancers map[string]*balancer
	refuse    string // why marks cannot be written
	lie       func([]fleet.Pod) string

	took    []string // pods that were taken, in order
	cut     []string // of these, those with something on them
	reports []Report
	settled []Settled
}

// balancer reports every second.
type balancer struct {
	version string // of the routes that it follows
	behind  bool   // it does not take up routes
	dead    bool
	carries bool // the pods' requests are its
}

func newWorld(t *testing.T, pods int, change ...func(*world)) *world {
	t.Helper()
	w := &world{
		t: t, now: start, fleet: fleet.New("e"), memory: &Memory{}, term: 1, want: int32(pods),
		spec:      scaling.Spec{MinReplicas: 1, MaxReplicas: 10, IdleTime: 100 * time.Hour, WakeUpTimeout: time.Minute},
		on:        map[string]fleet.PodTraffic{},
		balancers: map[string]*balancer{"lb-a": {carries: true}, "lb-b": {}},
	}
	for i := range pods {
		w.pods = append(w.pods, pod(fmt.Sprintf("web-%d", i), start.Add(time.Duration(i-100)*time.Minute)))
	}
	for _, c := range change {
		c(w)
	}
	w.fleet.Lead(w.now, nil)
	w.observe()
	w.report()
	return w
}

func pod(name string, created time.Time) fleet.Pod {
	return fleet.Pod{
		Name: name, Scheduled: true, Started: true, Ready: true, WasReady: true, Address: "10.0.0.1:80", CreatedAt: created, Revision: "1",
	}
}

func (w *world) observe() {
	w.fleet.Observe(fleet.Observation{
		Key: key, Autoscaler: "ca", Since: start.Add(-24 * time.Hour), Spec: w.spec, Pods: slices.Clone(w.pods),
		Deployment: fleet.Deployment{Found: true, UID: "u", Version: w.serial + 1, Created: start.Add(-24 * time.Hour), Replicas: w.want},
	}, w.now)
}

// busy has so many requests and streams on a pod.
func (w *world) busy(pod string, requests, streams int32) {
	w.on[pod] = fleet.PodTraffic{Pod: pod, InFlight: requests + streams, Streaming: streams}
	if requests+streams == 0 {
		delete(w.on, pod)
	}
}

func (w *world) report() {
	w.serial++
	for _, name := range []string{"lb-a", "lb-b"} {
		b := w.balancers[name]
		if b == nil || b.dead {
			continue
		}
		if !b.behind {
			u, _ := w.fleet.Routes("")
			b.version = u.Version
		}
		t := fleet.Traffic{Key: key, PodsSaid: true}
		if b.carries {
			for _, on := range w.on {
				t.Pods = append(t.Pods, on)
				t.InFlight += on.InFlight
				t.Streaming += on.Streaming
			}
		}
		w.fleet.Report(fleet.Report{
			Balancer: name, StartedAt: start.Add(-time.Hour), Sequence: int64(w.serial), RoutesVersion: b.version, Applications: []fleet.Traffic{t},
		}, w.now)
	}
}

// look decides once, and does what was planned.
func (w *world) look() Report {
	snapshot, _ := w.fleet.Snapshot(key, "", w.now)
	p := w.memory.Look(Look{Snapshot: snapshot, Term: w.term, Now: w.now})
	if p.Quiesce != nil {
		w.fleet.Quiesce(key, *p.Quiesce)
	}
	if p.Settled != nil {
		w.settled = append(w.settled, *p.Settled)
	}
	var o Outcome
	switch {
	case len(p.Marks) > 0 && w.refuse != "":
		o.Error = w.refuse
	default:
		o.Marked = w.write(p.Marks)
		if p.Scale {
			w.scale(p.Decision.To)
		}
	}
	r := w.memory.Done(p, o, w.now)
	if r.News {
		copied := r.Decision
		w.memory.Last = &copied
		w.reports = append(w.reports, r)
	}
	w.observe()
	return r
}

func (w *world) write(list []fleet.Marking) bool {
	for _, m := range list {
		for i := range w.pods {
			if w.pods[i].Name == m.Pod {
				w.pods[i].Cost, w.pods[i].Mark = m.Cost, m.Mark
			}
		}
	}
	return len(list) > 0
}

// scale does as the ReplicaSet controller does: see getPodsRankedByRelatedPodsOnSameNode and
// ActivePodsWithRanks in Kubernetes.
func (w *world) scale(to int32) {
	w.want = to
	for len(w.pods) > int(to) {
		ranked := slices.SortedFunc(slices.Values(w.pods), func(a, b fleet.Pod) int {
			return cmp.Or(first(!a.Scheduled, !b.Scheduled), first(!a.Started, !b.Started), first(!a.Ready, !b.Ready), cmp.Compare(a.Cost, b.Cost), b.CreatedAt.Compare(a.CreatedAt))
		})
		taken := ranked[0].Name
		if w.lie != nil {
			taken = w.lie(ranked)
		}
		w.took = append(w.took, taken)
		if w.on[taken].InFlight > 0 {
			w.cut = append(w.cut, taken)
		}
		delete(w.on, taken)
		w.pods = slices.DeleteFunc(w.pods, func(p fleet.Pod) bool { return p.Name == taken })
	}
	w.fleet.Scaled(key, to, w.serial+1, w.now)
}

func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

// run lets the seconds pass: reports come, and the application is looked at.
func (w *world) run(seconds int) {
	for range seconds {
		w.now = w.now.Add(time.Second)
		w.report()
		w.look()
	}
}

func (w *world) expect(what string, took, cut []string) {
	w.t.Helper()
	if !slices.Equal(w.took, took) || !slices.Equal(w.cut, cut) {
		w.t.Errorf("%s: %v went, of these %v with something on them; want %v and %v", what, w.took, w.cut, took, cut)
	}
}

// draining are the pods that the load balancers are told to send nothing new to.
func (w *world) draining() []string {
	u, _ := w.fleet.Routes("")
	var list []string
	for _, r := range u.Routes {
		for _, e := range r.Endpoints {
			if e.DrainsUntil.After(w.now) {
				list = append(list, e.Pod)
			}
		}
	}
	return list
}

// marked are the pods that carry a mark.
func (w *world) marked() []string {
	var list []string
	for _, p := range w.pods {
		if !p.Mark.Since.IsZero() {
			list = append(list, p.Name)
		}
	}
	return list
}

func (w *world) pod(name string) *fleet.Pod {
	i := slices.IndexFunc(w.pods, func(p fleet.Pod) bool { return p.Name == name })
	return &w.pods[i]
}
