package schedule

import "github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"

// ring holds the measurements that wait, in the order in which they were made, up to a bound.
type ring struct {
	items []pod.Measurement
	first int
	n     int
}

func newRing(size int) *ring { return &ring{items: make([]pod.Measurement, max(size, 1))} }

// push adds a measurement, and tells whether the oldest had to go for it.
func (r *ring) push(m pod.Measurement) (dropped bool) {
	if r.n == len(r.items) {
		r.pop()
		dropped = true
	}
	r.items[(r.first+r.n)%len(r.items)] = m
	r.n++
	return dropped
}

func (r *ring) oldest() (pod.Measurement, bool) {
	if r.n == 0 {
		return pod.Measurement{}, false
	}
	return r.items[r.first], true
}

func (r *ring) pop() {
	if r.n == 0 {
		return
	}
	r.items[r.first] = pod.Measurement{}
	r.first = (r.first + 1) % len(r.items)
	r.n--
}

func (r *ring) len() int { return r.n }
