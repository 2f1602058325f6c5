package shards

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is replicas that lead shards: one stands, and leads when the shard is free; it stands no more, and
// the shard is free.
type world struct {
	now     time.Time
	holders []string
	members []string
	idle    map[string]bool // members that never take anything
	plans   map[string]*Planner
	moves   int
}

func newWorld(shards int, members ...string) *world {
	w := &world{now: start, holders: make([]string, shards), idle: map[string]bool{}, plans: map[string]*Planner{}}
	for _, m := range members {
		w.join(m)
	}
	return w
}

func (w *world) join(m string) {
	w.members = append(w.members, m)
	w.plans[m] = &Planner{Self: m}
}

// leave gives back what it leads.
func (w *world) leave(m string) {
	w.members = slices.DeleteFunc(w.members, func(o string) bool { return o == m })
	delete(w.plans, m)
	for i, h := range w.holders {
		if h == m {
			w.holders[i] = ""
		}
	}
}

// run lets seconds pass.
func (w *world) run(seconds int) {
	for range seconds {
		view := View{Members: slices.Clone(w.members), Holders: slices.Clone(w.holders)}
		for _, m := range w.members {
			for i, stands := range w.plans[m].Stand(view, w.now) {
				switch {
				case !stands && w.holders[i] == m:
					w.holders[i] = ""
					w.moves++
				case stands && w.holders[i] == "" && view.Holders[i] == "" && !w.idle[m]:
					w.holders[i] = m
				}
			}
		}
		w.now = w.now.Add(time.Second)
	}
}

func (w *world) free() (n int) {
	for _, h := range w.holders {
		if h == "" {
			n++
		}
	}
	return n
}

func TestPlanner_ASingleReplicaLeadsAllAtOnce(t *testing.T) {
	w := newWorld(8, "a")
	w.run(1)
	if got := shares(w.holders); got["a"] != 8 {
		t.Errorf("got %v", got)
	}
}

func TestPlanner_AShardIsGivenUpOnlyForAMemberThatStays(t *testing.T) {
	w := newWorld(4, "a")
	w.run(5)
	for range 10 { // b restarts again and again
		w.join("b")
		w.run(int(SettledAfter/time.Second) - 1)
		w.leave("b")
		w.run(2)
	}
	if w.moves != 0 {
		t.Fatalf("%d shards were given up for one that does not stay", w.moves)
	}
	w.join("b")
	w.run(30)
	if got := shares(w.holders); got["a"] != 2 || got["b"] != 2 || w.moves != 2 {
		t.Errorf("%v after %d moves", got, w.moves)
	}
}

func TestPlanner_OneShardMovesAtATime(t *testing.T) {
	w := newWorld(16, "a")
	w.run(5)
	w.join("b")
	for range 60 {
		w.run(1)
		if w.free() > 1 {
			t.Fatalf("%d are led by nobody", w.free())
		}
	}
	if got := shares(w.holders); got["a"] != 8 || got["b"] != 8 {
		t.Errorf("got %v", got)
	}
}

func TestPlanner_WhatTheOwnerLeavesAloneIsTakenAndNotGivenBack(t *testing.T) {
	w := newWorld(4, "a")
	w.run(5)
	w.idle["b"] = true // it is there, but cannot lead
	w.join("b")
	w.run(60)
	if got := shares(w.holders); got["a"] != 4 || w.moves != 1 {
		t.Errorf("%v after %d moves", got, w.moves)
	}
	w.idle["b"] = false
	w.run(120)
	if got := shares(w.holders); got["a"] != 2 || got["b"] != 2 {
		t.Errorf("once it can: %v", got)
	}
}

func TestPlanner_OneThatTakesNoPartKeepsWhatItLeadsAndTakesNothing(t *testing.T) {
	p := &Planner{Self: "a"}
	if got := p.Stand(View{Members: []string{"b"}, Holders: []string{"a", "", "b"}}, start); !slices.Equal(got, []bool{true, false, false}) {
		t.Errorf("got %v", got)
	}
}

// Whoever comes and goes: once they have come to rest, all is led, in equal shares, and nothing moves.
func TestPlanner_ComesToRest(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(1+random.IntN(24), "m")
		for step := range 20 {
			if m := fmt.Sprintf("m%d", step); random.IntN(2) == 0 || len(w.members) == 1 {
				w.join(m)
			} else {
				w.leave(w.members[random.IntN(len(w.members))])
			}
			w.run(random.IntN(20))
		}
		w.run(120)
		rest := slices.Clone(w.holders)
		has := shares(rest)
		for _, m := range w.members {
			if n := has[m]; n < len(rest)/len(w.members) || n > (len(rest)+len(w.members)-1)/len(w.members) {
				t.Errorf("seed %d: %s has %d of %d, among %d", seed, m, n, len(rest), len(w.members))
			}
		}
		before := w.moves
		if w.run(60); w.moves != before || !slices.Equal(w.holders, rest) || w.free() != 0 {
			t.Errorf("seed %d: %d moves at rest, %d are free", seed, w.moves-before, w.free())
		}
	}
}
