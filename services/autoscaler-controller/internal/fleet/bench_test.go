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

// sized measures an operation with so many applications; i counts from 0.
func sized(b *testing.B, do func(f *Fleet, keys []Key, i int)) {
	b.Helper()
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("applications=%d", n), func(b *testing.B) {
			f, keys := sleeping(n)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				do(f, keys, i)
			}
		})
	}
}

func BenchmarkReport_OfNothing(b *testing.B) {
	sized(b, func(f *Fleet, _ []Key, i int) {
		f.Report(Report{Balancer: "lb-0", StartedAt: day, Sequence: int64(i) + 2, Epoch: "e", Delta: true}, at(2))
	})
}

func BenchmarkReport_OfTen(b *testing.B) {
	sized(b, func(f *Fleet, keys []Key, i int) {
		r := Report{Balancer: "lb-0", StartedAt: day, Sequence: int64(i) + 2, Epoch: "e", Delta: true, Applications: make([]Traffic, 10)}
		for j := range r.Applications {
			r.Applications[j] = Traffic{Key: keys[(10*i+j)%len(keys)], Requests: int64(i), Summed: true, Arrivals: int64(i)}
		}
		f.Report(r, at(2+float64(i)/1e6))
	})
}

var word = map[Gauge]float64{CPUUsage: 5, MemoryUsage: 100, InFlight: 0}

func BenchmarkMeasure(b *testing.B) {
	sized(b, func(f *Fleet, keys []Key, i int) {
		k, moment := keys[10*i%len(keys)], at(2+float64(i)/1e6)
		f.Measure([]Measurement{{Pod: PodName{k.Namespace, podOf(k)}, Source: Sidecar, At: moment, Values: word}}, moment)
	})
}

func BenchmarkMeasure_OfAStranger(b *testing.B) {
	sized(b, func(f *Fleet, _ []Key, i int) {
		f.Measure([]Measurement{{Pod: PodName{"x", "p" + strconv.Itoa(i)}, Source: Sidecar, At: now, Values: word}}, now)
	})
}

// One of five thousand pods says the same again, or something else, where a threshold looks at it.
func BenchmarkMeasure_OfACrowd(b *testing.B) {
	for name, change := range map[string]float64{"same": 0, "other": 1} {
		b.Run(name, func(b *testing.B) {
			f, names := crowd(5000)
			b.ReportAllocs()
			b.ResetTimer()
			news := 0
			for i := range b.N {
				if f.push(names[i%5000], 1+float64(i)/1e4, 50+change*float64(i%7), 0) {
					news++
				}
			}
			b.ReportMetric(float64(news)/float64(b.N), "news/op")
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	sized(b, func(f *Fleet, keys []Key, i int) { f.Snapshot(keys[10*i%len(keys)], "", at(2)) })
}

func BenchmarkView(b *testing.B) {
	sized(b, func(f *Fleet, keys []Key, i int) { f.View(keys[10*i%len(keys)], at(2)) })
}

// Several decide, several push, and one load balancer reports: each operation is one of these.
func BenchmarkAllAtATime(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("applications=%d", n), func(b *testing.B) {
			f, keys := sleeping(n)
			var step atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					i := int(step.Add(1))
					k, moment := keys[10*i%len(keys)], at(2+float64(i)/1e6)
					switch i % 8 {
					case 0:
						f.Report(Report{Balancer: "lb-0", StartedAt: day, Sequence: int64(i) + 2, Epoch: "e", Delta: true, Applications: []Traffic{{Key: k, Requests: int64(i)}}}, moment)
					case 1, 2, 3:
						f.Measure([]Measurement{{Pod: PodName{k.Namespace, podOf(k)}, Source: Sidecar, At: moment, Values: word}}, moment)
					default:
						f.Snapshot(k, "", moment)
					}
				}
			})
		})
	}
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
		{"pod=silent", func() *Fleet { return crowds(false) }, 100_000},
		{"pod=pushing", func() *Fleet { return crowds(true) }, 100_000},
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

// crowds are a hundred applications of a thousand pods.
func crowds(push bool) *Fleet {
	f := New("e")
	for i := range 100 {
		o := seen(1000)
		o.Key = Key{"team", "app-" + strconv.Itoa(i)}
		for j := range 1000 {
			o.Pods = append(o.Pods, pod(o.Key.Deployment+"-5f7c9d7b6-"+strconv.Itoa(10_000+j)))
		}
		f.Observe(o, now)
		for _, p := range o.Pods {
			if push {
				f.Measure([]Measurement{{Pod: PodName{"team", p.Name}, Source: Sidecar, At: now, Values: word}}, now)
			}
		}
	}
	return f
}

func BenchmarkSamples(b *testing.B) {
	sized(b, func(f *Fleet, _ []Key, _ int) { f.Samples(at(2), func(Sample) {}) })
}
