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

// The pauses after a status that could not be written, or a Deployment that could not be restored. How
// long a decision is waited with that failed is lifecycle's.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// newQueue makes a queue, measured under its name. order is nil for the order of arrival.
func newQueue[K comparable](name string, measured workqueue.MetricsProvider, order workqueue.Queue[K]) queue[K] {
	if measured == nil {
		name = "" // one without a name measures nothing
	}
	return queue[K]{workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[K](firstRetry, lastRetry),
		workqueue.TypedRateLimitingQueueConfig[K]{
			Name: name, MetricsProvider: measured,
			DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[K]{
				Name: name, MetricsProvider: measured,
				Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[K]{Name: name, MetricsProvider: measured, Queue: order}),
			}),
		})}
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
