package main

import (
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/apiserver"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
)

// sightings are Deployments as the watch shows them: who waits for a count of one is told when it is seen.
type sightings struct {
	mu      sync.Mutex
	awaited map[string]awaited
}

type awaited struct {
	replicas func(int) bool
	seen     chan time.Time
}

func newSightings() *sightings { return &sightings{awaited: map[string]awaited{}} }

// await returns a channel that gets the moment at which a count is first seen that fits.
func (s *sightings) await(a objects.App, fits func(replicas int) bool) <-chan time.Time {
	seen := make(chan time.Time, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited[a.Name] = awaited{fits, seen}
	return seen
}

func (s *sightings) forget(a objects.App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.awaited, a.Name)
}

func (s *sightings) see(d apiserver.Scaled) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.awaited[d.Name]; ok && w.replicas(d.Replicas) {
		w.seen <- now
		delete(s.awaited, d.Name)
	}
}
