package scaling

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func slotted(n int32) Spec {
	s := spec()
	s.MaxReplicas, s.ContainerConcurrency, s.MaxStarting = 20, n, 100
	return s
}

func asleepWith(waiting int32, d Demand) State {
	return State{
		Found: true, Demand: d,
		Traffic: Traffic{Live: []string{"lb"}, Waiting: waiting, WaitingSince: now.Add(-time.Minute)},
		Call:    &Call{Balancer: "lb", Waiting: waiting},
	}
}

func TestStart_AsksForAsManyPodsAsWhatWaitsNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		spec    Spec
		waiting int32
		demand  Demand
		want    int32
	}{
		"no limit, nothing known":                 {spec(), 300, Demand{}, 1},
		"one":                                     {slotted(1), 1, Demand{}, 1},
		"five, one at a time":                     {slotted(1), 5, Demand{}, 5},
		"thirty, one at a time, at most twenty":   {slotted(1), 30, Demand{}, 20},
		"thirty, eight at a time":                 {slotted(8), 30, Demand{}, 4},
		"a call that names none":                  {slotted(1), 0, Demand{}, 1},
		"thirty that take eight seconds each":     {slotted(1), 30, Demand{ServiceTime: 8 * time.Second}, 20},
		"thirty that take ten milliseconds each":  {slotted(1), 30, Demand{ServiceTime: 10 * time.Millisecond}, 1},
		"three hundred that take 100 ms each":     {slotted(1), 300, Demand{ServiceTime: 100 * time.Millisecond}, 20},
		"a hundred that take 100 ms each":         {slotted(1), 100, Demand{ServiceTime: 100 * time.Millisecond}, 10},
		"a target instead of a limit":             {with1(spec(), func(s *Spec) { s.TargetConcurrency, s.MaxReplicas = 4, 20 }), 10, Demand{}, 3},
		"what was learned, where that is wanted":  {with1(spec(), func(s *Spec) { s.Learn, s.MaxReplicas = true, 20 }), 14, Demand{PodConcurrency: 10}, 2},
		"what was learned, where nobody wants it": {spec(), 14, Demand{PodConcurrency: 10}, 1},
		"a few may start at a time":               {with1(slotted(1), func(s *Spec) { s.MaxStarting = 3 }), 30, Demand{}, 3},
		"minReplicas is more":                     {with1(slotted(8), func(s *Spec) { s.MinReplicas = 7 }), 9, Demand{}, 7},
	} {
		d := Decide(c.spec, asleepWith(c.waiting, c.demand), now)
		if d.To != c.want || d.Trigger != StartCall {
			t.Errorf("%s: %d by %s, want %d: %s", name, d.To, d.Trigger, c.want, d.Summary)
		}
	}
}

func with1(s Spec, change func(*Spec)) Spec {
	change(&s)
	return s
}

func serving(replicas int32, d Demand, change ...func(*State)) State {
	s := awake(0)
	s.Replicas, s.Ready, s.Pods = replicas, replicas, replicas
	s.Demand = d
	s.Traffic.InFlight = int32(d.Concurrency.Short)
	for _, c := range change {
		c(&s)
	}
	return s
}

func both(v float64) Windows { return Windows{v, v} }

func TestDemand_FollowsWhatIsOnPodsAndWhatWaits(t *testing.T) {
	waits := func(n int32) func(*State) { return func(s *State) { s.Traffic.Waiting = n } }
	for name, c := range map[string]struct {
		spec  Spec
		state State
		want  int32
		rule  string
	}{
		"within the target":               {slotted(10), serving(1, Demand{Concurrency: both(7)}), 1, ""},
		"above it":                        {slotted(10), serving(1, Demand{Concurrency: both(7.1)}), 2, "Concurrency"},
		"far above it":                    {slotted(10), serving(1, Demand{Concurrency: both(70)}), 10, "Concurrency"},
		"a burst counts at once":          {slotted(10), serving(1, Demand{Concurrency: Windows{35, 5}}), 5, "Concurrency"},
		"one that ended does for a while": {slotted(10), serving(5, Demand{Concurrency: Windows{0, 35}}), 5, ""},
		"one wakes it, a minute and a half after another":  {slotted(4), serving(1, Demand{Concurrency: Windows{0, 0.0024}}, waits(1), func(s *State) { s.Ready = 0 }), 1, ""},
		"one wakes it, and its pod is full":                {slotted(4), serving(1, Demand{Concurrency: Windows{0, 0.0024}}, waits(1), func(s *State) { s.Traffic.InFlight = 4 }), 2, "Concurrency"},
		"what waits needs pods besides":                    {slotted(1), serving(5, Demand{Concurrency: both(3.5)}, waits(25)), 20, "Concurrency"},
		"tunnels take places, and what waits needs others": {slotted(2), serving(3, Demand{}, waits(2), func(s *State) { s.Traffic.InFlight, s.Demand.Tunnels = 6, 6 }), 4, "Concurrency"},
		"tunnels alone are no work":                        {slotted(2), serving(3, Demand{}, func(s *State) { s.Traffic.InFlight, s.Demand.Tunnels = 6, 6 }), 1, ""},
		"what the sidecars say":                            {slotted(10), serving(1, Demand{Running: 21}), 3, "Concurrency"},
		"what waits within the pods":                       {slotted(10), serving(1, Demand{Running: 7, Queued: 20}), 3, "Concurrency"},
		"no limit and no target":                           {spec(), serving(1, Demand{Concurrency: both(700), Arrivals: both(900)}), 1, ""},
		"a target of its own":                              {with1(spec(), func(s *Spec) { s.TargetConcurrency = 100 }), serving(1, Demand{Concurrency: both(250)}), 3, "Concurrency"},
		"requests a second":                                {with1(spec(), func(s *Spec) { s.TargetRequestRate = 50 }), serving(1, Demand{Arrivals: Windows{101, 20}}), 3, "RequestRate"},
		"the larger wish of two":                           {with1(slotted(10), func(s *Spec) { s.TargetRequestRate, s.MaxReplicas = 50, 20 }), serving(1, Demand{Concurrency: both(70), Arrivals: both(101)}), 10, "Concurrency"},
		"never the last pod":                               {with1(slotted(10), func(s *Spec) { s.TargetRequestRate = 50 }), serving(1, Demand{}), 1, ""},
	} {
		d := Decide(c.spec, c.state, now)
		wished := max(d.To, c.want)
		if d.To < d.From { // how it goes down is for others to say; what is wished for is not
			wished = d.To
		}
		if d.Wished != c.want && min(d.Wished, c.spec.MaxReplicas) != c.want {
			t.Errorf("%s: wished for %d (%d), want %d: %s", name, d.Wished, wished, c.want, d.Summary)
		}
		if c.rule != "" && (d.Trigger != ByDemand || !slices.ContainsFunc(d.Reasons, func(r Reason) bool { return r.Rule == c.rule && r.Effect == Wish })) {
			t.Errorf("%s: by %s: %v", name, d.Trigger, rules(d))
		}
		if d.To > c.spec.MaxReplicas || d.To < 1 {
			t.Errorf("%s: %d is out of bounds", name, d.To)
		}
	}
}

func TestDemand_APodThatStartsIsNotThrownAwayBecauseTheBurstWasShort(t *testing.T) {
	s := serving(5, Demand{Concurrency: Windows{0, 1}}, func(s *State) { s.Ready, s.Traffic.InFlight, s.Start.Since = 2, 1, now.Add(-5*time.Second) })
	d := Decide(slotted(1), s, now)
	if d.To != 5 || !slices.Contains(rules(d), "Starting Hold 5") || !d.Due.Equal(now.Truncate(demandAgain).Add(demandAgain)) {
		t.Errorf("%+v", d)
	}
	late := Decide(slotted(1), s, now.Add(time.Hour))
	if late.To == 5 && slices.Contains(rules(late), "Starting Hold 5") {
		t.Errorf("it is held for ever: %+v", late)
	}
}

func TestDemand_ThresholdsThatAreNotMetByFarKeepWhatIsThere(t *testing.T) {
	sp := slotted(10)
	sp.CPUThreshold = 700
	s := serving(3, Demand{}, func(s *State) { s.Means = []Mean{{Metric: CPU, Value: 600, Pods: 3}} })
	if d := Decide(sp, s, now); d.Wished != 3 || d.Trigger != Reconcile {
		t.Errorf("%+v", d)
	}
	s.Means[0].Value = 10
	s.Since = nil
	if d := Decide(sp, s, now); d.Wished >= 3 {
		t.Errorf("met by far: %+v", d)
	}
}

func TestDemand_ModelServersHaveRulesOfTheirOwn(t *testing.T) {
	for name, c := range map[string]struct {
		threshold Threshold
		state     State
		holds     bool
	}{
		"queued":                 {Threshold{Metric: QueuedRequests, Operator: GreaterThan, Value: 4}, serving(2, Demand{}, means(Mean{Metric: QueuedRequests, Value: 5, Pods: 2})), true},
		"queued, few":            {Threshold{Metric: QueuedRequests, Operator: GreaterThan, Value: 4}, serving(2, Demand{}, means(Mean{Metric: QueuedRequests, Value: 3, Pods: 2})), false},
		"the cache":              {Threshold{Metric: CacheUsage, Operator: GreaterThan, Value: 80}, serving(2, Demand{}, means(Mean{Metric: CacheUsage, Value: 91, Pods: 2})), true},
		"nobody measures it":     {Threshold{Metric: CacheUsage, Operator: GreaterThan, Value: 80}, serving(2, Demand{}), false},
		"concurrency":            {Threshold{Metric: Concurrency, Operator: GreaterThan, Value: 8}, serving(2, Demand{Concurrency: both(17)}), true},
		"concurrency that waits": {Threshold{Metric: Concurrency, Operator: GreaterThan, Value: 8}, serving(2, Demand{Concurrency: both(10)}, func(s *State) { s.Traffic.Waiting = 8 }), true},
		"rate":                   {Threshold{Metric: RequestRate, Operator: GreaterThan, Value: 8}, serving(2, Demand{Arrivals: both(17)}), true},
		"rate, low":              {Threshold{Metric: RequestRate, Operator: GreaterThan, Value: 8}, serving(2, Demand{Arrivals: both(15)}), false},
	} {
		sp := spec()
		sp.MaxReplicas = 20
		sp.Rules = []Rule{{Name: "r", Action: Increase, Step: 3, Thresholds: []Threshold{c.threshold}}}
		want := int32(2)
		if c.holds {
			want = 5 // by its stride
		}
		if d := Decide(sp, c.state, now); d.To != want {
			t.Errorf("%s: %d, want %d: %s", name, d.To, want, d.Summary)
		}
	}
}

func means(list ...Mean) func(*State) { return func(s *State) { s.Means = list } }

func TestRule_GoesDownByItsStrideButNeverTheLastPod(t *testing.T) {
	sp := spec()
	sp.MaxReplicas = 20
	sp.Rules = []Rule{{Name: "r", Action: Decrease, Step: 3, Thresholds: []Threshold{{Metric: CPU, Operator: LessThan, Value: 100}}}}
	for replicas, want := range map[int32]int32{9: 6, 4: 1, 3: 1, 2: 1, 1: 1} {
		s := serving(replicas, Demand{}, means(Mean{Metric: CPU, Value: 1, Pods: replicas}))
		if d := Decide(sp, s, now); d.Wished != want {
			t.Errorf("from %d: wished for %d, want %d", replicas, d.Wished, want)
		}
	}
}

func TestAsked_AreTheMetricsOfThresholdsAndRules(t *testing.T) {
	sp := Spec{CPUThreshold: 1, Rules: []Rule{{Thresholds: []Threshold{{Metric: CacheUsage}, {Metric: Disk}}}, {Thresholds: []Threshold{{Metric: CPU}}}}}
	if got := sp.Asked(); !slices.Equal(got, []Metric{CPU, Disk, CacheUsage}) {
		t.Errorf("%v", got)
	}
	for m, a := range about {
		if a.unit == "" || a.word == "" || a.input == "" || m.Unit() != a.unit || strings.TrimSpace(m.word()) == "" {
			t.Errorf("%s is not described", m)
		}
	}
}

func TestDemand_ThatIsNotKnownYetTakesNothingAway(t *testing.T) {
	d := Decide(slotted(1), serving(5, Demand{Unknown: true}), now)
	if d.To != 5 || !slices.Contains(rules(d), "Demand Hold 5") {
		t.Errorf("%+v", d)
	}
	if d := Decide(slotted(1), serving(5, Demand{Unknown: true, Concurrency: both(7)}), now); d.To != 10 {
		t.Errorf("up: %+v", d)
	}
}

func TestRule_WhatDrainsIsNoCapacity(t *testing.T) {
	s := serving(4, Demand{Concurrency: both(6), Arrivals: both(60)}, func(s *State) { s.Draining = 1 })
	if m := s.mean(Concurrency); m.Value != 2 || m.Pods != 3 {
		t.Errorf("%+v", m)
	}
	if m := s.mean(RequestRate); m.Value != 20 {
		t.Errorf("%+v", m)
	}
	if m := serving(1, Demand{Concurrency: both(6)}, func(s *State) { s.Draining = 1 }).mean(Concurrency); m.Value != 6 {
		t.Errorf("all drain: %+v", m)
	}
}
