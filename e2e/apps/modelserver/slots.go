package main

import (
	"context"
	"errors"
	"sync"
)

// errQueueFull means that all slots are taken and as many requests wait as may.
var errQueueFull = errors.New("the queue is full")

// slots are the places of a batch: so many requests run at a time, a bounded number waits for
// them in the order of arrival, and no more are taken.
type slots struct {
	places chan struct{}
	queue  int

	mu      sync.Mutex
	taken   int
	waiting int
}

func newSlots(places, queue int) *slots {
	return &slots{places: make(chan struct{}, places), queue: queue}
}

// acquire returns when the caller has a slot, and then a function that must be called once to
// give it back. It fails with errQueueFull at once, or with ctx's cause when that ends before
// there is a slot.
func (s *slots) acquire(ctx context.Context) (release func(), err error) {
	if err := s.admit(); err != nil {
		return nil, err
	}
	// Senders on a full channel are served in the order in which they came.
	select {
	case s.places <- struct{}{}:
		s.count(+1, -1)
		return s.release, nil
	case <-ctx.Done():
		s.count(0, -1)
		return nil, context.Cause(ctx)
	}
}

// admit counts the caller as waiting. Room is judged by requests, not by the channel, so that two
// arrivals cannot both take the last place.
func (s *slots) admit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken+s.waiting >= cap(s.places)+s.queue {
		return errQueueFull
	}
	s.waiting++
	return nil
}

func (s *slots) count(taken, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken += taken
	s.waiting += waiting
}

func (s *slots) release() {
	s.count(-1, 0)
	<-s.places
}

// load is the number of requests that run and that wait.
func (s *slots) load() (running, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, s.waiting
}
