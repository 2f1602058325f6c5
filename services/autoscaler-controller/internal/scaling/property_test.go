package scaling

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// any makes a state out of a random source: any mixture of what may happen.
func anyState(r *rand.Rand) (Spec, State) {
	pick := func(n int) bool { return r.IntN(n) == 0 }
	spec := Spec{MinReplicas: r.Int32N(4), IdleTime: time.Duration(1+r.IntN(100)) * time.Second, WakeUpTimeout: time.Duration(1+r.IntN(100)) * time.Second}
	spec.MaxReplicas = max(1, spec.MinReplicas+r.Int32N(4))
	if pick(2) {
		spec.CPUThreshold, spec.MemoryThreshold = r.Int32N(2000), r.Int32N(100)
	}
	if pick(3) {
		spec.Rules = []Rule{{Name: "r", Action: []Action{Increase, Decrease, DecreaseToZero}[r.IntN(3)], Thresholds: []Threshold{
			{[]Metric{CPU, Memory, Disk, ResponseTime}[r.IntN(4)], []Operator{GreaterThan, LessThan, EqualTo}[r.IntN(3)], float64(r.IntN(2000)), time.Duration(r.IntN(3)) * time.Second},
		}}}
	}
	if pick(3) {
		spec.ContainerConcurrency, spec.TargetRequestRate, spec.MaxStarting = r.Int32N(4), float64(r.IntN(3)), r.Int32N(4)
	}
	if pick(6) {
		spec.Mode = []Mode{Active, Observe, Paused}[r.IntN(3)]
	}
	if pick(4) {
		spec.Behavior = Behavior{Pace{Stabilization: time.Duration(r.IntN(3)-1) * time.Second}, Pace{Select: []Select{"", SelectMin, SelectDisabled}[r.IntN(3)], Policies: []Policy{{Value: 1 + r.Int32N(3), Period: time.Second}}}}
	}
	s := State{Found: !pick(20), Paused: pick(10), Replicas: r.Int32N(9)}
	if pick(20) {
		s.Owner = "another"
	}
	if pick(20) {
		s.Contest = Contest{Who: "somebody", Until: now.Add(time.Hour)}
	}
	s.Ready = r.Int32N(s.Replicas + 1)
	s.Pods = s.Replicas + max(0, r.Int32N(4)-2)
	for _, m := range Metrics {
		if pick(2) {
			with := r.Int32N(s.Ready + 1)
			s.Means = append(s.Means, Mean{Metric: m, Value: float64(r.IntN(2500)), Pods: with, Missing: s.Ready - with})
		}
	}
	if pick(10) {
		s.Missing = "caches"
	}
	if pick(4) {
		s.Call = &Call{Waiting: r.Int32N(3)}
	}
	if pick(4) {
		s.Traffic.Waiting, s.Traffic.InFlight, s.Traffic.Streaming = r.Int32N(2), r.Int32N(2), r.Int32N(2)
	}
	s.Demand = Demand{Concurrency: Windows{float64(r.IntN(9)), float64(r.IntN(9))}, Arrivals: Windows{float64(r.IntN(9)), float64(r.IntN(9))}}
	for range r.IntN(3) {
		s.Traffic.Live = append(s.Traffic.Live, "lb")
	}
	if pick(5) {
		s.Traffic.Stale = []Stale{{Name: "old"}}
	}
	if !pick(10) {
		s.Traffic.IdleSince = now.Add(-time.Duration(r.IntN(200)) * time.Second)
	}
	if pick(2) {
		s.Start.Since = now.Add(-time.Duration(r.IntN(200)) * time.Second)
	}
	if pick(4) {
		s.RetryAt = now.Add(time.Duration(r.IntN(8)) * time.Second)
	}
	return spec, s
}

func TestDecide_Properties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	downs, sleeps, ups, steps := 0, 0, 0, 0
	for range 200_000 {
		spec, s := anyState(r)
		d := Decide(spec, s, now)
		fail := func(what string) { t.Fatalf("%s\nspec %+v\nstate %+v\ndecision %+v", what, spec, s, d) }
		idle := !busy(s.Traffic) && s.Call == nil && !s.Traffic.IdleSince.IsZero() && now.Sub(s.Traffic.IdleSince) >= spec.IdleTime
		switch {
		case d.From != s.Replicas:
			fail("From is not what is there")
		case len(d.Reasons) == 0 || d.Summary == "":
			fail("no reason is given")
		case slices.ContainsFunc(d.Reasons, func(r Reason) bool { return r.Effect == Wish && r.Trigger == "" }):
			fail("a wish does not say what asked")
		case d.To == d.From:
		case s.Owner != "":
			if d.From != 0 || d.To != 1 || s.Contest.Who != "" {
				fail("does more than to wake what somebody else scales")
			}
		case d.To < spec.MinReplicas || d.To > spec.MaxReplicas:
			fail("out of bounds")
		case !s.Found:
			fail("scales what does not exist")
		case s.Contest.Who != "":
			fail("fights with who sets the count back")
		}
		if d.To > d.From {
			ups++
		}
		if d.Stride > 0 && d.Wished != 0 && max(d.To-d.From, d.From-d.To) > d.Stride && d.From >= spec.MinReplicas && d.From <= spec.MaxReplicas {
			fail("goes by more than the stride of the wish")
		}
		if d.Stride > 0 && d.To != d.From {
			steps++
			if len(s.Means) == 0 {
				fail("goes by load that nobody measured")
			}
		}
		if d.To < d.From {
			downs++
			if len(s.Traffic.Live) == 0 || len(s.Traffic.Stale) > 0 || s.Missing != "" || s.Paused {
				fail("goes down on missing or stale data, or against a hold")
			}
		}
		if d.To == 0 && d.From > 0 {
			sleeps++
			if spec.MinReplicas != 0 || busy(s.Traffic) || s.Call != nil || !idle && d.Trigger != ByRule {
				fail("sleeps without being idle, or against a rule, or while it is in use")
			}
		}
		if spec.Mode == Paused && d.To != d.From && s.Owner == "" || spec.Mode == Observe && d.From > 0 && d.To != d.From {
			fail("does more than its mode allows")
		}
		if s.Found && s.Owner == "" && s.Contest.Who == "" && spec.Mode != Paused && s.Call != nil && d.To == 0 {
			fail("a start call leaves it asleep")
		}
		if !d.Due.IsZero() && d.Due.Before(now) {
			fail("due in the past")
		}
	}
	// A generator that never gets there proves nothing.
	if downs < 100 || sleeps < 100 || ups < 100 || steps < 100 {
		t.Fatalf("too few interesting cases: %d down, %d asleep, %d up, %d steps by load", downs, sleeps, ups, steps)
	}
}
