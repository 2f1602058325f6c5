package schedule

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func options(random func() float64) Options {
	return Options{
		Interval: 5 * time.Second, Jitter: 0.1, FirstPause: time.Second,
		BackOffFirst: time.Second, BackOffLongest: 30 * time.Second, Random: random,
	}
}

func always(f float64) func() float64 { return func() float64 { return f } }

func measurement(at time.Time) pod.Measurement {
	m := pod.New(at)
	m.Set(pod.Memory, 1)
	return m
}

var errAway = errors.New("connection refused")

// expect checks the step of a moment.
func expect(t *testing.T, s *Schedule, now time.Time, want Action, wait time.Duration) {
	t.Helper()
	if step := s.Next(now); step.Do != want || step.Wait != wait || step.Why == "" {
		t.Errorf("after %v: %s for %v because %q, want %s for %v", now.Sub(start), step.Do, step.Wait, step.Why, want, wait)
	}
}

func TestNext_MeasuresAtOnceAgainAfterASecondThenAtTheInterval(t *testing.T) {
	s, now := New(options(always(0.5)), start), start
	for _, pause := range []time.Duration{time.Second, 5 * time.Second, 5 * time.Second} {
		expect(t, s, now, Collect, 0)
		s.Collected(measurement(now), now)
		expect(t, s, now, Send, 0)
		s.Sent(nil, now)
		expect(t, s, now, Wait, pause)
		expect(t, s, now.Add(pause-1), Wait, 1)
		now = now.Add(pause)
	}
}

func TestCollected_TheIntervalVariesByATenth(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 4500 * time.Millisecond, 0.5: 5 * time.Second, 0.999999999: 5499999999} {
		s := New(options(always(random)), start)
		s.Collected(measurement(start), start)
		s.Sent(nil, start)
		s.Collected(measurement(start), start)
		s.Sent(nil, start)
		expect(t, s, start, Wait, want)
	}
}

func TestSent_BacksOffWithFullJitterWhileTheControllerIsAway(t *testing.T) {
	for _, random := range []float64{0, 0.25, 1} {
		o := options(always(random))
		o.Interval = time.Hour
		s, now := New(o, start), start
		for range 2 { // the third is an hour away
			s.Collected(measurement(now), now)
		}
		bound := time.Second
		for range 10 {
			s.Sent(errAway, now)
			want := time.Duration(random * float64(bound))
			if want == 0 {
				expect(t, s, now, Send, 0)
			} else {
				expect(t, s, now, Wait, want)
			}
			now = now.Add(want)
			expect(t, s, now, Send, 0)
			bound = min(2*bound, 30*time.Second)
		}
		s.Sent(nil, now)
		s.Collected(measurement(now), now)
		expect(t, s, now, Send, 0) // what is measured next goes at once
		if delivery := s.Delivery(); delivery.Failed != 10 || delivery.Sent != 1 || delivery.Waiting != 1 || delivery.LastError != "" || delivery.LastSent != now {
			t.Errorf("%+v", delivery)
		}
		s.Sent(errAway, now) // and the back-off begins anew
		if left := s.sendAt.Sub(now); left > time.Second {
			t.Errorf("the first pause after a success is %v", left)
		}
	}
}

func TestNext_MeasuringGoesOnWhileTheControllerIsAway(t *testing.T) {
	s := New(options(always(1)), start)
	s.Collected(measurement(start), start)
	for range 6 {
		s.Sent(errAway, start) // the next try is 30 s away
	}
	expect(t, s, start.Add(time.Second), Collect, 0)
	s.Collected(measurement(start.Add(time.Second)), start.Add(time.Second))
	expect(t, s, start.Add(time.Second), Wait, 5500*time.Millisecond)
}

func TestCollected_TheNewestTakesThePlaceOfWhatWaitsAndWhatIsMissedIsCounted(t *testing.T) {
	for name, share := range map[string]float64{"every measurement is sent": 0, "what is no news too": 0.5} {
		o := options(always(0.5))
		o.DeadBand = DeadBand{Heartbeat: time.Hour, Share: share}
		s := New(o, start)
		var at time.Time
		for i := range 5 {
			at = start.Add(time.Duration(i) * time.Second)
			s.Collected(measurement(at), at)
			s.Sent(errAway, at)
		}
		if delivery := s.Delivery(); delivery.Waiting != 1 || delivery.Dropped != 4 || delivery.Collected != 5 || delivery.Unchanged != 0 {
			t.Errorf("%s: %+v", name, delivery)
		}
		if m, ok := s.Newest(); !ok || m.At != at {
			t.Errorf("%s: the newest is of %v, want second 4", name, m.At.Sub(start))
		}
		s.Sent(nil, at)
		if _, ok := s.Newest(); ok {
			t.Errorf("%s: something waits", name)
		}
	}
}

func TestSent_ARefusedMeasurementIsGivenUp(t *testing.T) {
	s := New(options(always(1)), start)
	s.Collected(measurement(start), start)
	s.Sent(&RefusedError{Detail: "400"}, start)
	expect(t, s, start, Wait, time.Second)
	if delivery := s.Delivery(); delivery.Refused != 1 || delivery.Waiting != 0 || delivery.LastError == "" || delivery.Dropped != 0 {
		t.Errorf("%+v", delivery)
	}
}

func TestSent_WaitsAsLongAsABusyControllerAsks(t *testing.T) {
	for after, want := range map[time.Duration]time.Duration{2 * time.Second: 2 * time.Second, time.Hour: 30 * time.Second} {
		o := options(always(0))
		o.Interval = time.Hour
		s := New(o, start)
		s.Collected(measurement(start), start)
		s.Collected(measurement(start), start)
		s.Sent(&BusyError{After: after}, start)
		expect(t, s, start, Wait, want)
	}
}

func TestCollected_WhatSaysNothingIsNotSent(t *testing.T) {
	s := New(options(always(0.5)), start)
	empty := pod.New(start)
	empty.Miss(pod.CPU, "no")
	s.Collected(empty, start)
	expect(t, s, start, Wait, time.Second)
}

func TestHold_AMeasurementOnCommandGoesOutWithTheNextPush(t *testing.T) {
	s := New(options(always(0.5)), start)
	s.Collected(measurement(start), start)
	s.Sent(nil, start)
	s.Hold()
	s.Collected(measurement(start), start) // on command
	expect(t, s, start, Wait, time.Second)
	expect(t, s, start.Add(time.Second), Send, 0)
}

func TestHold_CommandsWithoutEndDoNotKeepPushesBack(t *testing.T) {
	s, now, sent := New(options(always(0.5)), start), start, int64(0)
	for now.Before(start.Add(time.Minute)) {
		switch step := s.Next(now); step.Do {
		case Collect:
			s.Collected(measurement(now), now)
		case Send:
			s.Sent(nil, now)
		case Wait:
			now = now.Add(min(step.Wait, 2*time.Second))
			s.Hold()
			s.Collected(measurement(now), now) // on command
		}
		if delivery := s.Delivery(); delivery.Sent > 0 && now.Sub(delivery.LastSent) > 7*time.Second {
			t.Fatalf("after %v: %+v", now.Sub(start), delivery)
		}
		sent = s.Delivery().Sent
	}
	if sent < 12 { // one in 5 s
		t.Errorf("%d were sent", sent)
	}
}

func TestSendNow_DoesNotWaitForTheBackOff(t *testing.T) {
	s := New(options(always(1)), start)
	s.Collected(measurement(start), start)
	s.Sent(errAway, start)
	s.SendNow(start)
	expect(t, s, start, Send, 0)
}

// Whatever happens, each measurement is sent, refused, dropped or waiting; no wait is endless or
// negative; and no more than one waits.
func TestSchedule_AccountsForEveryMeasurement(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		o := options(random.Float64)
		s, now := New(o, start), start
		for range 400 {
			step := s.Next(now)
			switch step.Do {
			case Collect:
				s.Collected(measurement(now), now)
			case Send:
				s.Sent([]error{nil, errAway, &RefusedError{}, &BusyError{After: time.Second}}[random.IntN(4)], now)
			case Wait:
				if step.Wait <= 0 || step.Wait > 5500*time.Millisecond {
					t.Fatalf("seed %d: a wait of %v", seed, step.Wait)
				}
				now = now.Add(time.Duration(random.Int64N(int64(step.Wait) + 1)))
			}
			if random.IntN(20) == 0 {
				if random.IntN(2) == 0 {
					s.Hold()
				} else {
					s.SendNow(now)
				}
				s.Collected(measurement(now), now)
			}
			delivery := s.Delivery()
			if delivery.Waiting > 1 || delivery.Collected != delivery.Sent+delivery.Refused+delivery.Dropped+int64(delivery.Waiting) {
				t.Fatalf("seed %d: %+v", seed, delivery)
			}
		}
	}
}
