package pace

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
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
	if p.Spent("jane", twice, now) || p.Len() != 0 {
		t.Error("who did nothing is known, or has none left")
	}
	p.Take("jane", twice, now)
	for range 3 {
		if p.Spent("jane", twice, now) {
			t.Error("it has one left")
		}
	}
	p.Take("jane", twice, now)
	if !p.Spent("jane", twice, now) || p.Spent("jane", twice, now.Add(time.Second)) {
		t.Error("it has none left now, and one in a second")
	}
}

// Whoever does what and when gets as much as the limiter of golang.org/x/time/rate lets him have.
func TestTake_IsATokenBucket(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		pace := Pace{PerSecond: []float64{.5, 1, 10, 1000}[random.IntN(4)], Burst: 1 + random.IntN(20)}
		p, want, now := New[string](10), rate.NewLimiter(rate.Limit(pace.PerSecond), pace.Burst), time.Unix(1000, 0)
		for i := range 500 {
			// Not to the nanosecond when one is due: one of both rounds.
			if left := want.TokensAt(now); left-math.Floor(left) < 1e-6 || left-math.Floor(left) > 1-1e-6 {
				now = now.Add(pace.each() / 1000)
			}
			if spent := want.TokensAt(now) < 1; p.Spent("jane", pace, now) != spent {
				t.Fatalf("%+v, time %d: %v are left, and it is spent: %v", pace, i, want.TokensAt(now), !spent)
			}
			if got, allowed := p.Take("jane", pace, now), want.AllowN(now, 1); got != allowed {
				t.Fatalf("%+v, time %d: %v, want %v", pace, i, got, allowed)
			}
			now = now.Add(time.Duration(random.ExpFloat64() * .8 * float64(pace.each())))
			if random.IntN(50) == 0 {
				now = now.Add(time.Duration(random.IntN(30)) * pace.each())
			}
		}
	}
}

func TestPaces_RememberNobodyWhoHasRested(t *testing.T) {
	p, now, ten := New[int](1_000_000), time.Unix(1000, 0), Pace{PerSecond: 10, Burst: 50}
	most := 0
	for round := range 3 {
		for who := range 100_000 { // each every five seconds
			now = now.Add(50 * time.Microsecond)
			if !p.Take(who, ten, now) {
				t.Fatalf("%d may not, in round %d", who, round)
			}
			most = max(most, p.Len())
		}
	}
	if most > 3*2000 {
		t.Errorf("%d are remembered, of 2000 that did something in the last tenth of a second", most)
	}
}

func TestPaces_OfThoseWhoHaveNotRestedNoMoreAreRememberedThanMayBe(t *testing.T) {
	p, now, once := New[int](3), time.Unix(1000, 0), Pace{PerSecond: 1, Burst: 1}
	for who := range 3 {
		p.Take(who, once, now.Add(time.Duration(who)*time.Millisecond))
	}
	if now = now.Add(10 * time.Millisecond); !p.Take(3, once, now) || p.Len() != 3 {
		t.Fatalf("%d are remembered", p.Len())
	}
	for who := 1; who <= 3; who++ {
		if p.Take(who, once, now) {
			t.Errorf("%d begins anew, and not the one that will have rested soonest", who)
		}
	}
	if !p.Take(0, once, now) {
		t.Error("the one that had to go is refused")
	}
	now = now.Add(time.Hour) // all have rested: who comes finds room
	for who := 10; who < 13; who++ {
		p.Take(who, once, now)
	}
	for who := 10; who < 13; who++ {
		if p.Take(who, once, now) {
			t.Errorf("%d took the place of one that had rested, and lost it to another one", who)
		}
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

// Rested: each does something every five seconds. Else nobody has rested, and where there is one more than may be
// remembered one has to go each time.
func BenchmarkTake(b *testing.B) {
	for name, callers := range map[string]int{"rested": 100_000, "remembered": 100_000, "one more": 100_001} {
		b.Run(name, func(b *testing.B) {
			p, now, i, pass := New[[2]string](100_000), time.Unix(1000, 0), 0, time.Duration(0)
			if name == "rested" {
				pass = 5 * time.Second / 100_000
			}
			names := make([][2]string, callers)
			for n := range names {
				names[n] = [2]string{"system:serviceaccount:team:default", "web-7d4b9c5f6b-" + strconv.Itoa(n)}
				p.Take(names[n], twice, now)
			}
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(pass)
				p.Take(names[i], twice, now)
				i = (i + 1) % callers
			}
		})
	}
}
