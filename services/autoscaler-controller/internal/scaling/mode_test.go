package scaling

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// daily begins anew each day at an hour.
type daily int

func (h daily) Next(t time.Time) time.Time {
	next := time.Date(t.Year(), t.Month(), t.Day(), int(h), 0, 0, 0, time.UTC)
	if !next.After(t) {
		next = next.AddDate(0, 0, 1)
	}
	return next
}

// never does not come.
type never struct{}

func (never) Next(time.Time) time.Time { return time.Time{} }

func at(hour int) time.Time { return time.Date(2026, 1, 2, hour, 30, 0, 0, time.UTC) }

func TestSchedules_BindWhileTheyAreActive(t *testing.T) {
	office := Schedule{Name: "office", Start: daily(8), End: daily(18), Min: new(int32(3)), Max: new(int32(8))}
	night := Schedule{Name: "night", Start: daily(22), End: daily(6), Max: new(int32(1)), Mode: Observe}
	lunch := Schedule{Name: "lunch", Start: daily(12), End: daily(13), Min: new(int32(5)), Max: new(int32(20))}
	closed := Schedule{Name: "closed", Start: daily(23), End: daily(5), Mode: Paused}
	for name, c := range map[string]struct {
		hour     int
		min, max int32
		mode     Mode
		active   []string
		changes  time.Time
	}{
		"in the morning": {7, 0, 10, "", nil, daily(8).Next(at(7))},
		"in the office":  {9, 3, 8, "", []string{"Schedule:office"}, daily(12).Next(at(9))},
		"at lunch":       {12, 5, 8, "", []string{"Schedule:office", "Schedule:lunch"}, daily(13).Next(at(12))},
		"in the evening": {19, 0, 10, "", nil, daily(22).Next(at(19))},
		"late":           {22, 0, 1, Observe, []string{"Schedule:night"}, daily(23).Next(at(22))},
		"after midnight": {1, 0, 1, Paused, []string{"Schedule:night", "Schedule:closed"}, daily(5).Next(at(1))},
	} {
		sp := Spec{MaxReplicas: 10, Schedules: []Schedule{office, night, lunch, closed}}
		got, by, changes := sp.At(at(c.hour))
		var active []string
		for _, r := range by {
			active = append(active, r.Rule)
		}
		if got.MinReplicas != c.min || got.MaxReplicas != c.max || got.Mode != c.mode || !slices.Equal(active, c.active) || !changes.Equal(c.changes) {
			t.Errorf("%s: %d to %d, mode %q, %v, until %v; want %+v", name, got.MinReplicas, got.MaxReplicas, got.Mode, active, changes, c)
		}
	}
}

func TestSchedules_ASmallerMaximumWinsOverALargerMinimum(t *testing.T) {
	sp := Spec{MinReplicas: 1, MaxReplicas: 10, Schedules: []Schedule{
		{Name: "a", Start: daily(0), End: daily(23), Min: new(int32(9))}, {Name: "b", Start: daily(0), End: daily(23), Max: new(int32(2))},
	}}
	if got, _, _ := sp.At(at(3)); got.MinReplicas != 2 || got.MaxReplicas != 2 {
		t.Errorf("%+v", got)
	}
}

func TestSchedules_ThatNeverBeginOrNeverEnd(t *testing.T) {
	for name, c := range map[string]struct {
		schedule Schedule
		active   bool
	}{
		"never ends":   {Schedule{Start: daily(3), End: never{}}, false},
		"never begins": {Schedule{Start: never{}, End: daily(3)}, true},
		"neither":      {Schedule{Start: never{}, End: never{}}, false},
	} {
		if active, _ := c.schedule.active(at(9)); active != c.active {
			t.Errorf("%s: %v", name, active)
		}
	}
}

func TestDecide_ASchedulesMinimumWakesAndSaysSo(t *testing.T) {
	sp := spec()
	sp.MaxReplicas = 10
	sp.Schedules = []Schedule{{Name: "office", Start: daily(now.Hour()), End: daily(now.Hour() + 2), Min: new(int32(4))}}
	asleep := State{Found: true, Traffic: Traffic{Live: []string{"lb"}}}
	d := Decide(sp, asleep, now)
	if d.To != 4 || d.Trigger != Bounds || !slices.Contains(rules(d), "Schedule:office Note 4") || d.Due.IsZero() {
		t.Errorf("%+v", d)
	}
}

func TestMode_PausedNeitherStartsNorStops(t *testing.T) {
	paused := spec()
	paused.Mode = Paused
	asleep := State{Found: true, Traffic: Traffic{Live: []string{"lb"}, Waiting: 9, WaitingSince: now.Add(-time.Minute)}, Call: &Call{Waiting: 9}}
	for name, s := range map[string]State{
		"asleep with requests": asleep, "idle": awake(time.Hour),
		"more than maxReplicas": with(awake(0), func(s *State) { s.Replicas = 90 }),
	} {
		d := Decide(paused, s, now)
		if d.To != s.Replicas || d.Trigger != ByMode || !strings.Contains(d.Summary, "mode is Paused") {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if d := Decide(paused, awake(time.Hour), now); d.Aim != d.From {
		t.Errorf("a way down is not called off: %+v", d)
	}
}

func TestMode_PausedHoldsTheCountThatIsGiven(t *testing.T) {
	paused := spec()
	paused.Mode, paused.PausedReplicas = Paused, new(int32(2))
	if d := Decide(paused, State{Found: true, Traffic: Traffic{Live: []string{"lb"}}}, now); d.To != 2 {
		t.Errorf("up: %+v", d)
	}
	paused.PausedReplicas = new(int32(0))
	if d := Decide(paused, awake(0), now); d.To != 0 {
		t.Errorf("to zero: %+v", d)
	}
	if d := Decide(paused, with(awake(0), func(s *State) { s.Traffic.Live = nil }), now); d.To != 1 || d.Aim != 0 {
		t.Errorf("and is held by what holds any way down: %+v", d)
	}
}

func TestMode_ObserveDecidesAndTouchesNothingButToWake(t *testing.T) {
	observe := slotted(1)
	observe.Mode = Observe
	if d := Decide(observe, awake(time.Hour), now); d.To != 1 || d.Aim != 1 || d.Wished != 0 || !strings.Contains(d.Summary, "mode is Observe: 0 would be asked for") {
		t.Errorf("idle: %+v", d)
	}
	if d := Decide(observe, serving(1, Demand{Concurrency: both(7)}), now); d.To != 1 || d.Wished != 10 || !strings.Contains(d.Summary, "10 would be asked for") {
		t.Errorf("busy: %+v", d)
	}
	if d := Decide(observe, asleepWith(5, Demand{}), now); d.To != 5 {
		t.Errorf("asleep with requests: %+v", d)
	}
}

func TestTogether_AllTargetsWakeAndSleepAsOne(t *testing.T) {
	sp := spec()
	sp.Together = true
	asleep := State{Found: true, Traffic: Traffic{Live: []string{"lb"}}}
	for name, c := range map[string]struct {
		state State
		group Group
		want  int32
	}{
		"nobody is in use":                {asleep, Group{}, 0},
		"another one is busy":             {asleep, Group{Busy: "b", Awake: true}, 1},
		"another one waits for a start":   {asleep, Group{Busy: "b"}, 1},
		"another one was used lately":     {asleep, Group{Awake: true, IdleSince: now.Add(-time.Second)}, 1},
		"it sleeps though":                {asleep, Group{IdleSince: now.Add(-time.Second)}, 0},
		"idle, and another one is in use": {awake(time.Hour), Group{Busy: "b", Awake: true}, 1},
		"idle, all of them":               {awake(time.Hour), Group{Awake: true, IdleSince: now.Add(-time.Hour)}, 0},
	} {
		c.state.Together = c.group
		if d := Decide(sp, c.state, now); d.To != c.want {
			t.Errorf("%s: %+v", name, d)
		}
		alone := sp
		alone.Together = false
		if d := Decide(alone, c.state, now); d.To == 1 && c.state.Replicas == 0 {
			t.Errorf("%s, each on its own: %+v", name, d)
		}
	}
}

func TestMode_ObserveIsWokenByRequestsAlone(t *testing.T) {
	observe := spec()
	observe.Mode, observe.MinReplicas, observe.MaxReplicas = Observe, 2, 5
	asleep := State{Found: true, Traffic: Traffic{Live: []string{"lb"}}}
	if d := Decide(observe, asleep, now); d.To != 0 || !strings.Contains(d.Summary, "mode is Observe: 2 would be asked for") {
		t.Errorf("by a minimum: %+v", d)
	}
	asleep.Call = &Call{Waiting: 1}
	if d := Decide(observe, asleep, now); d.To != 2 {
		t.Errorf("by a request: %+v", d)
	}
}
