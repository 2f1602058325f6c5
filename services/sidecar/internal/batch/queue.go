// Package batch keeps what the pods of a node pushed until it is sent on together. It is pure. Of each
// pod only the newest push matters, so a queue is never longer than there are pods; and it is bounded.
package batch

import "time"

// Pod names a pod.
type Pod struct{ Namespace, Name string }

// Item is one push: of whom, when it was measured, and until when it counts.
type Item[T any] struct {
	Pod   Pod
	At    time.Time
	Until time.Time
	Push  T
}

// Counts is what became of pushes that were not sent.
type Counts struct {
	Superseded int64 // a newer one of the pod came before
	Crowded    int64 // too many pods wait
	Expired    int64 // they counted no longer when it was their turn
}

// Queue is what waits, in the order in which the pods came. It is not for several goroutines at once.
type Queue[T any] struct {
	most   int
	items  map[Pod]Item[T]
	order  []Pod // each pod of items once; those from next on wait
	next   int
	counts Counts
}

// NewQueue makes a queue of at most so many pods.
func NewQueue[T any](most int) *Queue[T] { return &Queue[T]{most: most, items: map[Pod]Item[T]{}} }

// Len is how many wait.
func (q *Queue[T]) Len() int { return len(q.items) }

// Counts is what became of those that were not sent.
func (q *Queue[T]) Counts() Counts { return q.counts }

// Put adds a push, in the place of an older one of the pod. Where too many wait the longest waiting goes.
func (q *Queue[T]) Put(i Item[T]) {
	if known, ok := q.items[i.Pod]; ok {
		q.counts.Superseded++
		if !i.At.Before(known.At) {
			q.items[i.Pod] = i
		}
		return
	}
	if len(q.items) >= q.most {
		q.pop()
		q.counts.Crowded++
	}
	q.items[i.Pod] = i
	q.order = append(q.order, i.Pod)
}

// Take takes out at most n that still count.
func (q *Queue[T]) Take(n int, now time.Time) []Item[T] {
	taken := make([]Item[T], 0, min(n, len(q.items)))
	for len(taken) < n && len(q.items) > 0 {
		i := q.pop()
		if i.Until.Before(now) {
			q.counts.Expired++
			continue
		}
		taken = append(taken, i)
	}
	return taken
}

// Return puts back what could not be sent. What came meanwhile is newer.
func (q *Queue[T]) Return(items []Item[T]) {
	for _, i := range items {
		if _, newer := q.items[i.Pod]; newer {
			q.counts.Superseded++
			continue
		}
		q.Put(i)
	}
}

func (q *Queue[T]) pop() Item[T] {
	pod := q.order[q.next]
	if q.next++; q.next == len(q.order) || q.next > q.most {
		q.order = append(q.order[:0], q.order[q.next:]...)
		q.next = 0
	}
	i := q.items[pod]
	delete(q.items, pod)
	return i
}
