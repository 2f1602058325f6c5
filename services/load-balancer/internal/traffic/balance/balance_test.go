package balance

import (
	"math/rand/v2"
	"testing"
	"time"
)

func seeded() Intn { return rand.New(rand.NewPCG(1, 2)).IntN }

func free(n int) []Pod {
	pods := make([]Pod, n)
	for i := range pods {
		pods[i].Usable = true
	}
	return pods
}

func TestPolicies_NeverChooseAPodThatIsNotFree(t *testing.T) {
	intn := seeded()
	for _, name := range []string{RoundRobinName, LeastConnectionsName, RandomName} {
		policy, known := ByName(name, intn)
		if !known {
			t.Fatalf("%s is not known", name)
		}
		for range 2000 {
			pods := make([]Pod, intn(6))
			any := false
			for i := range pods {
				pods[i] = Pod{Usable: intn(2) == 0, InFlight: intn(4), Limit: intn(4)}
				any = any || pods[i].Free()
			}
			choice, ok := policy(pods)
			if ok != any || ok && (!pods[choice.Index].Free() || choice.Reason == "") {
				t.Fatalf("%s of %+v chose %+v, %v", name, pods, choice, ok)
			}
		}
	}
}

func TestByName_UnknownIsRoundRobin(t *testing.T) {
	if policy, known := ByName("Sorcery", seeded()); known || policy == nil {
		t.Error("an unknown policy must fall back, and say so")
	}
}

func TestRoundRobin_TakesTurnsAndStartsAnywhere(t *testing.T) {
	starts := map[int]bool{}
	intn := seeded()
	for range 50 {
		policy := RoundRobin(intn)
		first, _ := policy(free(3))
		starts[first.Index] = true
		for k := 1; k < 7; k++ {
			if c, _ := policy(free(3)); c.Index != (first.Index+k)%3 {
				t.Fatalf("turn %d after %d is %d", k, first.Index, c.Index)
			}
		}
		if c, ok := policy(free(1)); !ok || c.Index != 0 { // pods may go between two turns
			t.Fatalf("with one pod left: %+v, %v", c, ok)
		}
	}
	if len(starts) != 3 {
		t.Errorf("it started at %v, want anywhere", starts)
	}
}

func TestLeastConnections_TakesTheFewestAndTiesByChance(t *testing.T) {
	policy := LeastConnections(seeded())
	pods := free(4)
	pods[0].InFlight, pods[1].InFlight, pods[2].InFlight, pods[3].InFlight = 5, 2, 2, 3
	counts := make([]int, 4)
	for range 2000 {
		c, _ := policy(pods)
		counts[c.Index]++
	}
	if counts[0]+counts[3] > 0 || counts[1] < 900 || counts[2] < 900 {
		t.Errorf("chosen %v times", counts)
	}
}

func TestRandom_IsEven(t *testing.T) {
	policy := Random(seeded())
	counts := make([]int, 4)
	for range 4000 {
		c, _ := policy(free(4))
		counts[c.Index]++
	}
	for _, n := range counts {
		if n < 850 || n > 1150 {
			t.Errorf("chosen %v times", counts)
		}
	}
}

func TestEjection_TakesOutAfterFailuresInARow(t *testing.T) {
	now := time.Unix(1000, 0)
	var e Ejection
	e.Failed(now, .5)
	e.Failed(now, .5)
	e.Succeeded()
	again, third := e.Failed(now, .5), e.Failed(now, .5)
	if again || third || e.Active(now) {
		t.Error("an answer between must begin the count anew")
	}
	want := time.Second
	for range 8 {
		if !e.Failed(now, .5) {
			t.Fatal("not ejected")
		}
		if got := e.Until().Sub(now); got != want {
			t.Fatalf("out for %v, want %v", got, want)
		}
		if e.Failed(now, .5) {
			t.Error("a failure of a request that was on its way must not eject again")
		}
		now = e.Until()
		if e.Active(now) {
			t.Error("still out when its time is over")
		}
		want = min(2*want, 30*time.Second)
	}
	var low, high Ejection
	for range 3 {
		low.Failed(now, 0)
		high.Failed(now, 1)
	}
	if low.Until().Sub(now) != 800*time.Millisecond || high.Until().Sub(now) != 1200*time.Millisecond {
		t.Errorf("jitter from %v to %v, want 20%%", low.Until().Sub(now), high.Until().Sub(now))
	}
}

func TestRampUp_GrowsByTimeAndByAnswers(t *testing.T) {
	now := time.Unix(1000, 0)
	var r RampUp
	if r.Limit(now) != 0 || !r.Next(now).IsZero() {
		t.Error("a pod that was warm before has a limit")
	}
	r.Start(now)
	r.Start(now.Add(time.Hour)) // begins once
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 16}, {49 * time.Millisecond, 16}, {50 * time.Millisecond, 32}, {100 * time.Millisecond, 64}, {399 * time.Millisecond, 16 << 7}, {400 * time.Millisecond, 0}} {
		if got := r.Limit(now.Add(step.after)); got != step.want {
			t.Errorf("after %v the limit is %d, want %d", step.after, got, step.want)
		}
	}
	r.Answered()
	if got := r.Limit(now); got != 17 {
		t.Errorf("after an answer the limit is %d, want 17", got)
	}
	if got := r.Next(now.Add(60 * time.Millisecond)); got != now.Add(100*time.Millisecond) {
		t.Errorf("it grows next after %v", got.Sub(now))
	}
	r.Reset()
	if r.Limit(now) != 0 {
		t.Error("a reset ramp has a limit")
	}
}
