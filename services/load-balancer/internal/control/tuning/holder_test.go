package tuning

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

var (
	start  = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	old    = Settings{Policy: Random, MaxConnections: 1, Timeout: time.Second}
	mine   = Settings{Policy: Random, MaxConnections: 2, Timeout: time.Second}
	theirs = Settings{Policy: Random, MaxConnections: 3, Timeout: time.Second}
)

func TestHolder_FollowsTheDefaultsUntilTold(t *testing.T) {
	var told []Settings
	h := NewHolder(func(s Settings) { told = append(told, s) })
	if h.Current() != Defaults() {
		t.Errorf("%+v is followed at first", h.Current())
	}
	for range 2 {
		if !h.Polled(h.Mark(), old, start) || h.Current() != old {
			t.Errorf("%+v is followed, want what the poll brought", h.Current())
		}
	}
	if len(told) != 1 || told[0] != old {
		t.Errorf("told %v, want the one change", told)
	}
}

// What comes in which order, and what is followed after.
func TestHolder_KeepsTheOrderOfChangesAndPolls(t *testing.T) {
	type step struct {
		what  string
		s     Settings
		after time.Duration
		taken bool
		want  Settings
	}
	for name, steps := range map[string][]step{
		"the poll under way was read before the change": {
			{"begin", old, 0, true, old},
			{"change", mine, 0, true, mine},
			{"poll", old, 0, false, mine},
			{"begin", old, 0, true, mine},
			{"poll", mine, 0, true, mine},
		},
		"the poll under way was read after a later change of another replica": {
			{"begin", old, 0, true, old},
			{"change", mine, 0, true, mine},
			{"poll", theirs, 0, false, mine},
			{"begin", old, 0, true, mine},
			{"poll", theirs, 0, true, theirs},
		},
		"the later change of another replica came before the answer to ours": {
			{"begin", old, 0, true, old},
			{"poll", theirs, 0, true, theirs},
			{"change", mine, 0, true, mine},
			{"begin", old, 0, true, mine},
			{"poll", mine, 0, true, mine},
		},
		"a controller that is behind tells what was before": {
			{"change", mine, 0, true, mine},
			{"begin", old, 0, true, mine},
			{"poll", old, lag - 1, false, mine},
			{"poll", mine, 0, true, mine},
		},
		"it was really set back": {
			{"change", mine, 0, true, mine},
			{"begin", old, 0, true, mine},
			{"poll", old, lag - 1, false, mine},
			{"poll", old, 1, true, old},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, now := NewHolder(nil), start
			h.Polled(h.Mark(), old, now)
			mark := h.Mark()
			for i, s := range steps {
				now = now.Add(s.after)
				taken := true
				switch s.what {
				case "begin":
					mark = h.Mark()
				case "change":
					h.Changed(s.s, now)
				case "poll":
					taken = h.Polled(mark, s.s, now)
				}
				if taken != s.taken || h.Current() != s.want {
					t.Fatalf("step %d, %s: taken %v, followed %+v; want %v, %+v", i, s.what, taken, h.Current(), s.taken, s.want)
				}
			}
		})
	}
}

func TestSettings_TakeTheirDefaultsAndName(t *testing.T) {
	if got := (Settings{}).OrDefaults(); got != Defaults() {
		t.Errorf("nothing set gives %+v", got)
	}
	if got := old.OrDefaults(); got != old {
		t.Errorf("all set gives %+v", got)
	}
	for policy, want := range map[string]string{
		RoundRobin: balance.RoundRobinName, LeastConnections: balance.LeastConnectionsName, Random: balance.RandomName, "newer": "newer",
	} {
		if got := (Settings{Policy: policy}).Algorithm(); got != want {
			t.Errorf("%s is the algorithm %q, want %q", policy, got, want)
		}
	}
}
