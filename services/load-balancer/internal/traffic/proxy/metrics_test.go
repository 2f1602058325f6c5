package proxy

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// countAll counts one of everything of an application.
func countAll(m *Metrics, app routing.Application) {
	m.ended(app, 200, time.Second)
	m.waited.WithLabelValues(app.Namespace, app.Deployment).Observe(1)
	m.retries.WithLabelValues(app.Namespace, app.Deployment).Inc()
	for i := range 3 {
		for _, c := range []*counts{m.rejected, m.failures, m.starts, m.uncounted} {
			c.of(app, fmt.Sprint("value-", i)).Inc()
		}
	}
	m.Woken(app, dispatch.WakeUp{Outcome: dispatch.WakeAnswered, ArrivedAt: time.Unix(0, 0), FirstByteAt: time.Unix(1, 0)})
}

func numbered(i int) routing.Application {
	return routing.Application{Namespace: fmt.Sprint("team-", i/100), Deployment: fmt.Sprint("app-", i)}
}

func TestMetrics_NothingIsLeftOfWhatWasForgottenAndTheOthersStay(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	countAll(m, numbered(0))
	one, err := testutil.GatherAndCount(registry)
	if err != nil {
		t.Fatal(err)
	}
	countAll(m, numbered(1))
	m.Forget(numbered(0))
	m.Forget(numbered(2)) // nobody ever counted anything of it
	if n, err := testutil.GatherAndCount(registry); err != nil || n != one {
		t.Errorf("%d series are left, %v; those of the other one are %d", n, err, one)
	}
	if n := testutil.ToFloat64(m.starts.of(numbered(1), "value-0")); n != 1 {
		t.Errorf("%v of the other one", n)
	}
	m.Forget(numbered(1))
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 1 { // the faults, which are nobody's
		t.Errorf("%d series are left, %v", n, err)
	}
}

// A namespace with a thousand applications is deleted at once, and each is forgotten while the routes are locked.
func TestMetrics_ToForgetOneCostsTheSameHoweverManyThereAre(t *testing.T) {
	cost := func(n int) time.Duration {
		m := NewMetrics(prometheus.NewRegistry())
		for i := range n {
			countAll(m, numbered(i))
		}
		least := time.Hour
		for i := range 10 {
			countAll(m, numbered(i))
			began := time.Now()
			m.Forget(numbered(i))
			least = min(least, time.Since(began))
		}
		return least
	}
	if few, many := cost(10), cost(5_000); many > 30*few+time.Millisecond {
		t.Errorf("of 10 one takes %v, of 5,000 %v", few, many)
	}
}

func BenchmarkMetrics_Forget(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := NewMetrics(prometheus.NewRegistry())
			for i := range n {
				countAll(m, numbered(i))
			}
			b.ResetTimer()
			for i := range b.N {
				m.Forget(numbered(i % n))
				countAll(m, numbered(i%n))
			}
		})
	}
}
