package fleet

import (
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
)

// sleeping is a fleet of n applications that sleep, of which every tenth has a pod, and of four load
// balancers that have had traffic for all of them.
func sleeping(n int) (*Fleet, []Key) {
	f, keys := New("e"), make([]Key, n)
	f.Lead(now, nil)
	for i := range keys {
		keys[i] = observe(f, i, i%10 == 0)
	}
	for b := range 4 {
		r := Report{Balancer: "lb-" + strconv.Itoa(b), StartedAt: day, Sequence: 1}
		for _, k := range keys {
			r.Applications = append(r.Applications, Traffic{Key: k, Requests: 1, Summed: true, Arrivals: 1})
		}
		f.Report(r, at(1))
	}
	return f, keys
}

func observe(f *Fleet, i int, awake bool) Key {
	o := seen(0)
	o.Key = Key{"team-" + strconv.Itoa(i%50), "app-" + strconv.Itoa(i)}
	o.Autoscaler, o.Address.Prefix, o.Deployment.UID = o.Key.Deployment, "/"+o.Key.Deployment, strconv.Itoa(i)
	if awake {
		o.Deployment.Replicas = 1
		o.Pods = []Pod{pod(podOf(o.Key))}
	}
	f.Observe(o, now)
	return o.Key
}

func podOf(k Key) string { return k.Deployment + "-5f7c9d7b6-abcde" }

// sized runs a benchmark with so many applications.
func sized(b *testing.B, run func(b *testing.B, f *Fleet, keys []Key)) {
	b.Helper()
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("applications=%d", n), func(b *testing.B) {
			f, keys := sleeping(n)
			b.ReportAllocs()
			b.ResetTimer()
			run(b, f, keys)
		})
	}
}

func BenchmarkReport_OfNothing(b *testing.B) {
	sized(b, func(b *testing.B, f *Fleet, _ []Key) {
		for i := range b.N {
			f.Report(Report{Balancer: "lb-0", StartedAt: day, Sequence: int64(i) + 2, Epoch: "e", Delta: true}, at(2))
		}
	})
}

func BenchmarkReport_OfTen(b *testing.B) {
	sized(b, func(b *testing.B, f *Fleet, keys []Key) {
		r := Report{Balancer: "lb-0", StartedAt: day, Epoch: "e", Delta: true, Applications: make([]Traffic, 10)}
		for i := range b.N {
			for j := range r.Applications {
				r.Applications[j] = Traffic{Key: keys[(10*i+j)%len(keys)], Requests: int64(i), Summed: true, Arrivals: int64(i)}
			}
			r.Sequence = int64(i) + 2
			f.Report(r, at(2+float64(i)/1e6))
		}
	})
}

func BenchmarkMeasure(b *testing.B) {
	sized(b, func(b *testing.B, f *Fleet, keys []Key) {
		values := map[Gauge]float64{CPUUsage: 5, MemoryUsage: 100, InFlight: 0}
		for i := range b.N {
			k := keys[10*i%len(keys)]
			f.Measure([]Measurement{{Pod: PodName{k.Namespace, podOf(k)}, Source: Sidecar, At: at(float64(i)), Values: values}}, at(float64(i)))
		}
	})
}

func BenchmarkMeasure_OfAStranger(b *testing.B) {
	sized(b, func(b *testing.B, f *Fleet, _ []Key) {
		values := map[Gauge]float64{CPUUsage: 5, MemoryUsage: 100, InFlight: 0}
		for i := range b.N {
			f.Measure([]Measurement{{Pod: PodName{"x", "p" + strconv.Itoa(i)}, Source: Sidecar, At: now, Values: values}}, now)
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	sized(b, func(b *testing.B, f *Fleet, keys []Key) {
		for i := range b.N {
			f.Snapshot(keys[10*i%len(keys)], "", at(2))
		}
	})
}

func BenchmarkView(b *testing.B) {
	sized(b, func(b *testing.B, f *Fleet, keys []Key) {
		for i := range b.N {
			f.View(keys[10*i%len(keys)], at(2))
		}
	})
}

// Several decide, several push, and one load balancer reports: each operation is one of these.
func BenchmarkAllAtATime(b *testing.B) {
	sized(b, func(b *testing.B, f *Fleet, keys []Key) {
		var step atomic.Int64
		values := map[Gauge]float64{CPUUsage: 5, MemoryUsage: 100, InFlight: 0}
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				i := int(step.Add(1))
				k, moment := keys[10*i%len(keys)], at(2+float64(i)/1e6)
				switch i % 8 {
				case 0:
					f.Report(Report{Balancer: "lb-0", StartedAt: day, Sequence: int64(i) + 2, Applications: []Traffic{{Key: k, Requests: int64(i)}}}, moment)
				case 1, 2, 3:
					f.Measure([]Measurement{{Pod: PodName{k.Namespace, podOf(k)}, Source: Sidecar, At: moment, Values: values}}, moment)
				default:
					f.Snapshot(k, "", moment)
				}
			}
		})
	})
}

// heap is how much memory is in use.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// What an application that sleeps, and has never had traffic or has had it from four load balancers,
// takes; and what a pod that pushes takes beside its application, that is its values, its times and its
// owner, and what the cluster says of it.
func BenchmarkMemory(b *testing.B) {
	const n = 10_000
	for _, c := range []struct {
		name string
		make func() *Fleet
		of   float64
	}{
		{"application=asleep", func() *Fleet {
			f := New("e")
			for i := range n {
				observe(f, i, false)
			}
			return f
		}, n},
		{"application=used", func() *Fleet { f, _ := sleeping(n); return f }, n},
		{"pod=pushing", func() *Fleet {
			f := New("e")
			for i := range 100 {
				o := seen(1000)
				o.Key = Key{"team", "app-" + strconv.Itoa(i)}
				for j := range 1000 {
					o.Pods = append(o.Pods, pod(o.Key.Deployment+"-5f7c9d7b6-"+strconv.Itoa(10_000+j)))
				}
				f.Observe(o, now)
				for _, p := range o.Pods {
					f.Measure([]Measurement{{Pod: PodName{"team", p.Name}, Source: Sidecar, At: now, Values: map[Gauge]float64{CPUUsage: 1, InFlight: 0}}}, now)
				}
			}
			return f
		}, 100_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				before := heap()
				f := c.make()
				b.ReportMetric((heap()-before)/c.of, "B/"+c.name[:3])
				runtime.KeepAlive(f)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
