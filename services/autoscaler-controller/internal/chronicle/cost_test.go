package chronicle

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

// day is a chronicle of ten thousand applications after a day: they sleep all the time, or no minute is like the one before.
func day(busy bool) (c *Chronicle, look func()) {
	const n = 10_000
	w := &world{samples: make([]fleet.Sample, n)}
	for i := range w.samples {
		w.samples[i] = fleet.Sample{Key: fleet.Key{Namespace: fmt.Sprint("team-", i/100), Deployment: fmt.Sprint("app-", i)}, Maximum: 5}
	}
	c = w.new()
	c.of = map[fleet.Key]*record{}
	random := rand.New(rand.NewPCG(1, 1))
	now := time.Unix(1_800_000_000, 0)
	at := func(later time.Duration) {
		now = now.Add(later)
		c.sampled = now.Add(-history.Every)
		for i := range w.samples {
			if s := &w.samples[i]; busy {
				s.Arrived += 1000 * random.Float64()
				s.Waiting, s.Pods, s.Replicas, s.Ready = random.Int32N(3), random.Int32N(5), random.Int32N(5), random.Int32N(5)
			}
		}
		c.sample(now)
	}
	for range 24 * 60 {
		at(time.Minute)
	}
	return c, func() { at(history.Every) }
}

// What the history of ten thousand applications costs: to look at all of them, which is done every five seconds; to put into
// bytes those of one of two places, while who decides waits; and in memory.
func BenchmarkDay(b *testing.B) {
	for name, busy := range map[string]bool{"asleep": false, "busy": true} {
		b.Run(name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			c, look := day(busy)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.Run("look", func(b *testing.B) {
				for b.Loop() {
					look()
				}
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/10_000, "B/app")
			})
			b.Run("collect", func(b *testing.B) {
				for b.Loop() {
					c.collect(0)
				}
			})
		})
	}
}
