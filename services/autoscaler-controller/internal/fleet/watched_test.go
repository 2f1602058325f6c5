package fleet

import (
	"fmt"
	"testing"
	"time"
)

func TestIdleSince_IsNotWhileNobodyLooks(t *testing.T) {
	type step struct {
		balancer string
		second   float64
		since    time.Time // when the balancer was started
	}
	for name, c := range map[string]struct {
		steps []step
		want  time.Time // since when the application is idle, at the last step
	}{
		"a load balancer that was there before us has looked":   {[]step{{"a", 1, day}, {"a", 2, day}}, day},
		"one that is silent for a moment":                       {[]step{{"a", 1, day}, {"a", 11, day}}, day},
		"one that comes back has not been heard meanwhile":      {[]step{{"a", 1, day}, {"a", 11.5, day}}, at(11.5)},
		"nor has its successor":                                 {[]step{{"a", 1, day}, {"b", 300, at(299)}}, at(300)},
		"another one has looked":                                {[]step{{"a", 1, day}, {"b", 8, day}, {"b", 16, day}, {"a", 24, day}}, day},
		"the first that comes late in a term":                   {[]step{{"a", 60, day}}, at(60)},
		"after it was heard again its silence is long ago":      {[]step{{"a", 1, day}, {"a", 40, day}, {"a", 45, day}, {"a", 50, day}}, at(40)},
		"one that begins while another one is heard is no gap":  {[]step{{"a", 1, day}, {"b", 2, at(2)}, {"b", 5, at(2)}}, at(0)},
		"each silence counts, the last one is the one to count": {[]step{{"a", 1, day}, {"a", 40, day}, {"a", 80, day}}, at(80)},
	} {
		f := leading(seen(1, pod("a")))
		sequences := map[string]int64{}
		for _, s := range c.steps {
			sequences[s.balancer]++
			traffic(f, s.balancer, sequences[s.balancer], at(s.second), func(r *Report) { r.StartedAt = s.since })
		}
		last := at(c.steps[len(c.steps)-1].second)
		if got := state(t, f, last).Traffic.IdleSince; !got.Equal(c.want) {
			t.Errorf("%s: idle since second %v, want %v", name, got.Sub(now).Seconds(), c.want.Sub(now).Seconds())
		}
	}
}

func TestIdleSince_OfTheNextTermKnowsNoGapOfTheLast(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "lb", 1, at(1))
	traffic(f, "lb", 2, at(60))
	f.Follow()
	f.Lead(at(65), nil)
	traffic(f, "lb", 3, at(66))
	if got := state(t, f, at(66)).Traffic.IdleSince; !got.Equal(day) {
		t.Errorf("idle since second %v", got.Sub(now).Seconds())
	}
}

func TestExpire_ForgetsNobodyWhosePodRunsAndIsReady(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "lb", 1, at(1), func(r *Report) { r.Applications[0].InFlight = 1 })
	f.Alive([]string{"lb", "another"}, at(2))
	s := state(t, f, at(600))
	if len(s.Traffic.Stale) != 1 || !s.Traffic.Stale[0].Alive || !s.Traffic.NextAge.IsZero() {
		t.Errorf("after ten minutes: %+v", s.Traffic)
	}
	if keys := f.Alive([]string{"another"}, at(601)); len(keys) != 1 {
		t.Errorf("to decide on anew: %v", keys)
	}
	if s := state(t, f, at(601)); len(s.Traffic.Stale) != 0 {
		t.Errorf("its pod has gone: %+v", s.Traffic)
	}
	traffic(f, "lb", 2, at(602))
	f.Alive(nil, at(603))
	if s := state(t, f, at(614)); len(s.Traffic.Stale) != 1 || s.Traffic.Stale[0].Alive || !s.Traffic.NextAge.Equal(at(602).Add(ForgetFor)) {
		t.Errorf("silent, and its pod is not ready: %+v", s.Traffic)
	}
}

func TestReport_BeyondTheBoundIsAHoldForAWhile(t *testing.T) {
	f := leading(seen(1, pod("a")))
	for i := range MaxBalancers {
		traffic(f, fmt.Sprintf("lb-%d", i), 1, at(1))
	}
	if got := state(t, f, at(1)).Traffic.Unheard; got != 0 {
		t.Errorf("as many as may be: %d", got)
	}
	if _, v := f.Report(Report{Balancer: "one-more", StartedAt: day, Sequence: 1}, at(2)); v != TooMany {
		t.Fatal(v)
	}
	s := state(t, f, at(3))
	if s.Traffic.Unheard != MaxBalancers || !s.Traffic.NextAge.Equal(at(2).Add(ForgetFor)) {
		t.Errorf("one too many: %+v", s.Traffic.Unheard)
	}
	for i := range MaxBalancers {
		traffic(f, fmt.Sprintf("lb-%d", i), 2, at(60))
	}
	if got := state(t, f, at(63)).Traffic.Unheard; got != 0 {
		t.Errorf("a minute later: %d", got)
	}
}

func TestLead_AwaitsNoMoreThanTheBoundAndHoldsForTheRest(t *testing.T) {
	f := New("e")
	names := make([]string, MaxBalancers+1)
	for i := range names {
		names[i] = fmt.Sprintf("lb-%d", i)
	}
	f.Lead(now, names)
	f.Observe(seen(1, pod("a")), now)
	if s := state(t, f, at(1)); s.Traffic.Unheard != MaxBalancers || len(s.Traffic.Stale) != MaxBalancers {
		t.Errorf("%d unheard, %d awaited", s.Traffic.Unheard, len(s.Traffic.Stale))
	}
}
