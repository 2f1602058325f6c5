package proxy

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// starter is a controller that answers in turn.
type starter struct {
	calls []time.Duration // when it was called
	began time.Time
	asks  func(ctx context.Context, n int) (dispatch.Started, error)
}

func (s *starter) Start(ctx context.Context, call dispatch.StartCall) (dispatch.Started, error) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	s.calls = append(s.calls, time.Since(s.began))
	if call.App != shop || call.Waiting != 1 {
		panic("not what was waited for")
	}
	return s.asks(ctx, len(s.calls))
}

// waking waits for a pod of a sleeping application for so long.
func waking(t *testing.T, s *starter, wait time.Duration) *Metrics {
	t.Helper()
	metrics := NewMetrics(prometheus.NewRegistry())
	waker := NewWaker(s, slog.New(slog.DiscardHandler), metrics)
	d := dispatch.New(dispatch.Options{
		RoomRequests: 2, RoomBytes: 1 << 20, Now: time.Now, Intn: rand.IntN, Chance: rand.Float64, Prober: noProber{}, Waker: waker, ReportSoon: func() {},
	})
	d.Apply(routing.Update{Version: "1", Complete: true, Routes: []routing.Route{{Application: shop, Prefix: "/", State: routing.Asleep, WakeUpTimeout: wait}}})
	app, _ := d.Find(shop)
	v := &dispatch.Visit{}
	if waits, err := v.Arrive(app, dispatch.Arrival{}, time.Now()); err != nil || !waits {
		t.Fatalf("%v, %v", waits, err)
	}
	if err := v.Wait(nil); !errors.Is(err, dispatch.ErrTooLate) {
		t.Errorf("waited in vain: %v", err)
	}
	v.End(dispatch.Outcome{}, time.Now())
	synctest.Wait()
	waker.Close()
	waker.Wake(&dispatch.StartRequest{}) // too late: nothing is called any more
	return metrics
}

func starts(m *Metrics, result string) int {
	return int(testutil.ToFloat64(m.starts.WithLabelValues("default", "shop", result)))
}

func TestWaker_AsksAboutOnceASecondWhileSomebodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &starter{asks: func(context.Context, int) (dispatch.Started, error) { return dispatch.Started{}, nil }}
		m := waking(t, s, 10*time.Second)
		if n := len(s.calls); n < 9 || n > 12 || starts(m, "ok") != n {
			t.Errorf("called at %v, counted %d", s.calls, starts(m, "ok"))
		}
	})
}

func TestWaker_AsksSoonerAndEverLessWhileNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &starter{asks: func(context.Context, int) (dispatch.Started, error) {
			return dispatch.Started{}, errors.New("connection refused")
		}}
		m := waking(t, s, 10*time.Second)
		if n := len(s.calls); n < 10 || n > 20 || starts(m, "error") != n || s.calls[1] > 100*time.Millisecond {
			t.Errorf("called at %v", s.calls)
		}
	})
}

func TestWaker_ASlowControllerIsGivenUpAndAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &starter{asks: func(ctx context.Context, _ int) (dispatch.Started, error) {
			<-ctx.Done()
			return dispatch.Started{}, ctx.Err()
		}}
		waking(t, s, 10*time.Second)
		if n := len(s.calls); n < 3 || n > 4 || s.calls[1] < startTimeout {
			t.Errorf("called at %v", s.calls)
		}
	})
}

func TestJittered_StaysWithinItsShare(t *testing.T) {
	for range 1000 {
		if d := jittered(time.Second, 0.1); d < 900*time.Millisecond || d > 1100*time.Millisecond {
			t.Fatalf("%v", d)
		}
	}
}

func TestMetrics_ForgetWhatHasNoRoute(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	for status := range 700 {
		m.ended(shop, status, time.Second)
	}
	m.ended(shop, -1, time.Second)
	m.rejects(shop, reasonBusy)
	m.rejects(routing.Application{}, reasonNoRoute)
	m.Woken(shop, dispatch.WakeUp{Outcome: dispatch.WakeAnswered, ArrivedAt: time.Unix(0, 0), FirstByteAt: time.Unix(1, 0)})
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 6+1+2+2+1 {
		t.Errorf("%d series, %v", n, err)
	}
	if n := testutil.ToFloat64(m.requests.WithLabelValues("default", "shop", "5xx")); n != 200 {
		t.Errorf("%v of 5xx", n)
	}
	m.Forget(shop)
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 2 {
		t.Errorf("%d series are left, %v", n, err)
	}
	m.ended(shop, 200, time.Second) // it comes back
	if n := testutil.ToFloat64(m.requests.WithLabelValues("default", "shop", "2xx")); n != 1 {
		t.Errorf("%v of 2xx", n)
	}
}
