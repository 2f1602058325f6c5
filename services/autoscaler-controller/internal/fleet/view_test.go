package fleet

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func TestView_WhenItSleepsGoesByTheModeAndTheSchedules(t *testing.T) {
	two := int32(2)
	for name, c := range map[string]struct {
		change func(*scaling.Spec)
		sleeps bool
	}{
		"as it is":                 {func(*scaling.Spec) {}, true},
		"paused":                   {func(s *scaling.Spec) { s.Mode = scaling.Paused }, false},
		"observed":                 {func(s *scaling.Spec) { s.Mode = scaling.Observe }, false},
		"a schedule has a minimum": {func(s *scaling.Spec) { s.Schedules = []scaling.Schedule{{Start: never{}, End: soon{}, Min: &two}} }, false},
	} {
		o := seen(1, pod("a"))
		c.change(&o.Spec)
		f := leading(o)
		traffic(f, "lb", 1, now)
		if v, _ := f.View(key, at(1)); v.SleepsIn >= 0 != c.sleeps {
			t.Errorf("%s: it is said to sleep in %v", name, v.SleepsIn)
		}
	}
}

type (
	never struct{}
	soon  struct{}
)

func (never) Next(time.Time) time.Time  { return time.Time{} }
func (soon) Next(t time.Time) time.Time { return t.Add(time.Minute) }
