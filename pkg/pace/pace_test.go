package pace

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var twice = Pace{PerSecond: 1, Burst: 2}

func TestTake_GivesEachItsOwn(t *testing.T) {
	p, now := New[string](10), time.Unix(1000, 0)
	for i, want := range []bool{true, true, false, false} {
		if got := p.Take("jane", twice, now); got != want {
			t.Errorf("time %d: %v", i, got)
		}
	}
	if !p.Take("olga", twice, now) {
		t.Error("another one has none")
	}
	now = now.Add(time.Second)
	if !p.Take("jane", twice, now) || p.Take("jane", twice, now) {
		t.Error("not one more after a second")
	}
	now = now.Add(time.Hour)
	for i, want := range []bool{true, true, false} {
		if got := p.Take("jane", twice, now); got != want {
			t.Errorf("time %d after a rest: %v", i, got)
		}
	}
}

func TestSpent_TakesNone(t *testing.T) {
	p, now := New[string](10), time.Unix(1000, 0)
	if p.Spent("jane", now) || p.Len() != 0 {
		t.Error("who did nothing is known, or has none left")
	}
	p.Take("jane", twice, now)
	for range 3 {
		if p.Spent("jane", now) {
			t.Error("it has one left")
		}
	}
	p.Take("jane", twice, now)
	if !p.Spent("jane", now) || p.Spent("jane", now.Add(time.Second)) {
		t.Error("it has none left now, and one in a second")
	}
}

func TestPaces_ForgetTheOneThatDidSomethingLongestAgo(t *testing.T) {
	p, now := New[int](3), time.Unix(1000, 0)
	once := Pace{PerSecond: 1, Burst: 1}
	for who := range 3 {
		p.Take(who, once, now)
	}
	p.Take(0, once, now) // 1 is the oldest now
	p.Take(3, once, now)
	if p.Len() != 3 || !p.Take(1, once, now) || p.Take(0, once, now) {
		t.Errorf("%d are remembered, and not those who did something last", p.Len())
	}
}

func TestTake_BoundsManyAtOnce(t *testing.T) {
	p, now := New[string](1), time.Unix(1000, 0)
	var running sync.WaitGroup
	var taken atomic.Int64
	for range 50 {
		running.Go(func() {
			if p.Take("jane", Pace{PerSecond: 1, Burst: 20}, now) {
				taken.Add(1)
			}
		})
	}
	running.Wait()
	if taken.Load() != 20 {
		t.Errorf("%d were let through", taken.Load())
	}
}

// Of who is one of more than are remembered each begins anew.
func BenchmarkTake(b *testing.B) {
	for name, callers := range map[string]int{"remembered": 100_000, "one more": 100_001} {
		b.Run(name, func(b *testing.B) {
			p, now, i := New[[2]string](100_000), time.Unix(1000, 0), 0
			names := make([][2]string, callers)
			for n := range names {
				names[n] = [2]string{"system:serviceaccount:team:default", "web-7d4b9c5f6b-" + strconv.Itoa(n)}
				p.Take(names[n], twice, now)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Take(names[i], twice, now)
				i = (i + 1) % callers
			}
		})
	}
}
