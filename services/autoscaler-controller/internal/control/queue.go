package control

import (
	"sync"
	"time"
)

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// queue hands out keys that need work. A key that is added while it waits is handed out once; one
// that is added while it is worked on is handed out again afterwards, and never to two workers at
// a time. It is bounded by the number of keys.
type queue[K comparable] struct {
	mu       sync.Mutex
	ready    *sync.Cond
	waiting  []K
	queued   map[K]bool
	working  map[K]bool
	timers   map[K]alarm
	failures map[K]int
	closed   bool
}

type alarm struct {
	at    time.Time
	timer *time.Timer
}

func newQueue[K comparable]() *queue[K] {
	q := &queue[K]{queued: map[K]bool{}, working: map[K]bool{}, timers: map[K]alarm{}, failures: map[K]int{}}
	q.ready = sync.NewCond(&q.mu)
	return q
}

// add asks for work on k now.
func (q *queue[K]) add(k K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.queued[k] {
		return
	}
	q.queued[k] = true
	if !q.working[k] {
		q.waiting = append(q.waiting, k)
		q.ready.Signal()
	}
}

// at asks for work on k at a moment. Of several moments the earliest counts; the work then says
// when to come next.
func (q *queue[K]) at(k K, moment time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if t, ok := q.timers[k]; ok {
		if !moment.Before(t.at) {
			return
		}
		t.timer.Stop()
	}
	q.timers[k] = alarm{moment, time.AfterFunc(time.Until(moment), func() {
		q.mu.Lock()
		delete(q.timers, k)
		q.mu.Unlock()
		q.add(k)
	})}
}

// retry asks for work on k after a pause that doubles with every failure.
func (q *queue[K]) retry(k K) {
	q.mu.Lock()
	n := q.failures[k]
	q.failures[k] = n + 1
	q.mu.Unlock()
	pause := lastRetry
	if n < 16 {
		pause = min(lastRetry, firstRetry<<n)
	}
	q.at(k, time.Now().Add(pause))
}

// failed is how often the work on k has failed in a row.
func (q *queue[K]) failed(k K) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failures[k]
}

// succeeded forgets the failures of k.
func (q *queue[K]) succeeded(k K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.failures, k)
}

// forget drops all that is pending for k.
func (q *queue[K]) forget(k K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.failures, k)
	if t, ok := q.timers[k]; ok {
		t.timer.Stop()
		delete(q.timers, k)
	}
}

// get waits for a key; false when the queue was closed. done must be called after the work.
func (q *queue[K]) get() (K, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.ready.Wait()
	}
	if q.closed {
		var none K
		return none, false
	}
	k := q.waiting[0]
	q.waiting = q.waiting[1:]
	delete(q.queued, k)
	q.working[k] = true
	return k, true
}

func (q *queue[K]) done(k K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.working, k)
	if q.queued[k] {
		q.waiting = append(q.waiting, k)
		q.ready.Signal()
	}
}

func (q *queue[K]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, t := range q.timers {
		t.timer.Stop()
	}
	clear(q.timers)
	q.ready.Broadcast()
}
