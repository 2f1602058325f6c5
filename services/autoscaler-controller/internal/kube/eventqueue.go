package kube

import (
	"container/heap"
	"container/list"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The bounds of what waits to be written. Where one is reached what matters least goes first, the oldest
// of it, and is counted.
const (
	maxWaitingEvents = 10_000 // about 6 MB
	maxObjectEvents  = 32     // of one object
	keptEvents       = 4_096  // written ones of which a repeat is counted there, and not written anew
	keptFor          = 10 * time.Minute
	repeatEvery      = 10 * time.Second // a repeat is counted there this often at most
	eventAttempts    = 8                // at what the API server answers with an error; while it does not answer there is no end
	firstEventPause  = time.Second
	lastEventPause   = 30 * time.Second
)

// Why an event was dropped.
const (
	DroppedFull    = "full"    // too many wait
	DroppedObject  = "object"  // too many of one object wait
	DroppedRefused = "refused" // the API server will never take it: its namespace goes, say
	DroppedFailed  = "failed"  // it was tried often enough
)

// Event is something that happened to an object.
type Event struct {
	About   corev1.ObjectReference
	Warning bool
	Minor   bool // the first to be dropped
	Reason  string
	Message string
}

// series are the events that say the same of the same.
type series struct {
	about   corev1.ObjectReference // without its version
	warning bool
	reason  string
	message string
}

func (e Event) series() series {
	about := e.About
	about.ResourceVersion = ""
	return series{about, e.Warning, e.Reason, e.Message}
}

// place is where an entry is.
type place int

const (
	nowhere place = iota // it is not known, or no more
	queued               // to be written
	delayed              // to be written at a moment
	sending
	idle // it was written, and waits for a repeat
)

// entry is a series of which something is to be written, or was a moment ago.
type entry struct {
	Event
	first, last time.Time
	count       int32
	name        string // of what was written; "" before
	attempts    int
	again       bool // it has repeated while it was being written

	place place
	due   time.Time     // of what is delayed
	at    int           // its index among the delayed
	in    *list.Element // of the list that it is in
}

// eventQueue is what waits to be written: first what matters, then the rest, each in the order of its
// coming. It is for one goroutine at a time.
type eventQueue struct {
	known   map[series]*entry
	objects map[corev1.ObjectReference]int // how many of each wait, or are being written
	lists   [2]list.List                   // what matters, and the minor ones
	delayed byDue
	written list.List // the idle ones, the one written last comes last
	drop    func(why string, minor bool)
}

func newEventQueue(drop func(why string, minor bool)) *eventQueue {
	return &eventQueue{known: map[series]*entry{}, objects: map[corev1.ObjectReference]int{}, drop: drop}
}

// waiting is how many wait, or are being written.
func (q *eventQueue) waiting() int { return len(q.known) - q.written.Len() }

// add takes an event.
func (q *eventQueue) add(e Event, now time.Time) {
	q.forget(now)
	s := e.series()
	if known, ok := q.known[s]; ok {
		known.last, known.count = now, known.count+1
		switch known.place {
		case sending:
			known.again = true
		case idle:
			q.delay(known, now.Add(repeatEvery))
		case nowhere, queued, delayed: // it is written with the count of then
		}
		return
	}
	if q.objects[s.about] >= maxObjectEvents && !q.give(DroppedObject, e.Minor, func(old *entry) bool { return old.series().about == s.about }) ||
		q.waiting() >= maxWaitingEvents && !q.give(DroppedFull, e.Minor, func(*entry) bool { return true }) {
		return
	}
	q.known[s] = &entry{Event: e, first: now, last: now, count: 1}
	q.move(q.known[s], queued)
}

// give drops the oldest of what matters least, of those that may be; false when that is a new one.
func (q *eventQueue) give(why string, minor bool, may func(*entry) bool) bool {
	for least := len(q.lists) - 1; least >= rank(minor); least-- {
		if old := q.oldest(least, may); old != nil {
			q.lose(old, why)
			return true
		}
	}
	q.drop(why, minor)
	return false
}

// oldest is the oldest of a rank of those that may be, whether it is its turn or was put off; nil: there is
// none.
func (q *eventQueue) oldest(of int, may func(*entry) bool) (found *entry) {
	for at := q.lists[of].Front(); at != nil && found == nil; at = at.Next() {
		if old := value(at); may(old) {
			found = old
		}
	}
	for _, old := range q.delayed {
		if rank(old.Minor) == of && may(old) && (found == nil || old.first.Before(found.first)) {
			found = old
		}
	}
	return found
}

func rank(minor bool) int {
	if minor {
		return 1
	}
	return 0
}

// take is what is to be written next; nil: nothing is before the duration has passed, 0: before something
// is added.
func (q *eventQueue) take(now time.Time) (*entry, time.Duration) {
	for len(q.delayed) > 0 && !q.delayed[0].due.After(now) {
		q.move(q.delayed[0], queued)
	}
	for i := range q.lists {
		if first := q.lists[i].Front(); first != nil {
			next := value(first)
			q.move(next, sending)
			return next, 0
		}
	}
	if len(q.delayed) > 0 {
		return nil, q.delayed[0].due.Sub(now)
	}
	return nil, 0
}

// wrote takes note that one stands under a name now.
func (q *eventQueue) wrote(e *entry, name string, now time.Time) {
	e.name, e.attempts = name, 0
	if e.again {
		q.delay(e, now.Add(repeatEvery))
		return
	}
	q.move(e, idle)
}

// failed takes note that one could not be written. answered tells whether the API server said so.
func (q *eventQueue) failed(e *entry, answered bool, now time.Time) {
	if e.attempts++; answered && e.attempts >= eventAttempts {
		q.lose(e, DroppedFailed)
		return
	}
	q.delay(e, now.Add(min(lastEventPause, firstEventPause<<min(e.attempts-1, 8))))
}

// gone takes note that what was written is there no more: it is written anew.
func (q *eventQueue) gone(e *entry) {
	e.name = ""
	q.move(e, queued)
}

// lose drops one.
func (q *eventQueue) lose(e *entry, why string) {
	q.move(e, nowhere)
	q.drop(why, e.Minor)
}

func (q *eventQueue) delay(e *entry, until time.Time) {
	e.due = until
	q.move(e, delayed)
}

// move takes an entry from one place to another.
func (q *eventQueue) move(e *entry, to place) {
	about := e.series().about
	switch e.place {
	case queued:
		q.lists[rank(e.Minor)].Remove(e.in)
	case delayed:
		heap.Remove(&q.delayed, e.at)
	case idle:
		q.written.Remove(e.in)
	case nowhere, sending:
	}
	if e.place != nowhere && e.place != idle {
		if q.objects[about]--; q.objects[about] == 0 {
			delete(q.objects, about)
		}
	}
	switch e.place, e.again = to, false; to {
	case queued:
		e.in = q.lists[rank(e.Minor)].PushBack(e)
	case delayed:
		heap.Push(&q.delayed, e)
	case idle:
		e.in = q.written.PushBack(e)
	case nowhere:
		delete(q.known, e.series())
	case sending:
	}
	if to != nowhere && to != idle {
		q.objects[about]++
	}
}

// forget forgets what was written long ago, and what is too many.
func (q *eventQueue) forget(now time.Time) {
	for oldest := q.written.Front(); oldest != nil; oldest = q.written.Front() {
		if q.written.Len() <= keptEvents && now.Sub(value(oldest).last) < keptFor {
			return
		}
		q.move(value(oldest), nowhere)
	}
}

func value(at *list.Element) *entry { return at.Value.(*entry) } //nolint:forcetypeassert // nothing else is in these lists

// byDue are the delayed ones, as a heap.
type byDue []*entry

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h byDue) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *byDue) Push(x any) {
	e := x.(*entry) //nolint:forcetypeassert // nothing else is in it
	e.at = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *byDue) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last], *h = nil, (*h)[:last]
	return e
}
