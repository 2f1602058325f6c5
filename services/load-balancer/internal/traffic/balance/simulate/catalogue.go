package simulate

import "time"

// usualCost is the mean of what is simulated here; all else scales with it.
const usualCost = 50 * time.Millisecond

// Typical is n pods of which a fifth has half the speed, at 0.9 of what they can do.
func Typical(pods, balancers int, cost Cost) Scenario {
	return Scenario{
		Name: "mixed speeds", Pods: Speeds(pods, 1, 1, 1, 1, 1, .5), Balancers: balancers, Load: .9, Cost: cost, Requests: 60_000,
	}
}

// Failing is twenty pods of which two answer every request with an error, at once.
func Failing(balancers int) Scenario {
	pods := Alike(20, Pod{Speed: 1, Workers: 1})
	for _, i := range []int{3, 7} {
		pods[i].FailShare, pods[i].FailTook = 1, time.Millisecond
	}
	return Scenario{Name: "a tenth fails fast", Pods: pods, Balancers: balancers, Load: .7, Cost: Mixed(usualCost), Requests: 40_000}
}

// Busy is the same with two that refuse every request, at once.
func Busy(balancers int) Scenario {
	s := Failing(balancers)
	s.Name = "a tenth refuses (429)"
	for i := range s.Pods {
		s.Pods[i].FailStatus = 429
	}
	return s
}

// Refusing is sixteen pods, each of which refuses more than four requests at a time.
func Refusing(balancers int) Scenario {
	return Scenario{
		Name: "pods refuse more than four (429)", Pods: Alike(16, Pod{Speed: 1, Workers: 4, Most: 4, FailTook: time.Millisecond}),
		Balancers: balancers, Load: .6, Cost: Mixed(usualCost), Requests: 40_000,
	}
}

// Newcomer is ten busy pods, to which one comes that is slow at first.
func Newcomer(balancers int) Scenario {
	pods := append(Alike(10, Pod{Speed: 1, Workers: 1}), Pod{Speed: 1, Workers: 1, Joins: 20 * time.Second, Cold: 20, ColdFor: 20})
	return Scenario{Name: "a cold newcomer", Pods: pods, Balancers: balancers, Load: .9, Cost: Mixed(usualCost), Requests: 40_000}
}

// Catalogue is what make bench-policies shows.
func Catalogue() []Scenario {
	var all []Scenario
	for _, balancers := range []int{1, 4} {
		for _, pods := range []int{2, 16, 100} {
			all = append(all, Typical(pods, balancers, Mixed(usualCost)))
		}
		all = append(all, Typical(16, balancers, HeavyTailed(usualCost)), Failing(balancers), Busy(balancers), Refusing(balancers), Newcomer(balancers))
	}
	gauged := Typical(16, 4, Mixed(usualCost))
	gauged.Name, gauged.Gauges, gauged.Lag = "mixed speeds, gauges of the pods every 200 ms", 200*time.Millisecond, 20*time.Millisecond
	return append(all, gauged)
}
