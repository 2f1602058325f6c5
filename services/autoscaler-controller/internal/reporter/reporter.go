// Package reporter sends the reports that webhooks ask for, while this process leads: once for each day or week, by the
// ports Post, which delivers them, and Store, which remembers until when they were sent, so that the next leader
// does not send them again.
//
// What is remembered is written when a report was taken, or refused for good. One that is on its way when a
// term ends may come twice; it has the same id then. One that was not taken within its quarter of an hour is tried again
// an hour later, until it is time for the next one.
//
// With shards each leader reports on its own namespaces. To those who are told of all the leader of the first one
// reports, by the port Everywhere: it is one report, of all shards, and waits until each of them answers.
package reporter

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

const (
	lookEvery    = 20 * time.Second
	storeTimeout = 10 * time.Second
	finalTimeout = 500 * time.Millisecond // the next leader waits for that
	askTimeout   = 10 * time.Second
	tryAgain     = time.Hour
	// forgetAfter is after how long nobody is sent a report any more that was sent one by then.
	forgetAfter = 15 * 24 * time.Hour
)

// Source makes reports.
type Source interface {
	// Whole tells whether the history is: before that a report would say less than is known.
	Whole() bool
	Report(asked report.Asked, now time.Time) report.Report
}

// Everywhere makes a report of what all shards have seen. An error: one of them does not answer.
type Everywhere interface {
	Report(ctx context.Context, asked report.Asked) (report.Report, error)
}

// Post delivers.
type Post interface {
	Reporting() []notices.Receiver
	// Send takes a report; false: there is no such receiver any more. ended is called when it was taken (""), or why
	// it never will be; perhaps before Send returns.
	Send(to notices.Receiver, id string, r report.Report, ended func(why notices.Dropped)) bool
}

// Store remembers until when reports were sent.
type Store interface {
	Marks(ctx context.Context) (map[string]time.Time, error)
	// Mark notes it; the zero value: it is forgotten.
	Mark(ctx context.Context, key string, until time.Time) error
}

// Options are what a Reporter works with. All are needed, but for the last two.
type Options struct {
	Source     Source
	Post       Post
	Store      Store
	Log        *slog.Logger
	Own        string // the controller's namespace, whose receivers are told of all
	Ours       func(namespace string) bool
	Everywhere Everywhere // nil: there are no shards
	First      bool       // of the shards: it reports on all
}

// Reporter is that of a controller, or of a shard of it.
type Reporter struct {
	Options
	wake chan struct{}

	mu    sync.Mutex
	ended map[string]end // since they were last looked at
}

// end is what became of a report.
type end struct {
	until time.Time
	again bool // it is tried again
}

// term is what is known in a term of leadership.
type term struct {
	sent   map[string]time.Time // until when, by key; nil: it is not read yet
	dirty  map[string]bool      // of these, what is to be written
	under  map[string]bool      // way
	after  map[string]time.Time // before which it is not tried again
	failed bool                 // the last time that something was to be read or written: it is said once
	silent bool                 // not all shards answered the last time: likewise
}

// New makes one.
func New(o Options) *Reporter {
	return &Reporter{Options: o, wake: make(chan struct{}, 1), ended: map[string]end{}}
}

// Lead sends reports until ctx ends.
func (r *Reporter) Lead(ctx context.Context) {
	r.take() // what ended meanwhile is another term's
	t := &term{dirty: map[string]bool{}, under: map[string]bool{}, after: map[string]time.Time{}}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			r.look(ctx, t, time.Now())
		case <-r.wake:
		case <-ctx.Done():
			r.settle(t, time.Now())
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalTimeout)
			defer cancel()
			r.write(ctx, t)
			return
		}
		r.settle(t, time.Now())
		r.write(ctx, t)
	}
}

// look sends what is due.
func (r *Reporter) look(ctx context.Context, t *term, now time.Time) {
	receivers := r.Post.Reporting()
	if len(receivers) == 0 || !r.Source.Whole() || !r.read(ctx, t, now) {
		return
	}
	for _, to := range receivers {
		if ctx.Err() != nil {
			return
		}
		if r.tells(to) {
			r.send(ctx, t, to, now)
		}
	}
}

// tells is whether it is for this one to report to a receiver.
func (r *Reporter) tells(to notices.Receiver) bool {
	if to.Namespace == r.Own {
		return r.Everywhere == nil || r.First
	}
	return r.Ours(to.Namespace)
}

func (r *Reporter) send(ctx context.Context, t *term, to notices.Receiver, now time.Time) {
	asked := report.Asked{Deployments: to.Deployments}
	if to.Namespace != r.Own {
		asked.Namespace = to.Namespace
	}
	asked.From, asked.To = to.Period(now)
	key := to.ReportKey()
	if t.under[key] || now.Before(t.after[key]) || !t.sent[key].Before(asked.To) {
		return
	}
	made, err := r.compose(ctx, asked, now)
	if err != nil {
		if !t.silent && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "a report on all shards cannot be made now; it is tried again", "webhook", to.Name, "to", asked.To, "error", err)
		}
		t.silent = true
		return
	}
	if to.Namespace == r.Own {
		t.silent = false
	}
	t.under[key] = true
	sent := r.Post.Send(to, to.ReportID(asked.To), made, func(why notices.Dropped) {
		r.mu.Lock()
		r.ended[key] = end{asked.To, why == notices.DroppedAged || why == notices.DroppedFull}
		r.mu.Unlock()
		select {
		case r.wake <- struct{}{}:
		default:
		}
	})
	if !sent {
		delete(t.under, key)
		return
	}
	r.Log.Info("report", "namespace", to.Namespace, "webhook", to.Name, "from", asked.From, "to", asked.To)
}

// compose makes a report: of what this one has seen, or all have.
func (r *Reporter) compose(ctx context.Context, asked report.Asked, now time.Time) (report.Report, error) {
	if asked.Namespace != "" || r.Everywhere == nil {
		return r.Source.Report(asked, now), nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return r.Everywhere.Report(ctx, asked) //nolint:wrapcheck // it says who does not answer
}

// take is what has ended since it was last asked.
func (r *Reporter) take() map[string]end {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.ended
	r.ended = map[string]end{}
	return all
}

// settle takes note of what has ended.
func (r *Reporter) settle(t *term, now time.Time) {
	for key, e := range r.take() {
		if !t.under[key] { // it was sent in another term
			continue
		}
		delete(t.under, key)
		if e.again {
			t.after[key] = now.Add(tryAgain)
			continue
		}
		delete(t.after, key)
		t.sent[key], t.dirty[key] = e.until, true
	}
}

// read reads what the leader before had sent; false: it cannot be read now.
func (r *Reporter) read(ctx context.Context, t *term, now time.Time) bool {
	if t.sent != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	sent, err := r.Store.Marks(ctx)
	if r.said(ctx, t, "which reports were sent is not read; it is tried again", err); err != nil {
		return false
	}
	t.sent = sent
	for key, until := range sent {
		if now.Sub(until) > forgetAfter {
			t.sent[key], t.dirty[key] = time.Time{}, true
		}
	}
	return true
}

// write writes what was sent; what cannot be written is tried again.
func (r *Reporter) write(ctx context.Context, t *term) {
	for key := range t.dirty {
		calling, cancel := context.WithTimeout(ctx, storeTimeout)
		err := r.Store.Mark(calling, key, t.sent[key])
		cancel()
		if r.said(ctx, t, "that a report was sent is not kept; it is tried again", err); err != nil {
			return
		}
		delete(t.dirty, key)
	}
}

// said logs a failure once in a row.
func (r *Reporter) said(ctx context.Context, t *term, what string, err error) {
	if err != nil && !t.failed && ctx.Err() == nil {
		r.Log.WarnContext(ctx, what, "error", err)
	}
	t.failed = err != nil
}
