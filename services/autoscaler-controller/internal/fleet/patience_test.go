package fleet

import (
	"testing"
	"time"
)

func TestPatience_IsWhatTheLoadBalancerCountsOn(t *testing.T) {
	for name, c := range map[string]struct{ said, want time.Duration }{
		"it does not say":        {0, 60 * time.Second},
		"the least":              {15 * time.Second, 15 * time.Second},
		"between":                {40 * time.Second, 40 * time.Second},
		"less than may be said":  {time.Second, 15 * time.Second},
		"more than others await": {time.Hour, 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Unix(1000, 0)
			f := New("e")
			f.Lead(start, nil)
			now := start.Add(10 * time.Second)
			f.Report(Report{Balancer: "a", StartedAt: start, Sequence: 1, ForgetFor: c.said}, now)
			if got := f.Patience(); got != c.want {
				t.Errorf("the next leader is told %v, want %v", got, c.want)
			}
			if _, next := f.Expire(now.Add(c.want - 1)); !next.Equal(now.Add(c.want)) || f.Patience() == 0 {
				t.Errorf("it is to be forgotten at %v, want %v", next, now.Add(c.want))
			}
			if _, next := f.Expire(now.Add(c.want)); !next.IsZero() || f.Patience() != 0 {
				t.Error("it is not forgotten after that")
			}
		})
	}
}

func TestPatience_OfALaterLifeIsAnother(t *testing.T) {
	start := time.Unix(1000, 0)
	f := New("e")
	f.Lead(start, nil)
	f.Report(Report{Balancer: "a", StartedAt: start, Sequence: 1, ForgetFor: 15 * time.Second}, start)
	f.Report(Report{Balancer: "a", StartedAt: start.Add(time.Second), Sequence: 1}, start.Add(2*time.Second))
	if got := f.Patience(); got != ForgetFor {
		t.Errorf("got %v of a life that says nothing", got)
	}
}

func TestPatience_OfThoseThatAreAwaitedIsWhatTheLeaderBeforeSaid(t *testing.T) {
	start := time.Unix(1000, 0)
	for name, c := range map[string]struct{ inherited, want time.Duration }{
		"said":     {20 * time.Second, 20 * time.Second},
		"not said": {0, ForgetFor},
	} {
		t.Run(name, func(t *testing.T) {
			f := New("e")
			f.Inherit(c.inherited)
			f.Lead(start, []string{"a"})
			if _, next := f.Expire(start); !next.Equal(start.Add(c.want)) {
				t.Errorf("it is awaited until %v, want %v", next, start.Add(c.want))
			}
		})
	}
	// One that has spoken for itself is not what the leader before said of all.
	f := New("e")
	f.Report(Report{Balancer: "a", StartedAt: start, Sequence: 1, ForgetFor: 40 * time.Second}, start)
	f.Inherit(20 * time.Second)
	f.Lead(start.Add(30*time.Second), []string{"a"})
	if _, next := f.Expire(start.Add(30 * time.Second)); !next.Equal(start.Add(70 * time.Second)) {
		t.Errorf("it is awaited until %v", next)
	}
}
