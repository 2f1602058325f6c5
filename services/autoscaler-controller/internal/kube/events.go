package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// How events are sent. client-go's recorder is not used: it drops what is more than 25 of one object, and
// what does not fit its queue, whatever it says, and tells nobody.
const (
	eventSenders  = 4
	eventQPS      = 50
	eventBurst    = 100
	eventFlush    = 3 * time.Second // at the end, for what has not been sent
	eventReminder = 10 * time.Minute
	component     = "autoscaler-controller"
)

// EventMeter counts events. Its methods do not wait.
type EventMeter interface {
	EventWritten(repeat bool)
	EventDropped(why string, minor bool)
}

// Events are sent to the API server in the background.
type Events struct {
	sink  typedcorev1.EventsGetter
	log   *slog.Logger
	meter EventMeter
	wake  chan struct{}

	mu     sync.Mutex
	queue  *eventQueue
	said   map[string]time.Time // when it was last logged that events are dropped, by why
	serial int64                // of the last event's name
}

// NewEvents sends events until ctx ends, and what is left then a little longer.
func NewEvents(ctx context.Context, c *Clients, log *slog.Logger, meter EventMeter) *Events {
	return newEvents(ctx, c.Events, log, meter)
}

func newEvents(ctx context.Context, sink typedcorev1.EventsGetter, log *slog.Logger, meter EventMeter) *Events {
	e := &Events{sink: sink, log: log, meter: meter, wake: make(chan struct{}, 1), said: map[string]time.Time{}}
	e.queue = newEventQueue(e.dropped)
	for range eventSenders {
		go e.run(ctx)
	}
	return e
}

// Add takes an event. It does not wait.
func (e *Events) Add(event Event) {
	e.mu.Lock()
	e.queue.add(event, time.Now())
	e.mu.Unlock()
	e.wakeOne()
}

// Waiting is how many events are to be written.
func (e *Events) Waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.queue.waiting()
}

func (e *Events) wakeOne() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// dropped counts an event that was dropped, and says so once in a while. mu is held.
func (e *Events) dropped(why string, minor bool) {
	e.meter.EventDropped(why, minor)
	if now := time.Now(); now.Sub(e.said[why]) >= eventReminder {
		e.said[why] = now
		e.log.Warn("events are dropped", "why", why, "minor", minor)
	}
}

func (e *Events) run(ctx context.Context) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	end := context.AfterFunc(ctx, func() { time.AfterFunc(eventFlush, cancel) })
	defer end()
	for sending.Err() == nil {
		e.mu.Lock()
		next, wait := e.queue.take(time.Now())
		e.mu.Unlock()
		if next != nil {
			e.wakeOne() // another one may have more to do
			e.send(sending, next)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		e.sleep(ctx, wait)
	}
}

// sleep waits until something is added, or for as long as nothing is due; 0: for something alone.
func (e *Events) sleep(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-e.wake:
	case <-due:
	case <-ctx.Done():
	}
}

// send writes one.
func (e *Events) send(ctx context.Context, next *entry) {
	e.mu.Lock()
	made, repeat := e.object(next), next.name != ""
	e.mu.Unlock()
	ctx, cancel := Bounded(ctx)
	defer cancel()
	client := e.sink.Events(made.Namespace)
	var err error
	if repeat {
		_, err = client.Patch(ctx, made.Name, types.MergePatchType, repeated(made), metav1.PatchOptions{})
	} else {
		_, err = client.Create(ctx, made, metav1.CreateOptions{})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil:
		e.meter.EventWritten(repeat)
		e.queue.wrote(next, made.Name, now)
	case repeat && apierrors.IsNotFound(err):
		e.queue.gone(next)
	case apierrors.IsNotFound(err), apierrors.IsInvalid(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		e.queue.lose(next, DroppedRefused)
	default:
		e.queue.failed(next, apierrors.ReasonForError(err) != metav1.StatusReasonUnknown, now)
	}
}

// object is an event as it is written. mu is held.
func (e *Events) object(next *entry) *corev1.Event {
	kind := corev1.EventTypeNormal
	if next.Warning {
		kind = corev1.EventTypeWarning
	}
	name := next.name
	if name == "" {
		const longest = 230 // of 253, and the serial number
		e.serial = max(e.serial+1, next.last.UnixNano())
		name = fmt.Sprintf("%s.%x", next.About.Name[:min(len(next.About.Name), longest)], e.serial)
	}
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name, Namespace: next.About.Namespace},
		InvolvedObject: next.About, Reason: next.Reason, Message: next.Message, Type: kind, Count: next.count,
		FirstTimestamp: metav1.NewTime(next.first), LastTimestamp: metav1.NewTime(next.last),
		Source: corev1.EventSource{Component: component}, ReportingController: component,
	}
}

// repeated is the merge patch that counts a repeat.
func repeated(e *corev1.Event) []byte {
	body, err := json.Marshal(map[string]any{"count": e.Count, "lastTimestamp": e.LastTimestamp})
	if err != nil {
		return nil // never: a number and a time
	}
	return body
}
