package main

import (
	"testing"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/apiserver"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
)

func TestSightings_TellOfTheFirstCountThatFits(t *testing.T) {
	s, a := newSightings(), objects.New(7)
	seen := s.await(a, func(replicas int) bool { return replicas > 10 })
	for _, d := range []apiserver.Scaled{{Name: "another", Replicas: 11}, {Name: a.Name, Replicas: 10}} {
		s.see(d)
		if len(seen) != 0 {
			t.Errorf("told of %+v", d)
		}
	}
	for range 3 { // and of no other
		s.see(apiserver.Scaled{Name: a.Name, Replicas: 11})
	}
	if len(seen) != 1 {
		t.Errorf("told %d times", len(seen))
	}
	forgotten := s.await(a, func(int) bool { return true })
	s.forget(a)
	s.see(apiserver.Scaled{Name: a.Name})
	if len(forgotten) != 0 {
		t.Error("told of one that nobody waits for")
	}
}
