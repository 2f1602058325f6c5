package slots

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// explored goes through every state that can be reached, and returns how many there were; what leads
// to a fault is told step by step.
func explored(t *testing.T, start *world, most int) int {
	t.Helper()
	type step struct {
		before *step
		what   func() string
		w      *world
	}
	story := func(s *step) string {
		var lines []string
		for ; s != nil; s = s.before {
			lines = append([]string{s.what()}, lines...)
		}
		return strings.Join(lines, "\n")
	}
	seen := map[uint64]bool{start.key(): true}
	queue := []*step{{what: func() string { return "start" }, w: start}}
	for len(queue) > 0 && len(seen) < most {
		s := queue[0]
		queue = queue[1:]
		for _, e := range s.w.events() {
			w := s.w.clone()
			e.do(w)
			w.forget()
			key := w.key()
			if seen[key] {
				continue
			}
			seen[key] = true
			next := &step{before: s, what: e.name, w: w}
			if fault := w.fault(); fault != "" {
				t.Fatalf("%s after\n%s", fault, story(next))
			}
			queue = append(queue, next)
		}
		s.w = nil
	}
	return len(seen)
}

// Of each beginning so many states are gone through, the nearest first; NEMESIS_TEST_STATES says another
// number (400000 takes minutes: then the first two are gone through to the end).
const (
	most  = 10_000
	walks = 3000
)

func states(t *testing.T) int {
	t.Helper()
	text := os.Getenv("NEMESIS_TEST_STATES")
	if text == "" {
		return most
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestModel_Explore(t *testing.T) {
	for _, c := range []struct {
		name string
		w    func() *world
	}{
		{"two begin", func() *world { w := newWorld(2, 1, 2); w.Arrivals = 2; return w }},
		{"two share a pod over a bad network", func() *world {
			w := agreed(2, 1, 2)
			w.Arrivals, w.Losses, w.Copies = 3, 1, 1
			return w
		}},
		{"one crashes and starts anew", func() *world {
			w := agreed(2, 1, 2)
			w.Arrivals, w.Crashes, w.Starts = 2, 1, 1
			return w
		}},
		{"one of three crashes", func() *world {
			w := agreed(3, 1, 3)
			w.Arrivals, w.Crashes = 2, 1
			return w
		}},
		{"one joins", func() *world {
			w := agreed(3, 1, 2)
			w.Arrivals, w.Starts = 2, 1
			return w
		}},
		{"one is cut off and comes back", func() *world {
			w := agreed(2, 1, 2)
			w.Arrivals, w.Lapses = 2, 1
			return w
		}},
		{"three pods", func() *world {
			w := agreed(3, 3, 3)
			w.Arrivals = 4
			return w
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			n := explored(t, c.w(), states(t))
			t.Logf("%d states in %v", n, time.Since(began))
		})
	}
}

func TestModel_Walk(t *testing.T) {
	const lots = 4 // beside each other, since nobody shares anything
	for lot := range uint64(lots) {
		t.Run(fmt.Sprint("lot ", lot), func(t *testing.T) {
			t.Parallel()
			for seed := lot; seed < walks; seed += lots {
				walk(t, seed)
			}
		})
	}
}

// walk goes a long way of random steps.
func walk(t *testing.T, seed uint64) {
	t.Helper()
	chance := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(3, 1+int(seed%3), 1+int(seed%3))
	if seed%2 == 0 {
		w = agreed(3, 1+int(seed/2%3), 1+int(seed%3))
	}
	w.Arrivals, w.Crashes, w.Starts, w.Lapses, w.Copies, w.Losses = 40, 4, 6, 4, 30, 30
	var story []string
	for range 600 {
		list := w.events()
		if len(list) == 0 {
			break
		}
		e := list[chance.IntN(len(list))]
		story = append(story, e.name())
		e.do(w)
		w.forget()
		if fault := w.fault(); fault != "" {
			t.Fatalf("seed %d: %s after\n%s", seed, fault, strings.Join(story, "\n"))
		}
	}
	calm(t, w, chance, fmt.Sprint("seed ", seed))
}

// calm lets nothing bad happen any more: then everybody is served.
func calm(t *testing.T, w *world, chance *rand.Rand, who string) {
	t.Helper()
	w.Arrivals, w.Crashes, w.Starts, w.Lapses, w.Copies, w.Losses = 0, 0, 0, 0, 0, 0
	for range 5000 {
		list := w.events()
		if len(list) == 0 {
			break
		}
		list[chance.IntN(len(list))].do(w)
		if fault := w.fault(); fault != "" {
			t.Fatalf("%s, at last: %s", who, fault)
		}
	}
	for i, n := range w.Nodes {
		if n.Up && len(n.Queue) > 0 {
			for k, o := range w.Nodes {
				if o.Up {
					t.Logf("%s: life %d, seated %v, stands %v, follows view %d of %d, %s", name(k), o.Life, o.Seated, o.Council.Stands(epoch), o.Seen, len(w.Views)-1, o.Account)
				}
			}
			t.Fatalf("%s: %s waits for ever", who, name(i))
		}
	}
}

func (a *Account) String() string {
	return fmt.Sprintf("phase %d, sounding %v, first %v, promised %d%s, mine %d, members %v, session %d, ops %d, held %v, waiting %d, cut %d, lent %v", a.phase, a.sounding, a.first,
		a.promised.Number, a.promised.Owner.Name, a.mine.Number, slices.Collect(maps.Keys(a.members)), a.session, len(a.ops), a.held, len(a.waiting), len(a.cut), a.lent)
}
