package control

import "k8s.io/client-go/util/workqueue"

// byUrgency is the order of a queue of which some come first. What is already in it and becomes urgent
// goes ahead.
type byUrgency[K comparable] struct {
	urgent func(K) bool
	ahead  map[K]bool // of each key that is in it: whether it is among the first
	first  []K
	rest   []K // may name keys that went ahead
}

var _ workqueue.Queue[string] = (*byUrgency[string])(nil)

func newByUrgency[K comparable](urgent func(K) bool) *byUrgency[K] {
	return &byUrgency[K]{urgent: urgent, ahead: map[K]bool{}}
}

// Push implements workqueue.Queue.
func (q *byUrgency[K]) Push(k K) {
	first := q.urgent(k)
	q.ahead[k] = first
	if first {
		q.first = append(q.first, k)
	} else {
		q.rest = append(q.rest, k)
	}
}

// Touch implements workqueue.Queue.
func (q *byUrgency[K]) Touch(k K) {
	if first, in := q.ahead[k]; in && !first && q.urgent(k) {
		q.ahead[k] = true
		q.first = append(q.first, k)
	}
}

// Len implements workqueue.Queue.
func (q *byUrgency[K]) Len() int { return len(q.ahead) }

// Pop implements workqueue.Queue. There is a key.
func (q *byUrgency[K]) Pop() K {
	list := &q.rest
	if len(q.first) > 0 {
		list = &q.first
	}
	for {
		k := (*list)[0]
		*list = (*list)[1:]
		if first, in := q.ahead[k]; in && first == (list == &q.first) {
			delete(q.ahead, k)
			return k
		}
	}
}
