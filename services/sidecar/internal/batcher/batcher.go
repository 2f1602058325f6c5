// Package batcher takes pushes of many pods and has them sent on together, about once a second or when
// there are enough for a batch. Where they come from and go to stands behind ports. While nobody takes
// them the newest of each pod waits; when that has been so for longer than values count, the pods are
// told, and keep what they measure.
package batcher

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batch"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
)

// Outcome is what became of a batch.
type Outcome struct {
	Accepted, Refused int
	Refusal           string // why the first of those refused was
}

// Sender brings a batch to the controller. The error says that nothing of it was taken; it may be a
// schedule.RefusedError, after which it is not tried again, or a schedule.BusyError.
type Sender[T any] interface {
	SendBatch(ctx context.Context, items []batch.Item[T]) (Outcome, error)
}

// Options say what the batcher works with.
type Options[T any] struct {
	Sender   Sender[T]
	Log      *slog.Logger
	Every    time.Duration // between two flushes
	Size     int           // items of a batch at most; so many are sent at once
	Most     int           // pods that may wait
	Patience time.Duration // how long nothing may be taken before pods are told
	Backoff  retry.Backoff
	Random   func() float64
}

// State is what waits, and what became of the rest.
type State struct {
	batch.Counts
	Waiting                           int
	Taken, Accepted, Refused, Batches int64
	Failures                          int64
	LastError                         string // of the last batch; "" when it went well
}

// Batcher takes pushes and sends them on.
type Batcher[T any] struct {
	o      Options[T]
	enough chan struct{} // holds one when a batch is full

	mu     sync.Mutex
	queue  *batch.Queue[T]
	since  time.Time // nothing is taken; zero: the last batch was
	failed int       // in a row
	state  State
}

// New makes a batcher; Run has it send.
func New[T any](o Options[T]) *Batcher[T] {
	return &Batcher[T]{o: o, enough: make(chan struct{}, 1), queue: batch.NewQueue[T](o.Most)}
}

// Put takes a push; false when nobody has taken any for too long. One that can be tried is always taken.
func (b *Batcher[T]) Put(i batch.Item[T], now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.since.IsZero() && now.Sub(b.since) > b.o.Patience && b.queue.Len() > 0 {
		return false
	}
	b.state.Taken++
	b.queue.Put(i)
	if b.queue.Len() >= b.o.Size {
		select {
		case b.enough <- struct{}{}:
		default:
		}
	}
	return true
}

// State is what is known now.
func (b *Batcher[T]) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state
	s.Counts, s.Waiting = b.queue.Counts(), b.queue.Len()
	return s
}

// Away is since when nothing is taken; zero: the last batch was.
func (b *Batcher[T]) Away() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since
}

// Run sends until ctx ends, and then once more what waits.
func (b *Batcher[T]) Run(ctx context.Context) {
	timer := time.NewTimer(b.every())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.o.Every)
			defer cancel()
			b.flush(last)
			return
		case <-timer.C:
		case <-b.due():
		}
		timer.Reset(b.flush(ctx))
	}
}

// due is ready when a batch is full; while the controller is away nothing is due early.
func (b *Batcher[T]) due() <-chan struct{} {
	if !b.Away().IsZero() {
		return nil
	}
	return b.enough
}

// every is the time to the next flush: collectors that started together do not flush together.
func (b *Batcher[T]) every() time.Duration {
	return time.Duration(float64(b.o.Every) * (0.9 + 0.2*b.o.Random()))
}

// flush sends all that waits, and returns how long to wait for the next time.
func (b *Batcher[T]) flush(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		b.mu.Lock()
		items := b.queue.Take(b.o.Size, time.Now())
		b.mu.Unlock()
		if len(items) == 0 {
			break
		}
		outcome, err := b.o.Sender.SendBatch(ctx, items)
		if pause, ok := b.sent(items, outcome, err); !ok {
			return pause
		}
	}
	return b.every()
}

// sent takes note of what became of a batch; not ok: pause before the next try.
func (b *Batcher[T]) sent(items []batch.Item[T], o Outcome, err error) (pause time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && !schedule.Final(err) {
		return b.fail(items, err), false
	}
	if b.failed > 0 {
		b.o.Log.Info("taken again", "away", time.Since(b.since).Round(time.Second))
	}
	b.failed, b.since, b.state.LastError = 0, time.Time{}, ""
	if err != nil {
		o = Outcome{Refused: len(items), Refusal: err.Error()}
	}
	b.state.Batches++
	b.state.Accepted += int64(o.Accepted)
	b.state.Refused += int64(o.Refused)
	if o.Refused > 0 {
		b.o.Log.Warn("pushes were refused", "refused", o.Refused, "of", len(items), "first", o.Refusal)
	}
	return 0, true
}

func (b *Batcher[T]) fail(items []batch.Item[T], err error) time.Duration {
	if b.failed == 0 {
		b.o.Log.Warn("not sent", "error", err, "waiting", len(items))
		b.since = time.Now()
	}
	b.failed++
	b.state.Failures++
	b.state.LastError = err.Error()
	b.queue.Return(items)
	pause := b.o.Backoff.Full(b.failed, b.o.Random)
	if busy, ok := errors.AsType[*schedule.BusyError](err); ok {
		pause += min(busy.After, b.o.Backoff.Most)
	}
	return pause
}
