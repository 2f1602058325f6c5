package fleet

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// crowd is one application with n pods that push every five seconds, on which a decision was made.
func crowd(n int, change ...func(*Observation)) (*Fleet, []string) {
	o := seen(int32(n))
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("p-%05d", i)
		o.Pods = append(o.Pods, pod(names[i]))
	}
	o.Spec = scaling.Spec{MaxReplicas: 10_000, IdleTime: time.Hour, CPUThreshold: 100, UpWindow: time.Minute, DownWindow: time.Hour}
	for _, c := range change {
		c(&o)
	}
	f := leading(o)
	traffic(f, "lb", 1, at(-1))
	traffic(f, "lb", 2, now)
	for _, name := range names {
		f.push(name, 0, 50, 0)
	}
	f.Look(key, "", now)
	return f, names
}

func (f *Fleet) push(pod string, second, cpu, running float64) bool {
	return len(f.Measure([]Measurement{{
		Pod: PodName{"default", pod}, Source: Sidecar, At: at(second), Values: map[Gauge]float64{CPUUsage: cpu, MemoryUsage: 1000 * cpu, InFlight: running},
	}}, at(second))) > 0
}

func TestMeasure_TheSameOfFiveThousandPodsIsNoNews(t *testing.T) {
	f, names := crowd(5000)
	for round := 5.0; round <= 60; round += 5 {
		traffic(f, "lb", int64(round), at(round))
		for i, name := range names {
			if f.push(name, round+float64(i)/2000, 50, 0) {
				t.Fatalf("at second %v the word of %s is news", round, name)
			}
		}
	}
}

func TestMeasure_IsNewsWhereADecisionWouldGoByIt(t *testing.T) {
	idle := func(o *Observation) { o.Spec.CPUThreshold = 0 }
	for name, c := range map[string]struct {
		change       func(*Observation)
		cpu, running float64
		want         bool
	}{
		"a little more CPU":                               {nil, 60, 0, false},
		"much more CPU of one of four":                    {nil, 80, 0, false},
		"so much that the mean is above the threshold":    {nil, 260, 0, true},
		"CPU that nobody looks at":                        {idle, 9000, 0, false},
		"the first request that no load balancer knows":   {idle, 50, 1, true},
		"a request, where pods are asked for by requests": {func(o *Observation) { o.Spec.CPUThreshold, o.Spec.TargetConcurrency = 0, 1 }, 50, 7, true},
	} {
		f, names := crowd(4)
		if c.change != nil {
			f, names = crowd(4, c.change)
		}
		if got := f.push(names[2], 5, c.cpu, c.running); got != c.want {
			t.Errorf("%s: news: %v", name, got)
		}
		if got := f.push(names[2], 6, c.cpu, c.running); got != c.want {
			t.Errorf("%s: before a decision was made it is %v news the second time", name, got)
		}
		if f.Look(key, "", at(7)); f.push(names[2], 8, c.cpu, c.running) && c.cpu <= 100 {
			t.Errorf("%s: after a decision the same is news", name)
		}
	}
}

func TestReport_IsNewsWhereADecisionWouldGoByIt(t *testing.T) {
	for name, c := range map[string]struct {
		before, after Traffic
		want          bool
	}{
		"quiet as before":             {Traffic{}, Traffic{}, false},
		"busy":                        {Traffic{}, Traffic{InFlight: 1}, true},
		"busier":                      {Traffic{InFlight: 1}, Traffic{InFlight: 9, Requests: 100}, false},
		"quiet again":                 {Traffic{InFlight: 1}, Traffic{}, true},
		"somebody waits":              {Traffic{InFlight: 1}, Traffic{InFlight: 1, Waiting: 1}, true},
		"one more waits":              {Traffic{Waiting: 1}, Traffic{Waiting: 2}, false},
		"nobody waits any more":       {Traffic{InFlight: 1, Waiting: 1}, Traffic{InFlight: 1}, true},
		"requests, after a long time": {Traffic{}, Traffic{Requests: 5}, true},
		"requests came and went":      {Traffic{LastActivity: now}, Traffic{Requests: 5}, false}, // it is looked at when it would be idle
	} {
		f := leading(seen(1, pod("a")))
		set := func(sequence int64, second float64, t Traffic) []Key {
			t.Key = key
			return traffic(f, "lb", sequence, at(second), func(r *Report) { r.Applications = []Traffic{t} })
		}
		set(1, 1, c.before)
		set(2, 2, c.before)
		f.Look(key, "", at(2))
		if got := set(3, 3, c.after); len(got) > 0 != c.want {
			t.Errorf("%s: news: %v", name, got)
		}
	}
}

func TestHeard_EverythingElseIsNews(t *testing.T) {
	for name, do := range map[string]func(f *Fleet){
		"what the cluster says": func(f *Fleet) { f.Observe(seen(2, pod("a")), at(3)) },
		"a count":               func(f *Fleet) { f.Scaled(key, 2, 9, at(3)) },
		"a start call":          func(f *Fleet) { f.Called(key, 1, at(3)) },
		"a way down":            func(f *Fleet) { f.Quiesce(key, Quiesce{Pods: []string{"a"}, Until: at(60)}) },
		"the end of a term":     func(f *Fleet) { f.Follow() },
		"who has gone":          func(f *Fleet) { f.BalancerEnded("lb", at(2), at(3)) },
	} {
		f := leading(seen(1, pod("a")))
		traffic(f, "lb", 1, at(1))
		traffic(f, "other", 1, at(1))
		f.Look(key, "", at(2))
		if f.push("a", 2.5, 1, 0) {
			t.Errorf("%s: before it, the word of a pod is news", name)
		}
		if do(f); !f.push("a", 3, 1, 0) {
			t.Errorf("after %s, the word of a pod is none", name)
		}
	}
}

// The sums that follow each word are those that are made anew from all pods.
func TestPool_OfEachWordIsThatOfAll(t *testing.T) {
	asks := func(o *Observation) {
		o.Spec.MemoryThreshold, o.Spec.ResponseTimeThreshold = 10, 10
		o.Spec.Rules = []scaling.Rule{{Name: "r", Thresholds: []scaling.Threshold{{Metric: scaling.QueuedRequests, Value: 1}}}}
	}
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 3))
		f, names := crowd(8, asks)
		a := f.apps[key]
		for second := 1.0; second < 120; second += 0.5 {
			values := map[Gauge]float64{}
			for _, g := range []Gauge{CPUUsage, MemoryUsage, ResponseTime, InFlight, Queued} {
				if random.IntN(4) > 0 {
					values[g] = float64(random.IntN(64)) / 8
				}
			}
			m := Measurement{Pod: PodName{"default", names[random.IntN(1+random.IntN(len(names)))]}, Source: Sidecar, At: at(second - float64(random.IntN(2))), Values: values}
			if random.IntN(4) == 0 {
				m.Source = Kubernetes
			}
			f.Measure([]Measurement{m}, at(second))
			if random.IntN(10) == 0 {
				f.Look(key, "", at(second))
			}
			a.pool(at(second))
			running := a.decided.pooled
			a.decided.pooled.known = false
			a.pool(at(second))
			anew := a.decided.pooled
			until := anew.until
			running.until, running.asked, anew.until, anew.asked = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			if diff := cmp.Diff(anew, running, cmp.AllowUnexported(pooled{}, pool{})); diff != "" {
				t.Fatalf("seed %d, second %v (-anew +running)\n%s", seed, second, diff)
			}
			a.decided.pooled = running // it goes on from the sums that it had
			a.decided.pooled.until = until
			a.decided.pooled.known = random.IntN(20) > 0
		}
	}
}
