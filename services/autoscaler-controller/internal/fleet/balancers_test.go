package fleet

import (
	"testing"
	"time"
)

// named are the load balancers that the routes name after a version.
func named(f *Fleet, after string) (names string, said bool) {
	u, _ := f.Routes(after)
	for _, b := range u.Balancers {
		names += b.Name + "@" + b.Address + " "
	}
	return names, u.Balancers != nil
}

func TestBalancers_AreNamedOnceALeaderHasHeardThemAll(t *testing.T) {
	start := time.Unix(1000, 0)
	f := New("e")
	report := func(name string, after time.Duration) {
		f.Report(Report{Balancer: name, StartedAt: start, Sequence: int64(after), Address: name + ":1"}, start.Add(after))
	}
	report("a", 1)
	if names, said := named(f, ""); names != "" || !said {
		t.Errorf("a follower names %q, %v", names, said)
	}
	f.Lead(start.Add(time.Second), []string{"a", "b"})
	report("a", 5*time.Second)
	if names, _ := named(f, ""); names != "" {
		t.Errorf("%q are named while b is awaited", names)
	}
	report("b", 6*time.Second)
	u, _ := f.Routes("")
	if names, _ := named(f, ""); names != "a@a:1 b@b:1 " {
		t.Errorf("named are %q", names)
	}
	report("a", 7*time.Second)
	if next, _ := f.Routes(u.Version); next.Version != u.Version {
		t.Error("a report that changes nobody makes a new version")
	}
	f.Report(Report{Balancer: "b", StartedAt: start, Sequence: int64(9 * time.Second), Leaving: true}, start.Add(8*time.Second))
	if names, said := named(f, u.Version); names != "a@a:1 " || !said {
		t.Errorf("after b left %q are named, %v", names, said)
	}
	f.Follow()
	if names, said := named(f, u.Version); names != "" || !said {
		t.Errorf("one that leads no more names %q, %v", names, said)
	}
}

func TestBalancers_WaitAMomentForThoseThatNobodyLeftWordOf(t *testing.T) {
	start := time.Unix(1000, 0)
	f := New("e")
	f.Lead(start, nil)
	f.Report(Report{Balancer: "a", StartedAt: start, Sequence: 1}, start.Add(settleFor-1))
	if names, _ := named(f, ""); names != "" {
		t.Errorf("%q are named too soon", names)
	}
	f.Report(Report{Balancer: "a", StartedAt: start, Sequence: 2}, start.Add(settleFor))
	if names, _ := named(f, ""); names != "a@ " {
		t.Errorf("named are %q", names)
	}
}

func TestBalancers_GoBySilenceByARestartAndByTheEndOfTheirProcess(t *testing.T) {
	start := time.Unix(1000, 0)
	f := New("e")
	f.Lead(start, nil)
	report := func(name string, startedAt, now time.Time) {
		f.Report(Report{Balancer: name, StartedAt: startedAt, Sequence: now.UnixNano(), Address: name}, now)
	}
	now := start.Add(10 * time.Second)
	report("a", start, now)
	report("b", start, now)
	f.BalancerEnded("b", start.Add(-time.Second), now) // of an earlier life
	f.BalancerEnded("nobody", now, now)
	if names, _ := named(f, ""); names != "a@a b@b " {
		t.Errorf("named are %q", names)
	}
	f.BalancerEnded("b", start.Add(5*time.Second), now)
	if names, _ := named(f, ""); names != "a@a " {
		t.Errorf("after the end of b %q are named", names)
	}
	report("b", now, now)
	u, _ := f.Routes("")
	if len(u.Balancers) != 2 || !u.Balancers[1].StartedAt.Equal(now) {
		t.Errorf("after b started again %+v are named", u.Balancers)
	}
	report("a", start, now.Add(ForgetFor-1))
	if names, _ := named(f, ""); names != "a@a b@b " {
		t.Errorf("%q are named before b was silent for long enough", names)
	}
	report("a", start, now.Add(ForgetFor))
	if names, _ := named(f, ""); names != "a@a " {
		t.Errorf("%q are named although b is silent", names)
	}
}

func TestBalancers_GoSoonAfterTheirPodWasDeletedWhenTheyAreSilent(t *testing.T) {
	start := time.Unix(1000, 0)
	f := New("e")
	f.Lead(start, nil)
	report := func(name string, now time.Time) {
		f.Report(Report{Balancer: name, StartedAt: start, Sequence: now.UnixNano(), Address: name}, now)
	}
	now := start.Add(10 * time.Second)
	report("a", now)
	report("b", now)
	f.BalancerDeleted("b", now)
	f.BalancerDeleted("nobody", now)
	report("b", now.Add(time.Second)) // it drains still
	report("a", now.Add(goneAfter))
	if names, _ := named(f, ""); names != "a@a b@b " {
		t.Errorf("%q are named while b reports", names)
	}
	report("a", now.Add(time.Second+goneAfter))
	if names, _ := named(f, ""); names != "a@a " {
		t.Errorf("%q are named although b is deleted and silent", names)
	}
}
