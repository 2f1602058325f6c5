package fleet

import "sync"

// keptStrangers is how many pods that no application has are remembered. A sidecar may speak before its
// pod is seen; it speaks again within seconds, so that only the last few matter.
const keptStrangers = 256

// strangers are the last measurements of pods that no application has. The oldest make place.
type strangers struct {
	mu   sync.Mutex
	last map[PodName][len(sources)]*Measurement
	ring []PodName // in the order in which they came; the next one to go is at next
	next int
}

func newStrangers() strangers { return strangers{last: map[PodName][len(sources)]*Measurement{}} }

// put keeps a measurement.
func (s *strangers) put(m Measurement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	said, known := s.last[m.Pod]
	if !known {
		s.enter(m.Pod)
	}
	for i, source := range sources {
		if source == m.Source {
			said[i] = &m
		}
	}
	s.last[m.Pod] = said
}

func (s *strangers) enter(pod PodName) {
	if len(s.ring) < keptStrangers {
		s.ring = append(s.ring, pod)
		return
	}
	delete(s.last, s.ring[s.next])
	s.ring[s.next] = pod
	s.next = (s.next + 1) % keptStrangers
}

// take hands out what was said of a pod that is none any more.
func (s *strangers) take(pod PodName) (list []Measurement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.last[pod] {
		if m != nil {
			list = append(list, *m)
		}
	}
	delete(s.last, pod) // its place in the ring stays, and goes when it is its turn
	return list
}
