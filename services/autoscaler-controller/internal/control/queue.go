package control

import (
	"time"

	"k8s.io/client-go/util/workqueue"
)

// queue hands out keys that have work to do, each to one worker at a time; a key that is added while
// it is worked on is handed out again afterwards. It is bounded by the number of keys.
type queue[K comparable] struct {
	workqueue.TypedRateLimitingInterface[K]
}

// The pauses of a status that could not be written. How long a decision is waited with that failed
// is lifecycle's.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second
)

func newQueue[K comparable]() queue[K] {
	return queue[K]{workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[K](firstRetry, lastRetry))}
}

// at asks for work at a moment.
func (q queue[K]) at(k K, moment time.Time) {
	if !moment.IsZero() {
		q.AddAfter(k, time.Until(moment))
	}
}

// consume works until the queue is shut down.
func (q queue[K]) consume(work func(K)) {
	for {
		k, ended := q.Get()
		if ended {
			return
		}
		work(k)
		q.Done(k)
	}
}
