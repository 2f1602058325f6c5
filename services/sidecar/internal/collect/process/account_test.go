package process

import (
	"math/rand/v2"
	"testing"
)

func TestAccount_WhatWasUsedBeforeTheFirstReadingDoesNotCount(t *testing.T) {
	var a account
	if got := a.add(map[key]times{{1, 0}: {self: 1000, children: 500}}); got != 0 {
		t.Errorf("used %d", got)
	}
}

func TestAccount_FollowsProcessesThroughTheirLives(t *testing.T) {
	parent, child := key{1, 0}, key{2, 5}
	for name, c := range map[string]struct {
		readings []map[key]times
		want     []uint64
	}{
		"two that work": {
			[]map[key]times{{parent: {10, 0}, child: {20, 0}}, {parent: {11, 0}, child: {25, 0}}},
			[]uint64{0, 6},
		},
		"a new one counts from its start": {
			[]map[key]times{{parent: {10, 0}}, {parent: {10, 0}, child: {7, 0}}},
			[]uint64{0, 7},
		},
		"one that lived for long ends, and only its last part is new": {
			[]map[key]times{{parent: {10, 0}, child: {5000, 0}}, {parent: {10, 5003}}, {parent: {11, 5003}}},
			[]uint64{0, 3, 4},
		},
		"one that came and went between two readings": {
			[]map[key]times{{parent: {10, 0}}, {parent: {10, 8}}},
			[]uint64{0, 8},
		},
		"one whose parent is told later, by another reading": {
			[]map[key]times{{parent: {10, 0}, child: {5000, 0}}, {parent: {10, 0}}, {parent: {10, 5003}}},
			[]uint64{0, 0, 3},
		},
		"one that nobody waits for takes nothing from those that come after it": {
			[]map[key]times{{parent: {10, 0}, child: {5000, 0}}, {parent: {12, 0}}, {parent: {14, 0}}, {parent: {14, 100}}},
			[]uint64{0, 2, 4, 104},
		},
		"a number used again is another process": {
			[]map[key]times{{parent: {10, 0}, child: {5000, 0}}, {parent: {10, 5000}, key{2, 99}: {4, 0}}},
			[]uint64{0, 4},
		},
		"a whole container ends and begins again": {
			[]map[key]times{{key{1, 0}: {1, 0}, key{7, 3}: {9000, 100}}, {key{1, 0}: {1, 0}, key{30, 90}: {2, 0}}},
			[]uint64{0, 2},
		},
	} {
		var a account
		for i, reading := range c.readings {
			if got := a.add(reading); got != c.want[i] {
				t.Errorf("%s: reading %d says %d, want %d", name, i, got, c.want[i])
			}
		}
	}
}

// simulated is a pod as the kernel counts it: every process is waited for, by its parent or, once that
// has ended, by the first process.
type simulated struct {
	random *rand.Rand
	next   int
	all    map[key]*node
	truth  uint64
}

type node struct {
	times
	parent key
}

func (s *simulated) step() {
	alive := make([]key, 0, len(s.all))
	for i := range s.next {
		if k := (key{i, uint64(i)}); s.all[k] != nil {
			alive = append(alive, k)
		}
	}
	k := alive[s.random.IntN(len(alive))]
	switch s.random.IntN(4) {
	case 0: // fork
		s.all[key{s.next, uint64(s.next)}] = &node{parent: k}
		s.next++
	case 1: // end, and be waited for
		if k.pid == 0 {
			return
		}
		ended := s.all[k]
		delete(s.all, k)
		s.all[ended.parent].children += ended.self + ended.children
		for _, n := range s.all {
			if n.parent == k {
				n.parent = key{}
			}
		}
	default: // work
		used := s.random.Uint64N(1000)
		s.all[k].self += used
		s.truth += used
	}
}

func (s *simulated) reading() map[key]times {
	out := map[key]times{}
	for k, n := range s.all {
		out[k] = n.times
	}
	return out
}

func TestAccount_IsExactWhenEveryProcessIsWaitedFor(t *testing.T) {
	for seed := range uint64(200) {
		s := &simulated{random: rand.New(rand.NewPCG(seed, 2)), next: 1, all: map[key]*node{{}: {}}}
		var a account
		for range 50 {
			s.step()
		}
		a.add(s.reading())
		s.truth = 0
		for range 100 {
			for range s.random.IntN(20) {
				s.step()
			}
			if got := a.add(s.reading()); got != s.truth {
				t.Fatalf("seed %d: %d counted, %d used", seed, got, s.truth)
			}
		}
	}
}

// A process may end just when its parent has been read and itself has not: neither shows its time
// then, and the parent shows its whole life the next time. The sum must neither jump by that nor
// fall.
func TestAccount_NeverJumpsByWhatWasCountedBefore(t *testing.T) {
	for seed := range uint64(200) {
		s := &simulated{random: rand.New(rand.NewPCG(seed, 3)), next: 1, all: map[key]*node{{}: {}}}
		var a account
		var last uint64
		a.add(s.reading())
		for i := range 300 {
			earlier := s.reading()
			s.step()
			r := s.reading()
			if i%2 == 1 { // not twice in a row: each reading is tried thrice already
				for k := range r {
					if before, ok := earlier[k]; ok {
						r[k] = before
					}
				}
			}
			counted := a.add(r)
			if counted < last || counted > s.truth {
				t.Fatalf("seed %d: %d after %d, and %d were used", seed, counted, last, s.truth)
			}
			last = counted
		}
	}
}
