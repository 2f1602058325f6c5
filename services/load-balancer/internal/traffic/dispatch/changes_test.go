package dispatch

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// many is a dispatcher with n applications of two pods each.
func many(n int) *world {
	w := newWorld(nil)
	u := routing.Update{Version: "v1", Complete: true}
	for i := range n {
		u.Routes = append(u.Routes, routing.Route{
			Application: routing.Application{Namespace: "default", Deployment: fmt.Sprintf("app-%05d", i)}, State: routing.Awake,
			Prefix: fmt.Sprintf("/app-%d", i), WakeUpTimeout: time.Minute, BusyTimeout: time.Minute, Concurrency: 2,
			Endpoints: []routing.Endpoint{pod("a", nil), pod("b", nil)},
		})
	}
	w.Apply(u)
	return w
}

// numbers are what stays of a report's traffic: times and wake-ups are told once.
func numbers(t Traffic) Traffic {
	t.Times, t.WakeUps = Times{}, nil
	return t
}

// Whatever visits do, what was told of each application last is what is so.
func TestChanged_ComesToTheSameAsEverything(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			w := many(6)
			told := map[routing.Application]string{}
			var under []*Visit
			for step := range 300 {
				time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
				switch n := random.IntN(10); {
				case n < 3 || len(under) == 0:
					v := &Visit{}
					if _, err := v.Arrive(w.Applications()[random.IntN(6)], Arrival{Uncounted: random.IntN(5) == 0}, time.Now()); err == nil {
						under = append(under, v)
					}
				case n < 5:
					if v := under[random.IntN(len(under))]; v.Pod != nil && !v.answered {
						v.Answer = Answer(random.IntN(4))
						v.Answered(200, time.Now())
						v.FirstByte(time.Now())
					}
				case n < 6:
					under[random.IntN(len(under))].Touch(time.Now())
				default:
					i := random.IntN(len(under))
					under[i].End(Outcome{Status: 200 + 300*random.IntN(2)}, time.Now())
					under = append(under[:i], under[i+1:]...)
				}
				if random.IntN(4) > 0 {
					continue
				}
				_, changed, of := w.Changed()
				for _, traffic := range changed {
					told[traffic.App] = fmt.Sprint(numbers(traffic))
				}
				if of != 6 {
					t.Fatalf("of %d", of)
				}
				for _, app := range w.Applications() {
					traffic, ok := app.traffic(time.Now())
					if want := fmt.Sprint(numbers(traffic)); ok && told[app.ID] != want {
						t.Fatalf("seed %d, step %d: of %s was told\n%s\nand it is\n%s", seed, step, app.ID, told[app.ID], want)
					}
				}
			}
			for _, v := range under {
				v.End(Outcome{}, time.Now())
			}
		})
	}
}

func TestChanged_NamesNobodyWhoIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := many(100)
		for _, app := range w.Applications() {
			v := &Visit{}
			if _, err := v.Arrive(app, Arrival{}, time.Now()); err != nil {
				t.Fatal(err)
			}
			v.End(Outcome{Status: 200}, time.Now())
		}
		if _, traffic, of := w.Changed(); len(traffic) != 100 || of != 100 {
			t.Errorf("%d of %d have changed", len(traffic), of)
		}
		v := &Visit{}
		if _, err := v.Arrive(w.Applications()[42], Arrival{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		for second := range 3 {
			time.Sleep(time.Second)
			if _, traffic, _ := w.Changed(); len(traffic) != 1 || traffic[0].BusySeconds < float64(second+1) {
				t.Errorf("second %d: %+v", second, traffic)
			}
		}
		v.End(Outcome{Status: 200}, time.Now())
		w.Report() // of everything: what had changed is told
		if _, traffic, _ := w.Changed(); len(traffic) != 0 {
			t.Errorf("nothing has changed since, and %d are named", len(traffic))
		}
		app := w.Applications()[7]
		app.Touch(time.Now())
		w.Apply(routing.Update{Version: "v2", Removed: []routing.Application{app.ID}})
		time.Sleep(time.Minute)
		if _, traffic, of := w.Changed(); of != 99 || len(traffic) != 0 {
			t.Errorf("one that has gone is named: %d of %d", len(traffic), of)
		}
	})
}

func BenchmarkChanged_OfTenThousandQuiet(b *testing.B) {
	w := many(10_000)
	for _, app := range w.Applications() {
		app.Touch(time.Now())
	}
	for _, busy := range []int{0, 10} {
		b.Run(fmt.Sprintf("changed=%d", busy), func(b *testing.B) {
			apps := w.Applications()
			w.Changed()
			b.ReportAllocs()
			for range b.N {
				for _, app := range apps[:busy] {
					app.Touch(time.Now())
				}
				w.Changed()
			}
		})
	}
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			w.Report()
		}
	})
}
