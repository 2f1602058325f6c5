package scaling

import (
	"testing"
	"time"
)

func TestDecide_SleepsWhenSomebodyAsksAndNothingComes(t *testing.T) {
	asked := func(ago time.Duration) Rest { return Rest{By: "jane", At: now.Add(-ago)} }
	for name, c := range map[string]struct {
		state   State
		to      int32
		summary string
	}{
		"asked after the last traffic": {with(awake(10*time.Second), func(s *State) { s.Rest = asked(time.Second) }), 0, "1 → 0: jane asked for it"},
		"asked in that very moment":    {with(awake(10*time.Second), func(s *State) { s.Rest = asked(10 * time.Second) }), 0, "1 → 0: jane asked for it"},
		"traffic came since":           {with(awake(10*time.Second), func(s *State) { s.Rest = asked(11 * time.Second) }), 1, "stays at 1: not idle for 90 s"},
		"in use":                       {with(awake(0), func(s *State) { s.Rest, s.Traffic.InFlight = asked(0), 1 }), 1, "stays at 1: not idle for 90 s"},
		"a start call":                 {with(awake(10*time.Second), func(s *State) { s.Rest, s.Call = asked(0), &Call{By: "joe"} }), 1, "stays at 1: joe asks for a start"},
		"nobody has looked yet":        {with(awake(0), func(s *State) { s.Rest, s.Traffic.IdleSince = asked(0), time.Time{} }), 1, "stays at 1: not idle for 90 s"},
		"no load balancer reports":     {with(awake(10*time.Second), func(s *State) { s.Rest, s.Traffic.Live = asked(0), nil }), 1, ""},
		"long idle all the same":       {with(awake(91*time.Second), func(s *State) { s.Rest = asked(time.Second) }), 0, "1 → 0: no traffic for 90 s"},
	} {
		d := Decide(spec(), c.state, now)
		if d.To != c.to || c.summary != "" && d.Summary != c.summary {
			t.Errorf("%s: to %d, %q", name, d.To, d.Summary)
		}
	}
	bound := spec()
	bound.MinReplicas = 1
	if d := Decide(bound, with(awake(10*time.Second), func(s *State) { s.Rest = asked(0) }), now); d.To != 1 {
		t.Errorf("below minReplicas: %d", d.To)
	}
}

func TestClassOf_TellsThatSomebodyAskedForSleep(t *testing.T) {
	quiet := awake(10 * time.Second)
	asked := with(quiet, func(s *State) { s.Rest = Rest{By: "jane", At: now} })
	if ClassOf(spec(), quiet, now) == ClassOf(spec(), asked, now) {
		t.Error("it is no news")
	}
	void := with(asked, func(s *State) { s.Traffic.IdleSince = now.Add(time.Second) })
	if ClassOf(spec(), quiet, now) != ClassOf(spec(), void, now) {
		t.Error("what traffic has made void is news for ever")
	}
}
