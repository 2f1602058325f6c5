package lifecycle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// history is what is heard in one second, the same for every follower.
type history struct {
	traffic map[string]fleet.Traffic // by load balancer; one that is not named is silent
	pushes  map[int]map[fleet.Gauge]float64
}

// follower leads one application through a history, with a cluster that does what it says. One decides on
// all that it hears, another one on what the fleet says is news; both look when their time has come.
type follower struct {
	eager     bool
	fleet     *fleet.Fleet
	memory    Memory
	spec      scaling.Spec
	want      int32
	serial    uint64
	pods      []fleet.Pod
	born      map[string]time.Time
	again     time.Time
	looks     int
	said      []string
	last      string
	sequences map[string]int64
}

func newFollower(eager bool, spec scaling.Spec, pods int32) *follower {
	f := &follower{eager: eager, fleet: fleet.New("e"), spec: spec, want: pods, born: map[string]time.Time{}, sequences: map[string]int64{}}
	f.fleet.Lead(start, nil)
	for range pods {
		f.grow(start.Add(-time.Hour))
	}
	f.observe(start)
	f.look(start)
	return f
}

func (f *follower) grow(at time.Time) {
	p := fleet.Pod{Name: fmt.Sprintf("web-%03d", len(f.born)), Scheduled: true, Address: "10.0.0.1:80", CreatedAt: at, Revision: "1"}
	f.born[p.Name] = at
	f.pods = append(f.pods, p)
}

// observe has the cluster do what was asked for, and tells the fleet.
func (f *follower) observe(now time.Time) bool {
	for int32(len(f.pods)) < f.want {
		f.grow(now)
	}
	f.pods = f.pods[:f.want:f.want]
	for i := range f.pods {
		p := &f.pods[i]
		if ready := now.Sub(f.born[p.Name]) >= 7*time.Second; ready != p.Ready {
			p.Started, p.Ready, p.WasReady, p.ReadyAt = ready, ready, ready, now
		}
	}
	changed, _ := f.fleet.Observe(fleet.Observation{
		Key: key, Autoscaler: "ca", Since: start.Add(-24 * time.Hour), Spec: f.spec, Pods: slices.Clone(f.pods),
		Deployment: fleet.Deployment{Found: true, UID: "u", Version: f.serial, Created: start.Add(-24 * time.Hour), Replicas: f.want},
	}, now)
	return changed
}

// look decides, and does it.
func (f *follower) look(now time.Time) {
	f.looks++
	snapshot, _ := f.fleet.Look(key, "", now)
	p := f.memory.Look(Look{Snapshot: snapshot, Term: 1, Now: now})
	if p.Quiesce != nil {
		f.fleet.Quiesce(key, *p.Quiesce)
	}
	if p.Scale {
		f.serial++
		f.want = p.Decision.To
		f.fleet.Scaled(key, f.want, f.serial, now)
	}
	r := f.memory.Done(p, Outcome{Marked: true}, now)
	f.again = r.Again
	said := fmt.Sprintf("%d → %d by %s %s", p.Decision.From, p.Decision.To, p.Decision.Trigger, p.Decision.Drain)
	for _, reason := range p.Decision.Reasons {
		if reason.Effect != scaling.Note {
			said += fmt.Sprintf(" %s=%s", reason.Rule, reason.Effect)
		}
	}
	f.last = said
	if p.Scale {
		f.look(now) // as news of what was written is
	}
}

// until looks when its time has come, before a moment.
func (f *follower) until(now time.Time) {
	for range 100 {
		if f.again.IsZero() || f.again.After(now) {
			return
		}
		f.look(f.again)
	}
	panic("it looks again and again at " + f.last)
}

// tell writes down what the last look of a second said, if the one of the second before said something else.
// Within one moment the order in which a time comes and news does is nobody's to say.
func (f *follower) tell(second int) {
	// One that looks for a moment that has moved on meanwhile wishes the same then too, a nanosecond later.
	f.until(start.Add(time.Duration(second)*time.Second + time.Millisecond))
	if n := len(f.said); n == 0 || !strings.HasSuffix(f.said[n-1], ": "+f.last) {
		f.said = append(f.said, fmt.Sprintf("%d: %s", second, f.last))
	}
}

// hear takes a second's news.
func (f *follower) hear(h history, now time.Time) {
	f.until(now)
	if f.observe(now) {
		f.look(now)
	}
	u, _ := f.fleet.Routes("")
	for _, name := range []string{"lb-a", "lb-b"} {
		t, speaks := h.traffic[name]
		if !speaks {
			continue
		}
		f.sequences[name]++
		touched, _ := f.fleet.Report(fleet.Report{
			Balancer: name, StartedAt: start.Add(-time.Hour), Sequence: f.sequences[name], RoutesVersion: u.Version, Applications: []fleet.Traffic{t},
		}, now)
		f.heard(touched, now)
	}
	for i := range f.pods {
		if values, speaks := h.pushes[i]; speaks {
			f.heard(f.fleet.Measure([]fleet.Measurement{{
				Pod: fleet.PodName{Namespace: "default", Name: f.pods[i].Name}, Source: fleet.Sidecar, At: now, Values: values,
			}}, now), now)
		}
	}
}

func (f *follower) heard(touched []fleet.Key, now time.Time) {
	if f.eager || len(touched) > 0 {
		f.look(now)
	}
}

// specs are what a user may ask for.
func specs(random *rand.Rand) scaling.Spec {
	s := scaling.Spec{
		MinReplicas: random.Int32N(2), MaxReplicas: 6, IdleTime: time.Duration(20+random.IntN(60)) * time.Second, WakeUpTimeout: 30 * time.Second,
		UpWindow: time.Duration(random.IntN(20)) * time.Second, DownWindow: time.Duration(10+random.IntN(40)) * time.Second,
		Behavior: scaling.Behavior{Up: scaling.Pace{Stabilization: -1}, Down: scaling.Pace{Stabilization: time.Duration(random.IntN(3)*20-1) * time.Second}},
	}
	if random.IntN(2) == 0 {
		s.CPUThreshold = 100
	}
	if random.IntN(3) == 0 {
		s.MemoryThreshold = 500
	}
	if random.IntN(3) == 0 {
		s.ResponseTimeThreshold = 200
	}
	if random.IntN(3) == 0 {
		s.Rules = append(s.Rules, scaling.Rule{Name: "up", Action: scaling.Increase, Thresholds: []scaling.Threshold{
			{Metric: scaling.RunningRequests, Operator: scaling.GreaterThan, Value: 2, For: 5 * time.Second},
		}}, scaling.Rule{Name: "down", Action: scaling.Decrease, Thresholds: []scaling.Threshold{
			{Metric: scaling.RunningRequests, Operator: scaling.LessThan, Value: 1, For: 15 * time.Second},
		}})
	}
	switch random.IntN(4) {
	case 0:
		s.ContainerConcurrency = 2
	case 1:
		s.TargetRequestRate = 2
	}
	return s
}

// seconds are news of a while: traffic comes and goes, sidecars say much the same, and sometimes somebody
// falls silent.
func seconds(random *rand.Rand, n int) []history {
	level, arrivals, occupied := int32(0), map[string]int64{}, map[string]float64{}
	mute, dumb := 0, 0 // until when a load balancer, and a sidecar, says nothing
	heat := 1.0
	list := make([]history, n)
	for i := range list {
		h := history{traffic: map[string]fleet.Traffic{}, pushes: map[int]map[fleet.Gauge]float64{}}
		if random.IntN(25) == 0 {
			level = max(0, random.Int32N(12)-4)
		}
		if random.IntN(80) == 0 {
			mute = i + random.IntN(30)
		}
		if random.IntN(80) == 0 {
			dumb = i + random.IntN(40)
		}
		if random.IntN(20) == 0 {
			heat = float64(random.IntN(4)) / 2
		}
		for j, name := range []string{"lb-a", "lb-b"} {
			if j == 1 && i < mute {
				continue
			}
			arrivals[name] += int64(level)
			occupied[name] += float64(level) / 2
			h.traffic[name] = fleet.Traffic{
				Key: key, InFlight: level / 2, Waiting: level / 9, Summed: true, Arrivals: arrivals[name], Requests: arrivals[name], BusySeconds: occupied[name],
				Latency: fleet.Sketch{Count: int64(level), SumMs: float64(level) * 100 * heat, Buckets: map[int32]int64{50: int64(level)}},
			}
		}
		for pod := range 8 {
			if (i+pod)%5 == 0 && (pod != 1 || i >= dumb) {
				h.pushes[pod] = map[fleet.Gauge]float64{
					fleet.CPUUsage: 80*heat + float64(random.IntN(2))*8, fleet.MemoryUsage: 256, fleet.InFlight: float64(level / 3),
				}
			}
		}
		list[i] = h
	}
	return list
}

// Whoever decides on what the fleet says is news, and when a time has come, does at each moment what one
// does who decides on everything.
func TestLook_OnNewsAloneDoesWhatALookOnEverythingDoes(t *testing.T) {
	eager, lazy, scaled := 0, 0, 0
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 11))
		spec, pods := specs(random), random.Int32N(4)
		every, news := newFollower(true, spec, pods), newFollower(false, spec, pods)
		for i, h := range seconds(random, 300) {
			now := start.Add(time.Duration(i+1) * time.Second)
			every.hear(h, now)
			news.hear(h, now)
			every.tell(i + 1)
			news.tell(i + 1)
			if every.want != news.want {
				t.Fatalf("seed %d, second %d: %d on everything, %d on news\n%s\n\n%s", seed, i+1, every.want, news.want,
					strings.Join(every.said, "\n"), strings.Join(news.said, "\n"))
			}
		}
		if diff := cmp.Diff(every.said, news.said); diff != "" {
			t.Fatalf("seed %d (-everything +news)\n%s", seed, diff)
		}
		eager, lazy, scaled = eager+every.looks, lazy+news.looks, scaled+len(every.said)
	}
	t.Logf("%d looks on everything, %d on news; %d times something else was said", eager, lazy, scaled)
	if 2*lazy > eager || scaled < 200 {
		t.Errorf("%d looks on everything, %d on news; %d times something else was said", eager, lazy, scaled)
	}
}
