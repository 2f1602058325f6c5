package control

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func named(namespace string, n int) fleet.Key {
	return fleet.Key{Namespace: namespace, Deployment: fmt.Sprintf("app-%d", n)}
}

func TestSlots_ANamespaceMayNotHaveAllPlaces(t *testing.T) {
	s := newSlots()
	for i := range maxNamespaceApplies {
		if !s.take(named("a", i), false) {
			t.Fatalf("no place for the application %d", i)
		}
	}
	late := named("a", maxNamespaceApplies)
	for range 2 { // asked for twice, it waits once
		if s.take(late, false) {
			t.Error("one more has a place")
		}
	}
	if !s.take(named("b", 0), false) {
		t.Error("another namespace has none")
	}
	if next := s.leave(named("a", 0)); len(next) != 1 || next[0] != late {
		t.Errorf("the place goes to %v", next)
	}
	if !s.take(late, false) {
		t.Error("it does not keep the place that it was given")
	}
	if taken, waiting := s.count(); taken != maxNamespaceApplies+1 || waiting != 0 {
		t.Errorf("%d have a place, %d wait", taken, waiting)
	}
}

func TestSlots_WhatFailsMayNotHaveAllPlaces(t *testing.T) {
	s := newSlots()
	for i := range maxFailingApplies {
		if !s.take(named(fmt.Sprint(i), 0), true) {
			t.Fatalf("no place for the application %d", i)
		}
	}
	if s.take(named("more", 0), true) {
		t.Error("one more that fails has a place")
	}
	for i := range maxApplies - maxFailingApplies {
		if !s.take(named(fmt.Sprint(i), 1), false) {
			t.Fatalf("no place for the application %d that does not fail", i)
		}
	}
}

func TestSlots_NamespacesTakeTurns(t *testing.T) {
	s := newSlots()
	for i := range maxApplies {
		s.take(named(fmt.Sprint("full-", i), 0), false)
	}
	for i := range 10 {
		s.take(named("large", i), false)
	}
	s.take(named("small", 0), false)
	s.leave(named("full-0", 0))
	if next := s.leave(named("full-1", 0)); len(next) != 1 || next[0] != named("small", 0) {
		t.Errorf("the second place goes to %v, want the other namespace", next)
	}
}

func TestSlots_WhoGivesUpWaitsNoMore(t *testing.T) {
	s := newSlots()
	for i := range maxApplies {
		s.take(named(fmt.Sprint("full-", i), 0), false)
	}
	s.take(named("a", 0), false)
	s.take(named("a", 1), false)
	if next := s.leave(named("a", 0)); next != nil {
		t.Errorf("somebody has a place: %v", next)
	}
	if next := s.leave(named("full-0", 0)); len(next) != 1 || next[0] != named("a", 1) {
		t.Errorf("the place goes to %v", next)
	}
}

// Whatever comes and goes: no bound is passed, nobody is forgotten, and no place is left free that
// somebody waits for.
func TestSlots_NobodyIsForgotten(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s, want := newSlots(), map[fleet.Key]bool{}
	for range 50_000 {
		k := named(fmt.Sprint(random.IntN(12)), random.IntN(100))
		if random.IntN(3) > 0 {
			want[k] = true
			s.take(k, random.IntN(3) == 0)
		} else {
			delete(want, k)
			for _, next := range s.leave(k) {
				if !want[next] {
					t.Fatalf("%v has a place and asked for none", next)
				}
			}
		}
		taken, waiting := s.count()
		if taken+waiting != len(want) || taken > maxApplies || s.failing > maxFailingApplies {
			t.Fatalf("%d have a place (%d fail), %d wait, of %d", taken, s.failing, waiting, len(want))
		}
		for _, l := range s.turn {
			if s.fits(l) {
				t.Fatalf("%v waits, and there is a place", l)
			}
		}
	}
}
