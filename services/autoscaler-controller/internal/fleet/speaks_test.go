package fleet

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func bucket(index int32, count int64) Sketch {
	return Sketch{Count: count, SumMs: float64(count) * 1000, Buckets: map[int32]int64{index: count}}
}

func TestUpTo_KeepsWhatSurelyTookNoLonger(t *testing.T) {
	s := Sketch{Count: 6, SumMs: 3100, Buckets: map[int32]int64{0: 1, 53: 2, 80: 3}} // 1 ms, 98.7 ms, 1024 ms
	for d, want := range map[time.Duration]int64{
		-time.Second: 0, 0: 0, time.Millisecond: 1, 98 * time.Millisecond: 1, 99 * time.Millisecond: 3, 1023 * time.Millisecond: 3, 1024 * time.Millisecond: 6, time.Hour: 6,
	} {
		part := s.upTo(d)
		if part.Count != want {
			t.Errorf("up to %v there are %d, want %d", d, part.Count, want)
		}
		if want == 6 && part.SumMs != s.SumMs {
			t.Errorf("all of it: %v ms, want %v", part.SumMs, s.SumMs)
		}
		if mean := part.SumMs / float64(part.Count); want == 3 && (mean < 50 || mean > 80) {
			t.Errorf("the mean up to %v is %v ms", d, mean)
		}
	}
}

// K6: an answer that took long with one pod says nothing of two.
func TestMeans_OfResponseTimesAreOfAnswersSentAfterTheCountChanged(t *testing.T) {
	f := leading(seen(2, pod("a"), pod("b", notReady)))
	slow := bucket(93, 1) // 3.16 s
	report := func(sequence int64, second float64, s Sketch) {
		traffic(f, "lb", sequence, at(second), func(r *Report) { r.Applications[0].Latency = s })
	}
	report(1, 0, Sketch{})
	report(2, 1, slow)
	if m := f.mean(t, key, scaling.ResponseTime, at(1)); m.Pods == 0 || m.Value != 1000 {
		t.Fatalf("before: %+v", m)
	}
	f.Observe(seen(2, pod("a"), pod("b")), at(2))
	if m := f.mean(t, key, scaling.ResponseTime, at(2)); m.Pods != 0 {
		t.Errorf("at the change: %+v", m)
	}
	report(3, 3, slow) // which were sent before
	report(4, 4, slow)
	if m := f.mean(t, key, scaling.ResponseTime, at(4)); m.Pods != 0 {
		t.Errorf("of answers that were sent before the change: %+v", m)
	}
	report(5, 5, bucket(53, 4)) // that took 0.1 s, and ended after second 4
	if m := f.mean(t, key, scaling.ResponseTime, at(5)); m.Pods == 0 {
		t.Errorf("of quick answers that were sent after it: %+v", m)
	}
	report(6, 6, slow)
	report(7, 7, slow)
	if m := f.mean(t, key, scaling.ResponseTime, at(7)); m.Value != 1000 {
		t.Errorf("the mean is of the slow ones that were sent after it, too: %+v", m)
	}
	if v, _ := f.View(key, at(7)); v.Traffic.Latency == nil {
		t.Error("people do not see the last minute")
	}
	f.Observe(seen(2, pod("a"), pod("b", notReady)), at(8)) // and on the way down alike
	if m := f.mean(t, key, scaling.ResponseTime, at(8)); m.Pods != 0 {
		t.Errorf("after a pod has gone: %+v", m)
	}
}

func TestMeans_OfASidecarsResponseTimesAreSoToo(t *testing.T) {
	f := leading(seen(2, pod("a"), pod("b", notReady)))
	say := func(second float64) {
		f.Measure([]Measurement{{Pod: PodName{key.Namespace, "a"}, Source: Sidecar, At: at(second), Values: map[Gauge]float64{ResponseTime: 3000}}}, at(second))
	}
	say(1)
	f.Observe(seen(2, pod("a"), pod("b")), at(2))
	for _, c := range []struct {
		second float64
		pods   int32
	}{{3, 0}, {6, 0}, {9, 1}} { // the last one is of answers that ended after second 6
		say(c.second)
		if m := f.mean(t, key, scaling.ResponseTime, at(c.second)); m.Pods != c.pods {
			t.Errorf("second %v: %+v", c.second, m)
		}
	}
}

func TestMeans_OfWhatWasUsedBeforeAPodWasReadyAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		metric scaling.Metric
		gauge  Gauge
		source Source
		window time.Duration
		want   []int32 // pods that have a value, after each measurement
	}{
		"CPU by a sidecar":             {scaling.CPU, CPUUsage, Sidecar, 0, []int32{0, 1, 1}},
		"memory by a sidecar":          {scaling.Memory, MemoryUsage, Sidecar, 0, []int32{0, 1, 1}},
		"CPU by Kubernetes":            {scaling.CPU, CPUUsage, Kubernetes, 8 * time.Second, []int32{0, 0, 1}},
		"what is on a disk is there":   {scaling.Disk, DiskUsage, Sidecar, 0, []int32{1, 1, 1}},
		"a source that says no window": {scaling.CPU, CPUUsage, Kubernetes, 0, []int32{0, 1, 1}},
	} {
		f := leading(seen(1, pod("a", notReady)))
		say := func(second float64) {
			m := Measurement{Pod: PodName{key.Namespace, "a"}, Source: c.source, At: at(second), Values: map[Gauge]float64{c.gauge: 4000}}
			if c.window > 0 {
				m.From = m.At.Add(-c.window)
			}
			f.Measure([]Measurement{m}, at(second))
		}
		say(1)
		f.Observe(seen(1, pod("a")), at(3))
		for i, want := range c.want {
			second := 5 * float64(i+1)
			say(second)
			if m := f.mean(t, key, c.metric, at(second)); m.Pods != want || m.Missing != 1-want {
				t.Errorf("%s, second %v: %+v", name, second, m)
			}
		}
	}
}

// A pod that was ready before this process looked has its own time.
func TestMeans_AfterARestartOfTheControllerCountAtOnce(t *testing.T) {
	f := leading(seen(1, pod("a", func(p *Pod) { p.ReadyAt = day })))
	f.Measure([]Measurement{measured("", Sidecar, at(1), nil), {Pod: PodName{key.Namespace, "a"}, Source: Sidecar, At: at(1), Values: map[Gauge]float64{CPUUsage: 7}}}, at(1))
	if m := f.mean(t, key, scaling.CPU, at(1)); m.Value != 7 {
		t.Errorf("got %+v", m)
	}
}

func TestIdleSince_MovesWithWhatTheSidecarsSay(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "lb", 1, at(0), func(r *Report) { r.Applications[0].LastActivity = at(0) })
	say := func(source Source, second, running, queued float64) {
		f.Measure([]Measurement{{Pod: PodName{key.Namespace, "a"}, Source: source, At: at(second), Values: map[Gauge]float64{InFlight: running, Queued: queued}}}, at(second))
	}
	for _, c := range []struct {
		source                  Source
		second, running, queued float64
		since                   float64
	}{{Sidecar, 5, 0, 0, 0}, {Sidecar, 6, 1, 0, 6}, {Sidecar, 7, 0, 1, 7}, {Sidecar, 8, 0, 0, 7}, {Kubernetes, 9, 1, 1, 7}} {
		say(c.source, c.second, c.running, c.queued)
		if got := state(t, f, at(c.second)).Traffic.IdleSince; !got.Equal(at(c.since)) {
			t.Errorf("second %v: idle since %v", c.second, got.Sub(now))
		}
	}
}
