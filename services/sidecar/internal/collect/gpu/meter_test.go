package gpu

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script is a driver whose answers are functions, the last one again and again.
type script struct {
	calls   atomic.Int32 // one that hangs is asked on a goroutine of its own
	answers []func() ([]Device, error)
}

func (s *script) Devices() ([]Device, error) {
	return s.answers[min(int(s.calls.Add(1)), len(s.answers))-1]()
}

func says(devices ...Device) func() ([]Device, error) {
	return func() ([]Device, error) { return devices, nil }
}

func fails(err error) func() ([]Device, error) {
	return func() ([]Device, error) { return nil, err }
}

// after answers late, as a driver that hangs.
func after(d time.Duration, then func() ([]Device, error)) func() ([]Device, error) {
	return func() ([]Device, error) {
		time.Sleep(d) // virtual
		return then()
	}
}

func newMeter(answers ...func() ([]Device, error)) (*Meter, *script, *bytes.Buffer) {
	var log bytes.Buffer
	s := &script{answers: answers}
	return NewMeter(s, Pod{}, slog.New(slog.NewTextHandler(&log, nil))), s, &log
}

func lines(log *bytes.Buffer) int { return strings.Count(log.String(), "\n") }

func TestMeter_AnAbsentDriverIsOneLineAndIsAskedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, driver, log := newMeter(fails(errors.New("no library")))
		for range 12 * 60 { // an hour
			total := m.Measure()
			if total != missing("no library") {
				t.Fatalf("%+v", total)
			}
			time.Sleep(5 * time.Second)
		}
		if lines(log) != 1 || !strings.Contains(log.String(), "no library") {
			t.Errorf("the log says\n%s", log)
		}
		if driver.calls.Load() != 12 {
			t.Errorf("asked %d times in an hour, want every five minutes", driver.calls.Load())
		}
	})
}

func TestMeter_ADriverThatComesIsUsedAndOneThatGoesIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, log := newMeter(fails(errors.New("no library")), says(busy(40, 100, 60)), fails(errors.New("gone")))
		m.Measure()
		time.Sleep(retryAfter)
		if total := m.Measure(); total != busy(40, 100, 60) {
			t.Errorf("%+v", total)
		}
		if total := m.Measure(); total != missing("gone") {
			t.Errorf("%+v", total)
		}
		if lines(log) != 3 {
			t.Errorf("the log says\n%s", log)
		}
	})
}

func TestMeter_ADriverThatHangsHoldsNothingUpAndHasNoSecondCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, driver, log := newMeter(after(42*time.Second, says(busy(99, 99, 99))), says(busy(7, 7, 7)))
		began := time.Now()
		if total := m.Measure(); !strings.Contains(total.Use.Why, "did not answer within 1s") || time.Since(began) != patience {
			t.Errorf("%+v after %s", total, time.Since(began))
		}
		for range 8 {
			time.Sleep(5 * time.Second)
			now := time.Now()
			if total := m.Measure(); !strings.Contains(total.Memory.Why, "not answered yet") || time.Since(now) != 0 {
				t.Errorf("%+v after %s", total, time.Since(now))
			}
		}
		if driver.calls.Load() != 1 || lines(log) != 1 {
			t.Errorf("%d calls; the log says\n%s", driver.calls.Load(), log)
		}
		time.Sleep(5 * time.Second)
		if total := m.Measure(); total != busy(7, 7, 7) {
			t.Errorf("%+v: what came late is of another time", total)
		}
		if driver.calls.Load() != 2 || lines(log) != 2 {
			t.Errorf("%d calls; the log says\n%s", driver.calls.Load(), log)
		}
	})
}

func TestMeter_SaysThatMIGIsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, log := newMeter(says(Slice(Known(2048))))
		for range 3 {
			if total := m.Measure(); total.Memory != Known(2048) || total.Use.Why != SliceUse || total.Power.Why != SlicePower {
				t.Errorf("%+v", total)
			}
		}
		if lines(log) != 1 || !strings.Contains(log.String(), "MIG is on") {
			t.Errorf("the log says\n%s", log)
		}
	})
}
