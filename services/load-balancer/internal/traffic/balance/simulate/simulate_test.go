package simulate

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

const mean = 50 * time.Millisecond

// near tells whether a mean time is the expected one, give or take a share.
func near(got, want time.Duration, share float64) bool {
	return math.Abs(got.Seconds()-want.Seconds()) <= share*want.Seconds()
}

func TestRun_OneServerIsMM1(t *testing.T) {
	for _, load := range []float64{.3, .5, .8} {
		r := Run(Scenario{Pods: Alike(1, Pod{Speed: 1, Workers: 1}), Balancers: 1, Load: load, Cost: Exponential(mean), Requests: 100_000}, balance.RoundRobinName, 1)
		want := time.Duration(float64(mean) / (1 - load)) // of M/M/1
		if !near(r.Mean, want, .05) || math.Abs(r.Utilisation-load) > .02 {
			t.Errorf("at %v of its capacity a request takes %v, want %v; busy for %.3f", load, r.Mean, want, r.Utilisation)
		}
	}
}

func TestRun_FixedCostsAreMD1(t *testing.T) {
	const load = .8
	r := Run(Scenario{Pods: Alike(1, Pod{Speed: 2, Workers: 1}), Balancers: 1, Load: load, Cost: Fixed(mean), Requests: 60_000}, balance.RoundRobinName, 1)
	if want := time.Duration(float64(mean) / 2 * (1 + load/(2*(1-load)))); !near(r.Mean, want, .05) { // of M/D/1
		t.Errorf("a request takes %v, want %v", r.Mean, want)
	}
}

// erlangC is the mean time in a system of n servers with one queue (M/M/n).
func erlangC(n int, load float64) time.Duration {
	offered, term, sum := load*float64(n), 1.0, 0.0
	for k := range n {
		sum += term
		term *= offered / float64(k+1)
	}
	waits := term / (1 - load) / (sum + term/(1-load))
	return time.Duration(float64(mean) * (1 + waits/(float64(n)*(1-load))))
}

func TestRun_OnePodWithManyWorkersIsMMn(t *testing.T) {
	const load = .9
	for _, n := range []int{2, 8} {
		r := Run(Scenario{Pods: Alike(1, Pod{Speed: 1, Workers: n}), Balancers: 1, Load: load, Cost: Exponential(mean), Requests: 100_000}, balance.RandomName, 2)
		if want := erlangC(n, load); !near(r.Mean, want, .08) {
			t.Errorf("with %d workers a request takes %v, want %v", n, r.Mean, want)
		}
	}
}

func TestRun_WaitingAtTheBalancerIsMMnToo(t *testing.T) {
	const load = .9
	r := Run(Scenario{Pods: Alike(8, Pod{Speed: 1, Workers: 1}), Limit: 1, Balancers: 1, Load: load, Cost: Exponential(mean), Requests: 100_000}, balance.RandomName, 2)
	if want := erlangC(8, load); !near(r.Mean, want, .08) {
		t.Errorf("one at a time on 8 pods takes %v, want %v", r.Mean, want)
	}
}

func TestRun_RandomSplitsIntoMM1s(t *testing.T) {
	r := Run(Scenario{Pods: Alike(10, Pod{Speed: 1, Workers: 1}), Balancers: 3, Load: .7, Cost: Exponential(mean), Requests: 120_000}, balance.RandomName, 3)
	if want := 10 * mean / 3; !near(r.Mean, want, .05) {
		t.Errorf("by chance a request takes %v, want %v", r.Mean, want)
	}
}

// anyScenario is one that nobody thought of.
func anyScenario(r *rand.Rand) Scenario {
	s := Scenario{
		Balancers: 1 + r.IntN(4), Load: .2 + .7*r.Float64(), Requests: 1200, Limit: r.IntN(4), Keys: r.IntN(50),
		Cost: []Cost{Exponential(mean), Fixed(mean), Mixed(mean), HeavyTailed(mean)}[r.IntN(4)],
	}
	for range 1 + r.IntN(20) {
		s.Pods = append(s.Pods, Pod{Speed: .2 + r.Float64(), Workers: 1 + r.IntN(4)})
	}
	if r.IntN(2) == 0 {
		s.Pods[0].FailShare, s.Pods[0].FailTook = r.Float64(), time.Millisecond
	}
	if r.IntN(2) == 0 {
		s.Pods = append(s.Pods, Pod{Speed: 1, Workers: 1, Joins: time.Duration(r.IntN(5000)) * time.Millisecond, Cold: r.IntN(20), ColdFor: 5})
	}
	if r.IntN(3) == 0 {
		s.Gauges, s.Lag = 100*time.Millisecond, 10*time.Millisecond
	}
	return s
}

func TestRun_EveryRequestIsAnsweredOnceUnderEveryPolicy(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 12 {
		s := anyScenario(r)
		for _, policy := range balance.Names() {
			got := Run(s, policy, r.Uint64())
			sum := 0
			for _, n := range got.ByPod {
				sum += n
			}
			if got.Requests != s.Requests || sum != s.Requests || got.Unfinished != 0 {
				t.Fatalf("%s: %d of %d were answered, %d at pods, %d are left: %+v", policy, got.Requests, s.Requests, sum, got.Unfinished, s)
			}
			if got.P50 > got.P99 || got.P99 > got.P999 || got.Utilisation > 1.001 || got.Failures > got.Requests || got.Later > got.LaterOf {
				t.Fatalf("%s: that cannot be: %+v", policy, got)
			}
		}
	}
}

func TestRun_OneSeedGivesTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 3 {
		s := anyScenario(r)
		for _, policy := range balance.Names() {
			if a, b := Run(s, policy, 9), Run(s, policy, 9); !reflect.DeepEqual(a, b) {
				t.Errorf("%s: %+v, then %+v", policy, a, b)
			}
		}
	}
}

func TestRun_AFailingTenthIsAvoidedUnderEveryPolicy(t *testing.T) {
	for _, balancers := range []int{1, 4} {
		s := Failing(balancers)
		s.Requests = 12_000
		for _, policy := range balance.Names() {
			r := Run(s, policy, 1)
			if avoided := 1 - float64(r.Later)/(float64(r.LaterOf)/10); avoided < .9 {
				t.Errorf("%s, %d balancers: %d of %d requests failed after 2 s, %.0f%% were avoided", policy, balancers, r.Later, r.LaterOf, 100*avoided)
			}
		}
	}
}

// What refuses is fast, and would have the fewest requests in flight. Its requests would have been served elsewhere.
func TestRun_APodThatRefusesDoesNotAttract(t *testing.T) {
	for _, balancers := range []int{1, 4} {
		s := Busy(balancers)
		s.Requests = 12_000
		for _, policy := range []string{balance.LeastConnectionsName, balance.LeastRequestName, balance.ModelAwareName, balance.PeakEWMAName, balance.PrequalName} {
			r := Run(s, policy, 1)
			if avoided := 1 - float64(r.Later)/(float64(r.LaterOf)/10); avoided < .9 {
				t.Errorf("%s, %d balancers: %d of %d requests were refused after 2 s, %.0f%% were avoided", policy, balancers, r.Later, r.LaterOf, 100*avoided)
			}
		}
	}
}

func TestRun_OneOfTwoPodsThatFailsFastDoesNotAttract(t *testing.T) {
	pods := Alike(2, Pod{Speed: 1, Workers: 4})
	pods[0].FailShare, pods[0].FailTook = 1, time.Millisecond
	s := Scenario{Pods: pods, Balancers: 2, Load: .7, Cost: Exponential(50 * time.Millisecond), Requests: 1500}
	for _, policy := range balance.Names() {
		if r := Run(s, policy, 1); r.Failures > 3*r.Requests/100 {
			t.Errorf("%s: %d of %d requests failed", policy, r.Failures, r.Requests)
		}
	}
}

func TestRun_FailuresEverywhereEjectNobody(t *testing.T) {
	s := Scenario{Pods: Alike(8, Pod{Speed: 1, Workers: 1, FailShare: .5, FailTook: time.Millisecond}), Balancers: 1, Load: .5, Cost: Exponential(mean), Requests: 20_000}
	r := Run(s, balance.RandomName, 1)
	for i, n := range r.ByPod {
		if n < 2200 || n > 2800 { // of 2,500
			t.Errorf("pod %d got %d of %d requests: %v", i, n, r.Requests, r.ByPod)
		}
	}
}

func TestRun_PrequalHasShorterTailsWithMixedCosts(t *testing.T) {
	for _, balancers := range []int{1, 4} {
		s := Typical(16, balancers, Mixed(mean))
		s.Requests = 40_000
		p99 := map[string]time.Duration{}
		for _, policy := range []string{balance.PrequalName, balance.LeastRequestName, balance.RoundRobinName} {
			p99[policy] = Run(s, policy, 1).P99
		}
		if p99[balance.PrequalName]*10 > p99[balance.LeastRequestName]*7 || p99[balance.PrequalName]*2 > p99[balance.RoundRobinName] {
			t.Errorf("%d balancers: %v", balancers, p99)
		}
	}
}

func TestRun_TheSameKeyGoesToTheSamePodFromEveryBalancer(t *testing.T) {
	s := Scenario{Pods: Alike(8, Pod{Speed: 1, Workers: 4}), Balancers: 4, Load: .05, Cost: Exponential(mean), Requests: 2000, Keys: 1}
	r := Run(s, balance.ConsistentHashName, 1)
	most := 0
	for _, n := range r.ByPod {
		most = max(most, n)
	}
	if most < 98*r.Requests/100 { // but for moments in which the pod was full
		t.Errorf("one key went to %v", r.ByPod)
	}
}
