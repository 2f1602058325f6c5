package control

import (
	"slices"
	"sync"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// How many applications are applied to at a time, start calls aside, which wait for nobody. A call that
// hangs takes its time-out, so what fails, and a single namespace, may not have all places.
const (
	maxApplies          = 256
	maxNamespaceApplies = 64
	maxFailingApplies   = 64 // of those whose last try has failed
)

// slots are the places in which decisions are applied. Who finds none waits its turn: first come, first
// served within a namespace, and the namespaces one after the other.
type slots struct {
	mu         sync.Mutex
	taken      map[fleet.Key]lane
	failing    int
	namespaces map[string]int
	waits      map[fleet.Key]lane
	waiting    map[lane][]fleet.Key
	turn       []lane // with somebody waiting
}

// lane is a queue before the places.
type lane struct {
	namespace string
	failing   bool
}

func newSlots() *slots {
	return &slots{taken: map[fleet.Key]lane{}, namespaces: map[string]int{}, waits: map[fleet.Key]lane{}, waiting: map[lane][]fleet.Key{}}
}

// take gives a place to an application, or puts it in the queue. One that has a place already keeps it.
func (s *slots) take(k fleet.Key, failing bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, has := s.taken[k]; has {
		return true
	}
	if _, waits := s.waits[k]; waits {
		return false
	}
	l := lane{k.Namespace, failing}
	if s.fits(l) { // then nobody waits in this lane
		s.occupy(k, l)
		return true
	}
	if len(s.waiting[l]) == 0 {
		s.turn = append(s.turn, l)
	}
	s.waits[k], s.waiting[l] = l, append(s.waiting[l], k)
	return false
}

// leave gives back an application's place, or its place in the queue. It returns who has one now that
// waited.
func (s *slots) leave(k fleet.Key) (next []fleet.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, waits := s.waits[k]; waits {
		delete(s.waits, k)
		s.queue(l, slices.DeleteFunc(s.waiting[l], func(other fleet.Key) bool { return other == k }))
	}
	l, has := s.taken[k]
	if !has {
		return nil
	}
	delete(s.taken, k)
	if s.namespaces[l.namespace]--; s.namespaces[l.namespace] == 0 {
		delete(s.namespaces, l.namespace)
	}
	if l.failing {
		s.failing--
	}
	for l, ok := s.next(); ok; l, ok = s.next() {
		first := s.waiting[l][0]
		delete(s.waits, first)
		s.turn = append(slices.DeleteFunc(s.turn, func(other lane) bool { return other == l }), l)
		s.queue(l, s.waiting[l][1:])
		s.occupy(first, l)
		next = append(next, first)
	}
	return next
}

// next is the lane whose turn it is; false when nobody waits for whom there is a place. What fails comes
// after the rest.
func (s *slots) next() (lane, bool) {
	for _, failing := range []bool{false, true} {
		for _, l := range s.turn {
			if l.failing == failing && s.fits(l) {
				return l, true
			}
		}
	}
	return lane{}, false
}

func (s *slots) fits(l lane) bool {
	return len(s.taken) < maxApplies && s.namespaces[l.namespace] < maxNamespaceApplies && (!l.failing || s.failing < maxFailingApplies)
}

func (s *slots) occupy(k fleet.Key, l lane) {
	s.taken[k] = l
	s.namespaces[l.namespace]++
	if l.failing {
		s.failing++
	}
}

// queue sets who waits in a lane.
func (s *slots) queue(l lane, waiting []fleet.Key) {
	if len(waiting) > 0 {
		s.waiting[l] = waiting
		return
	}
	delete(s.waiting, l)
	s.turn = slices.DeleteFunc(s.turn, func(other lane) bool { return other == l })
}

// count tells how many have a place, and how many wait.
func (s *slots) count() (taken, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken), len(s.waits)
}
