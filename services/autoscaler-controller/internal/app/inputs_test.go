package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// From what load balancers and sidecars push to the count of a Deployment, over minutes of virtual time.

func thresholds(change ...func(*scaling.Spec)) scaling.Spec {
	s := scaling.Spec{MaxReplicas: 5, IdleTime: 10 * time.Minute, WakeUpTimeout: time.Minute, DownWindow: time.Minute}
	for _, c := range change {
		c(&s)
	}
	return s
}

func within500ms(s *scaling.Spec) { s.ResponseTimeThreshold = 500 }
func idle30s(s *scaling.Spec)     { s.IdleTime = 30 * time.Second }

func (s *stage) expect(t *testing.T, what string, want ...int32) {
	t.Helper()
	if got, _ := s.asked(); !slices.Equal(got, want) {
		t.Errorf("%s: the counts are %v, want %v\n%s", what, got, want, s.reasons())
	}
}

// K5: beside calls of 3 ms a stream of 20 s ends every 5 s, and a WebSocket of an hour closes.
func TestInputs_StreamsAndTunnelsAreNoSlowAnswers(t *testing.T) {
	on(t, 1, thresholds(within500ms), func(s *stage) {
		b := s.balancer("lb")
		b.inFlight, b.streams, b.tunnels = 5, 5, 1
		s.run(300, func(second int) {
			b.answers(20, 3*time.Millisecond)
			if second%5 == 0 { // one ends, and another one begins: its first byte is what counts
				b.arrivals++
				b.requests++
				b.times(1, 4*time.Millisecond)
			}
			if second == 100 {
				b.inFlight, b.streams, b.tunnels = 4, 4, 0
				b.requests++
			}
		}, b)
		s.expect(t, "after five minutes")
	})
}

// K6: one answer that took three seconds, and nothing after it.
func TestInputs_OneSlowAnswerIsOneStepAtMost(t *testing.T) {
	on(t, 1, thresholds(within500ms), func(s *stage) {
		b := s.balancer("lb")
		s.run(10, nil, b)
		s.run(50, func(second int) {
			if second == 1 {
				b.answers(1, 3*time.Second)
			}
		}, b)
		s.expect(t, "after one slow answer", 2)
	})
}

// And as long as answers are slow there is one step after the other.
func TestInputs_SlowAnswersAddPodsAsLongAsTheyAreSlow(t *testing.T) {
	on(t, 1, thresholds(within500ms, func(s *scaling.Spec) { s.MaxReplicas = 4 }), func(s *stage) {
		b := s.balancer("lb")
		s.run(60, func(int) {
			_, pods := s.asked() // work that is shared out: 3 s on one pod, quick on three
			b.answers(5, 3*time.Second/time.Duration(pods*pods*pods))
		}, b)
		s.expect(t, "until they are quick", 2)
		if _, pods := s.asked(); pods != 2 {
			t.Errorf("%d pods", pods)
		}
	})
}

// What a pod uses to load its model is no load, whoever measured it.
func TestInputs_WhatAPodUsedBeforeItWasReadyIsNoLoad(t *testing.T) {
	on(t, 1, thresholds(func(s *scaling.Spec) { s.CPUThreshold, s.MemoryThreshold = 700, 1000 }), func(s *stage) {
		s.pods, s.born = 23*time.Second, []time.Time{time.Now()}
		b := s.balancer("lb")
		b.inFlight = 1
		s.run(120, func(second int) {
			if second%5 != 4 {
				return
			}
			use := map[string]float64{"cpuUsage": 100, "memoryUsage": 200}
			if second < 29 { // the sample that comes after it is of before, too
				use = map[string]float64{"cpuUsage": 4000, "memoryUsage": 9000}
			}
			s.sidecar("shop-0", use)
		}, b)
		s.expect(t, "after a start at full load")
		s.run(10, func(int) { s.sidecar("shop-0", map[string]float64{"cpuUsage": 4000, "memoryUsage": 200}) }, b)
		if counts, _ := s.asked(); len(counts) == 0 || counts[0] != 2 {
			t.Errorf("at a load that is one: %v", counts)
		}
	})
}

// Requests that passed by every load balancer keep an application awake while its sidecar says so.
func TestInputs_WhatASidecarSaysKeepsAwakeAsLongAsItSaysSo(t *testing.T) {
	on(t, 1, thresholds(idle30s), func(s *stage) {
		b := s.balancer("lb")
		s.run(120, func(second int) {
			if second%5 == 0 {
				s.sidecar("shop-0", map[string]float64{"inFlight": float64(1 + second%2), "queued": 2})
			}
		}, b)
		s.expect(t, "while it works")
		if d := s.loop.Decisions(fleet.Filter{}, 1); len(d) == 0 || !strings.Contains(d[0].Summary, "the sidecars say that the pods have something to do") {
			t.Errorf("it is not said why it stays awake: %s", s.reasons())
		}
		s.run(24, nil, b) // the last word was of second 115
		s.expect(t, "29 s after it fell silent")
		s.run(6, nil, b)
		s.expect(t, "35 s after it fell silent", 0)
	})
}

// A gauge that never comes back to zero keeps nothing awake for ever.
func TestInputs_AGaugeThatStandsStillDoesNotKeepAwakeForEver(t *testing.T) {
	on(t, 1, thresholds(idle30s), func(s *stage) {
		b := s.balancer("lb")
		stuck := func(second int) {
			if second%10 == 0 {
				s.sidecar("shop-0", map[string]float64{"inFlight": 1})
			}
		}
		s.run(int(fleet.StillFor.Seconds())-10, stuck, b)
		s.expect(t, "for an hour")
		s.run(60, stuck, b)
		s.expect(t, "after it", 0)
	})
}

func TestInputs_WhileAllLoadBalancersAreAwayNothingIsIdle(t *testing.T) {
	for name, returns := range map[string]func(s *stage, b *balancer) *balancer{
		"the same one comes back": func(_ *stage, b *balancer) *balancer { return b },
		"another one comes":       func(s *stage, _ *balancer) *balancer { return s.balancer("lb-2") },
	} {
		t.Run(name, func(t *testing.T) {
			on(t, 1, thresholds(idle30s), func(s *stage) {
				b := s.balancer("lb")
				s.run(5, func(int) { b.answers(1, time.Millisecond) }, b)
				s.run(120, nil)
				s.expect(t, "while nobody looks")
				b = returns(s, b)
				s.run(29, nil, b)
				s.expect(t, "when somebody looks again")
				s.run(6, nil, b)
				s.expect(t, "idle for idleTime", 0)
			})
		})
	}
}

// K7: its Deployment had traffic of its own Service until it was named.
func TestInputs_ADeploymentThatIsAddedHasItsOwnGrace(t *testing.T) {
	on(t, 2, thresholds(idle30s), func(s *stage) {
		b := s.balancer("lb")
		s.run(60, func(second int) {
			if second == 0 {
				s.loop.Forget(shop)
			}
			s.named = time.Now()
		}, b)
		s.expect(t, "as long as it is named anew")
		s.run(28, nil, b)
		s.expect(t, "28 s later")
		s.run(5, nil, b)
		s.expect(t, "33 s later", 0)
	})
}

func TestInputs_ALoadBalancerThatIsSilentIsForgottenOnlyWithItsPod(t *testing.T) {
	on(t, 1, thresholds(idle30s), func(s *stage) {
		heard, silent := s.balancer("lb-1"), s.balancer("lb-2")
		s.loop.Alive([]string{"lb-1", "lb-2"})
		s.run(5, nil, heard, silent)
		s.run(300, nil, heard)
		s.expect(t, "while its pod is ready")
		if !strings.Contains(s.reasons(), "nothing is heard from lb-2, though the pod runs and is ready") {
			t.Errorf("it is not said: %s", s.reasons())
		}
		s.loop.Alive([]string{"lb-1"})
		s.run(5, nil, heard)
		s.expect(t, "when its pod has gone", 0)
	})
}

func TestInputs_ALoadBalancerTooManyIsAHold(t *testing.T) {
	on(t, 1, thresholds(idle30s), func(s *stage) {
		all := make([]*balancer, fleet.MaxBalancers)
		for i := range all {
			all[i] = s.balancer(fmt.Sprintf("lb-%d", i))
		}
		more := s.balancer("one-more")
		some := func(seconds int, heard ...*balancer) { // each reports every fifth second
			for range seconds / 5 {
				s.run(1, nil, heard...)
				s.run(4, nil)
			}
		}
		some(40, append(slices.Clone(all), more)...)
		s.expect(t, "while one is not listened to")
		if !strings.Contains(s.reasons(), "more than 256 load balancers report") {
			t.Errorf("it is not said: %s", s.reasons())
		}
		some(55, all...)
		s.run(20, nil, all...)
		s.expect(t, "a minute after it gave up", 0)
	})
}

// A request that is under way, and of which there is nothing new to tell, keeps awake: reports name
// what has changed alone.
func TestInputs_AReportThatNamesNothingIsNotOneOfNothing(t *testing.T) {
	for _, older := range []bool{false, true} {
		t.Run(fmt.Sprintf("older load balancer: %v", older), func(t *testing.T) {
			on(t, 1, thresholds(idle30s), func(s *stage) {
				b := s.balancer("lb")
				b.older = older
				b.waiting = 1
				s.run(300, nil, b)
				s.expect(t, "while a request waits")
				b.waiting = 0
				s.run(28, nil, b)
				s.expect(t, "28 s after it was sent away")
				s.run(6, nil, b)
				s.expect(t, "idle for idleTime", 0)
			})
		})
	}
}

// The next leader is told everything within the first report, and knows what the one before had learned.
func TestInputs_OutliveTheLeader(t *testing.T) {
	on(t, 1, thresholds(idle30s), func(s *stage) {
		b := s.balancer("lb")
		s.run(90, func(int) { b.answers(10, 200*time.Millisecond) }, b)
		state := func() scaling.Demand { view, _ := s.loop.Fleet.View(shop, time.Now()); return view.Demand }
		if d := state(); d.Arrivals.Short < 9 || d.Arrivals.Short > 11 || d.ServiceTime < 180*time.Millisecond || d.ServiceTime > 220*time.Millisecond {
			t.Errorf("demand %+v", d)
		}
		b.inFlight = 1
		s.run(1, nil, b)
		stop := s.begin(t, "e2")
		defer stop()
		s.observe()
		if receipt := b.report(); receipt.Resync != nil || *receipt.Epoch != "e2" {
			t.Errorf("the receipt says %+v", receipt)
		}
		if d := state(); d.InFlight != 1 || d.ServiceTime < 180*time.Millisecond || d.Arrivals.Short != 0 {
			t.Errorf("the next leader knows %+v", d)
		}
		s.run(60, nil, b)
		s.expect(t, "with a request under way")
	})
}
