package schedule

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

var band = DeadBand{Heartbeat: 15 * time.Second, Share: 0.05}

func with(at time.Time, values map[pod.Kind]float64) pod.Measurement {
	m := pod.New(at)
	for k, v := range values {
		m.Set(k, v)
	}
	return m
}

func TestNews_IsWhatLeftTheBandOfItsValue(t *testing.T) {
	for name, c := range map[string]struct {
		kind    pod.Kind
		was, is float64
		news    bool
	}{
		"the same":                             {pod.CPU, 400, 400, false},
		"a little more":                        {pod.CPU, 400, 420, false},
		"more":                                 {pod.CPU, 400, 420.1, true},
		"less":                                 {pod.CPU, 400, 379.9, true},
		"an idle pod's noise":                  {pod.CPU, 1, 11, false},
		"an idle pod begins to work":           {pod.CPU, 1, 11.1, true},
		"some memory":                          {pod.Memory, 20, 28, false},
		"more memory":                          {pod.Memory, 20, 29, true},
		"a share of much memory":               {pod.Memory, 10_000, 10_400, false},
		"the first request":                    {pod.InFlight, 0, 1, true},
		"the last one has gone":                {pod.InFlight, 1, 0, true},
		"the second request":                   {pod.InFlight, 1, 2, true},
		"one of a hundred":                     {pod.InFlight, 100, 101, false},
		"a queue forms":                        {pod.Queued, 0, 1, true},
		"the queue is empty":                   {pod.Queued, 1000, 0, true},
		"the cache fills":                      {pod.CacheUsage, 0.5, 0.53, true},
		"the cache breathes":                   {pod.CacheUsage, 0.1, 0.12, false},
		"an answer a millisecond later":        {pod.ResponseTime, 2, 7, false},
		"slower answers":                       {pod.ResponseTime, 100, 106, true},
		"a first token as it was":              {pod.TimeToFirstToken, 100, 110, false},
		"a GPU begins":                         {pod.GPU, 0, 6, true},
		"a GPU flickers":                       {pod.GPU, 0, 5, false},
		"a GPU's memory fills":                 {pod.GPUMemory, 1000, 1065, true},
		"a GPU's memory breathes":              {pod.GPUMemory, 70_000, 71_000, false},
		"a GPU draws a little more":            {pod.GPUPower, 60, 70, false},
		"half a request per second more":       {pod.RequestRate, 1, 1.5, false},
		"a disk that fills":                    {pod.Disk, 0, 17, true},
		"less than a hair of a fraction of it": {pod.InFlight, 0.1, 0.1001, false},
	} {
		t.Run(name, func(t *testing.T) {
			before, m := with(start, map[pod.Kind]float64{c.kind: c.was}), with(start, map[pod.Kind]float64{c.kind: c.is})
			if why := band.news(before, m, start); (why != "") != c.news {
				t.Errorf("news because %q", why)
			}
		})
	}
}

func TestNews_AValueThatComesOrGoesIsNews(t *testing.T) {
	one, two := with(start, map[pod.Kind]float64{pod.CPU: 1}), with(start, map[pod.Kind]float64{pod.CPU: 1, pod.Queued: 0})
	if band.news(one, two, start) == "" || band.news(two, one, start) == "" || band.news(two, two, start) != "" {
		t.Error("the values that there are do not count")
	}
}

func TestNews_WithoutABandEverythingIs(t *testing.T) {
	m := with(start, map[pod.Kind]float64{pod.CPU: 1})
	for _, d := range []DeadBand{{}, {Heartbeat: time.Second}, {Share: 0.5}} {
		if d.news(m, m, start) == "" {
			t.Errorf("%+v", d)
		}
	}
}

// sent plays a pod whose value is as given, measured at the interval for so long, and returns when it
// was sent.
func sent(o Options, long time.Duration, value func(at time.Duration) float64) (at []time.Duration, s *Schedule) {
	s = New(o, start)
	for now := start; now.Sub(start) < long; {
		switch step := s.Next(now); step.Do {
		case Collect:
			s.Collected(with(now, map[pod.Kind]float64{pod.CPU: value(now.Sub(start))}), now)
		case Send:
			at = append(at, now.Sub(start))
			s.Sent(nil, now)
		case Wait:
			now = now.Add(step.Wait)
		}
	}
	return at, s
}

func TestCollected_AQuietPodIsHeardAtItsHeartbeatAndNoLater(t *testing.T) {
	for _, random := range []float64{0, 0.5, 0.999} {
		o := options(always(random))
		o.DeadBand = band
		at, s := sent(o, 10*time.Minute, func(time.Duration) float64 { return 5 })
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap > band.Heartbeat {
				t.Errorf("random %v: %v without a word", random, gap)
			}
		}
		if n := len(at); n < 40 || n > 70 {
			t.Errorf("random %v: %d pushes in ten minutes", random, n)
		}
		if d := s.Delivery(); d.Collected != d.Sent+d.Unchanged || d.Unchanged < d.Sent/2 {
			t.Errorf("random %v: %+v", random, d)
		}
	}
}

func TestCollected_ASlowDriftIsSentWhenItIsWideEnough(t *testing.T) {
	o := options(always(0.5))
	o.DeadBand = DeadBand{Heartbeat: time.Hour, Share: 0.05}
	at, _ := sent(o, 200*time.Second, func(at time.Duration) float64 { return 100 + at.Seconds() }) // 5 each interval, 10 are allowed
	for i := 2; i < len(at); i++ {
		if gap := at[i] - at[i-1]; gap > 20*time.Second {
			t.Errorf("%v without a word at %v", gap, at[i])
		}
	}
	if len(at) < 10 {
		t.Errorf("sent at %v", at)
	}
}

func TestCollected_AnIntervalLongerThanTheHeartbeatSendsEveryMeasurement(t *testing.T) {
	o := options(always(0.5))
	o.DeadBand = DeadBand{Heartbeat: 2 * time.Second, Share: 0.05}
	if _, s := sent(o, time.Minute, func(time.Duration) float64 { return 5 }); s.Delivery().Unchanged != 0 {
		t.Errorf("%+v", s.Delivery())
	}
}

func TestSent_WhatTheControllerRefusedIsToldAnew(t *testing.T) {
	o := options(always(0.5))
	o.DeadBand = band
	s := New(o, start)
	s.Collected(measurement(start), start)
	s.Sent(&RefusedError{Detail: "no"}, start)
	s.Collected(measurement(start.Add(time.Second)), start.Add(time.Second))
	if d := s.Delivery(); d.Waiting != 1 || d.Unchanged != 0 {
		t.Errorf("%+v", d)
	}
}

func TestSendNow_TellsWhatIsNoNewsToo(t *testing.T) {
	o := options(always(0.5))
	o.DeadBand = band
	s := New(o, start)
	s.Collected(measurement(start), start)
	s.Sent(nil, start)
	s.SendNow(start.Add(time.Second))
	s.Collected(measurement(start.Add(time.Second)), start.Add(time.Second))
	if d := s.Delivery(); d.Waiting != 1 {
		t.Errorf("%+v", d)
	}
}

func TestCollected_AMeasurementKnowsHowLongItsMeansAre(t *testing.T) {
	o := options(always(0.5))
	o.DeadBand = DeadBand{Heartbeat: time.Hour, Share: 0.05}
	s := New(o, start)
	windows := []time.Duration{0, time.Second, 5 * time.Second}
	now := start
	for i, want := range windows {
		now = now.Add(want)
		s.Collected(with(now, map[pod.Kind]float64{pod.CPU: float64(100 * (i % 2))}), now) // the one in the middle too is news
		m, _ := s.Newest()
		if m.Window != want {
			t.Errorf("measurement %d: %v, want %v", i, m.Window, want)
		}
		s.Sent(nil, now)
	}
	// One that is not sent ends a window all the same.
	s.Collected(with(now.Add(5*time.Second), map[pod.Kind]float64{pod.CPU: 0}), now.Add(5*time.Second))
	s.Collected(with(now.Add(9*time.Second), map[pod.Kind]float64{pod.CPU: 100}), now.Add(9*time.Second))
	if m, _ := s.Newest(); m.Window != 4*time.Second {
		t.Errorf("after one that was no news: %v", m.Window)
	}
}
