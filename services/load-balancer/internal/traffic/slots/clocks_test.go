package slots

import (
	"math/rand/v2"
	"testing"
	"time"
)

// clock is one that goes faster or slower than true time.
type clock struct {
	rate  float64
	start time.Time
}

func (c clock) at(truth time.Duration) time.Time {
	return c.start.Add(time.Duration(float64(truth) * c.rate))
}

// TestCouncil_NobodyIsTakenForGoneWhoStands lets one load balancer be cut off from the controller, from
// another one, or be stopped altogether, with clocks that differ in rate, and asks at every moment: does
// the other one take it for gone while it stands by its own clock?
func TestCouncil_NobodyIsTakenForGoneWhoStands(t *testing.T) {
	const step, end = 250 * time.Millisecond, 200 * time.Second
	gone, lapsed := 0, 0
	for seed := range uint64(600) {
		chance := rand.New(rand.NewPCG(seed, 7))
		// How long a silence each asks the controller for; the other one may ask for another.
		forgets := []time.Duration{MostForget, 37 * time.Second, LeastForget}
		forget, others := forgets[seed%3], forgets[seed/3%3]
		rates := []float64{.9, 1, 1.1}
		controller := clock{rates[chance.IntN(3)], time.Unix(5000, 0)}
		xs, ys := clock{rates[chance.IntN(3)], time.Unix(9000, 0)}, clock{rates[chance.IntN(3)], time.Unix(100, 0)}
		self, other := Member{ID: ID{"x", 1}, Address: "x"}, Member{ID: ID{"y", 1}, Address: "y"}
		x, y := NewCouncil(self, TermsFor(forget)), NewCouncil(other, TermsFor(others))
		both := View{Version: "e.1", Members: []Member{self, other}}
		x.Receipt(xs.at(0), xs.at(0))
		x.Follow(both, xs.at(1), xs.at(1))
		y.Follow(both, ys.at(1), ys.at(1))
		heard, out := controller.at(0), false
		cut, apart, stopped := false, false, false
		for truth := step; truth < end; truth += step {
			if chance.IntN(40) == 0 {
				cut, apart, stopped = chance.IntN(4) > 0, chance.IntN(3) == 0, chance.IntN(6) == 0
			}
			now := xs.at(truth)
			if !stopped {
				if !cut && !out && truth%time.Second == 0 {
					heard = controller.at(truth)
					x.Receipt(now, now)
				}
				if !apart && x.AsksForWord(now) {
					y.Heard(x.Self(), ys.at(truth))
					y.GiveWord(x.Self(), ys.at(truth))
					x.Word(other, now, now.Add(time.Millisecond))
				}
			}
			if !out && controller.at(truth).Sub(heard) >= forget { // the controller's word
				out = true
				y.Follow(View{Version: "e.2", Members: []Member{other}}, ys.at(truth), ys.at(truth))
			}
			y.Sweep(ys.at(truth))
			there := false
			for _, m := range y.Others(ys.at(truth)) {
				there = there || m.ID == self.ID
			}
			if stands := x.Stands(now); !there && stands {
				t.Fatalf("seed %d: after %v it is taken for gone and stands; forgotten after %v, the other one after %v", seed, truth, forget, others)
			} else if !stands {
				lapsed++
			}
			if !there {
				gone++
				break
			}
		}
	}
	if gone == 0 || lapsed == 0 {
		t.Errorf("nothing was tried: gone %d times, without standing %d times", gone, lapsed)
	}
}

func TestCouncil_WhoLostItsStandingActsAfterAViewThatWasAskedForLater(t *testing.T) {
	now := time.Unix(1000, 0)
	self, other := Member{ID: ID{"x", 1}, Address: "x"}, Member{ID: ID{"y", 1}, Address: "y"}
	view := View{Version: "e.1", Members: []Member{self, other}}
	c := NewCouncil(self, DefaultTerms())
	c.Receipt(now, now)
	c.Follow(view, now.Add(time.Millisecond), now.Add(time.Millisecond))
	if !c.Seated(now.Add(44 * time.Second)) {
		t.Error("it does not act while the receipt is fresh")
	}
	late := now.Add(46 * time.Second)
	if c.Seated(late) {
		t.Error("it acts although the receipt is old and nobody vouches")
	}
	c.Receipt(late, late)
	if c.Seated(late) || !c.Outdated(late) {
		t.Error("it acts on the view of before")
	}
	c.Follow(view, late.Add(-time.Second), late)
	if c.Seated(late) {
		t.Error("it acts on a view that was asked for before it lost its standing")
	}
	c.Follow(view, late.Add(time.Second), late.Add(time.Second))
	if !c.Seated(late.Add(time.Second)) {
		t.Error("it does not act on a new view")
	}
}

func TestCouncil_FirstIsTheSameForAllAndMovesLittle(t *testing.T) {
	now := time.Unix(1000, 0)
	names := []string{"a", "b", "c", "d"}
	councils := make([]*Council, len(names))
	view := View{Version: "e.1"}
	for i, n := range names {
		view.Members = append(view.Members, Member{ID: ID{n, 1}, Address: n})
		councils[i] = NewCouncil(view.Members[i], DefaultTerms())
	}
	counts := map[string]int{}
	const keys = 2000
	moved := 0
	for k := range keys {
		key := string(rune(k)) + "/app"
		var first ID
		for i, c := range councils {
			c.Follow(view, now, now)
			if got := c.First(key, now); i > 0 && got != first {
				t.Fatalf("for %q it is %v for one and %v for another", key, first, got)
			} else {
				first = got
			}
		}
		counts[first.Name]++
		without := NewCouncil(view.Members[0], DefaultTerms())
		without.Follow(View{Version: "e.2", Members: view.Members[:3]}, now, now)
		if first.Name != "d" && without.First(key, now) != first {
			moved++
		}
	}
	for n, k := range counts {
		if k < keys/8 || k > keys/2 {
			t.Errorf("%s is first for %d of %d", n, k, keys)
		}
	}
	if moved > 0 {
		t.Errorf("%d moved that had nothing to do with who went", moved)
	}
}

func TestCouncil_WhoLeavesIsFirstForNothingAndWhoEndedIsNotThere(t *testing.T) {
	now := time.Unix(1000, 0)
	self, other := Member{ID: ID{"x", 1}, Address: "x"}, Member{ID: ID{"y", 1}, Address: "y"}
	c := NewCouncil(self, DefaultTerms())
	c.Follow(View{Version: "e.1", Members: []Member{self, other, {ID: ID{"old", 1}}}}, now, now)
	if c.Old() != 1 || len(c.Others(now)) != 1 {
		t.Errorf("%d are too old, others %v", c.Old(), c.Others(now))
	}
	leaving := other
	leaving.Leaving = true
	c.Heard(leaving, now)
	for _, key := range []string{"1", "2", "3", "4", "5", "6"} {
		if c.First(key, now) != self.ID {
			t.Error("one that leaves is first")
		}
	}
	c.Ended(other)
	if len(c.Others(now)) != 0 || !c.Stands(now) {
		t.Errorf("one that ended is there: %v", c.Others(now))
	}
	restarted := Member{ID: ID{"y", 2}, Address: "y"}
	c.Heard(restarted, now)
	if list := c.Others(now); len(list) != 1 || list[0].ID != restarted.ID {
		t.Errorf("after it started again there are %v", list)
	}
}

func TestTerms_AreTheUsualOnesForWhoAsksForNothing(t *testing.T) {
	usual := Terms{Receipt: 45 * time.Second, Ask: 10 * time.Second, Vouch: 2 * time.Second, Word: 4 * time.Second, Forget: time.Minute}
	if got := DefaultTerms(); got != usual {
		t.Errorf("got %+v, want %+v", got, usual)
	}
	for _, forget := range []time.Duration{LeastForget, MostForget} {
		got := TermsFor(forget)
		if got.Receipt*5/4 >= forget || got.Ask >= got.Receipt || got.Forget < forget {
			t.Errorf("forgotten after %v: %+v leaves clocks no room, asks too late, or lets others forget sooner", forget, got)
		}
	}
}
