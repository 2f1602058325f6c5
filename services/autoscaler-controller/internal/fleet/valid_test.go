package fleet

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func TestMeasure_AWordCountsForAsLongAsItSays(t *testing.T) {
	for name, c := range map[string]struct{ says, counts time.Duration }{
		"nothing":             {0, SidecarFreshFor},
		"longer than usual":   {45 * time.Second, 45 * time.Second},
		"shorter than usual":  {2 * time.Second, 2 * time.Second},
		"the longest allowed": {2 * time.Minute, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			f, k := measuredFleet()
			m := measured("a", Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 100, InFlight: 1})
			m.ValidFor = c.says
			f.Measure([]Measurement{m}, measuredAt)
			use := func(now time.Time) *PodUse {
				v, _ := f.View(k, now)
				return v.Pods[0].Use
			}
			last, after := measuredAt.Add(c.counts), measuredAt.Add(c.counts+time.Millisecond)
			if got := f.mean(t, k, scaling.CPU, last); got.Pods != 1 || !use(last).Fresh {
				t.Errorf("it does not count for %v: %+v", c.counts, got)
			}
			if got := f.mean(t, k, scaling.CPU, after); got.Pods != 0 || use(after).Fresh {
				t.Errorf("it counts for longer than %v: %+v", c.counts, got)
			}
		})
	}
}

func TestDemand_AWordOfRequestsThatRunCountsForAsLongAsItSays(t *testing.T) {
	f := leading(seen(1, pod("a")))
	f.Measure([]Measurement{{
		Pod: PodName{key.Namespace, "a"}, Source: Sidecar, At: at(0), ValidFor: 45 * time.Second, Values: map[Gauge]float64{InFlight: 2},
	}}, at(0))
	if d := state(t, f, at(44)).Demand; d.Running != 2 || !d.WorkingUntil.Equal(at(45)) {
		t.Errorf("%+v", d)
	}
	if d := state(t, f, at(45)).Demand; d.Working() {
		t.Errorf("its time is over: %+v", d)
	}
}

func TestMeasure_ANewerWordOfAShorterTimeReplacesALongerOne(t *testing.T) {
	f, k := measuredFleet()
	long, short := measured("a", Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 100}), measured("a", Sidecar, measuredAt.Add(time.Second), map[Gauge]float64{CPUUsage: 7})
	long.ValidFor = 2 * time.Minute
	f.Measure([]Measurement{long}, measuredAt)
	f.Measure([]Measurement{short}, measuredAt.Add(time.Second))
	if got := f.mean(t, k, scaling.CPU, measuredAt.Add(SidecarFreshFor+2*time.Second)); got.Pods != 0 {
		t.Errorf("the older one counts again: %+v", got)
	}
}
