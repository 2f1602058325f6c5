// Package receivers is the adapter to those who are told what happens without looking: the Secrets in which the
// owners of namespaces name them, and the calls by which they are told. What is told to whom, in which words and
// at what pace is decided by notices.
//
// The Secret has one name in all namespaces (Name), so that the right to read it is a right to nothing else. What it
// says is secret, also what is wrong with it: neither an event nor the log has an address or a key.
//
// Only who leads has anything to tell; all follow the Secrets, so that the next one can go on.
package receivers

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

// Where receivers are named, in each namespace.
const (
	Name = "nemesis-notifications"
	key  = "notifications.yaml"
)

// flush is how long what is to be told at the end is still told.
const flush = 3 * time.Second

// Meter counts. Its methods do not wait.
type Meter interface {
	NoticeSent(format notices.Format, taken bool)
	NoticeDropped(why notices.Dropped)
}

// Events takes events.
type Events interface{ Add(e kube.Event) }

// Options are what a Post works with. All are needed, but for Within.
type Options struct {
	Clients   *kube.Clients
	Log       *slog.Logger
	Namespace string   // the controller's own, whose receivers are told of all
	Within    string   // the only namespace that is watched beside it; "": all
	Networks  Networks // none: nobody is told anything
	Events    Events   // where a Secret that cannot be read is told of, or a receiver that does not take its notices
	Meter     Meter
}

// Post tells receivers. Make it with New.
type Post struct {
	Options
	codec  *codec
	sender *sender
	wake   chan struct{}

	mu      sync.Mutex
	outbox  *notices.Outbox
	secrets map[string]secret // by namespace
}

// secret is what is known of a Secret.
type secret struct {
	about corev1.ObjectReference
	fault string // why it is not followed; "" when it is
}

// New makes it.
func New(o Options) (*Post, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	p := &Post{Options: o, codec: c, sender: newSender(o.Networks), wake: make(chan struct{}, 1), secrets: map[string]secret{}}
	p.outbox = notices.New(o.Namespace, func(why notices.Dropped, _ notices.Receiver) { o.Meter.NoticeDropped(why) })
	return p, nil
}

// Tell takes what happened to an application. It does not wait.
func (p *Post) Tell(a fleet.Autoscaler, e fleet.Event) {
	if p.Networks.None() {
		return
	}
	now := time.Now()
	n := notices.Notice{
		ID: "msg_" + rand.Text(), Kind: e.News.Kind, Namespace: a.Namespace, Autoscaler: a.Name, Deployment: e.News.Deployment,
		At: now, Warning: e.Warning, Message: contract.Cut(e.News.Message), Took: e.News.Took,
		From: e.News.From, To: e.News.To,
	}
	p.mu.Lock()
	added := p.outbox.Add(n, now)
	p.mu.Unlock()
	if added {
		p.stir()
	}
}

// Reporting are the receivers that are sent reports.
func (p *Post) Reporting() []notices.Receiver {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outbox.Reporting()
}

// Send takes a report for a receiver; false: it is there no more. ended is called when it was taken (""), or why it never
// will be. Neither waits.
func (p *Post) Send(to notices.Receiver, id string, r report.Report, ended func(why notices.Dropped)) bool {
	p.mu.Lock()
	added := p.outbox.Send(notices.Notice{ID: id, Kind: notices.Reported, Namespace: to.Namespace, At: time.Now(), Report: &r, Ended: ended}, to)
	p.mu.Unlock()
	if added {
		p.stir()
	}
	return added
}

func (p *Post) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Waiting is how many notices wait, or are under way, each counted for each of its receivers.
func (p *Post) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outbox.Waiting()
}

// Secrets is how many Secrets are followed, and how many cannot be read.
func (p *Post) Secrets() (followed, malformed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.secrets {
		if s.fault != "" {
			malformed++
			continue
		}
		followed++
	}
	return followed, malformed
}

// Run tells until ctx ends, and what is due then for a moment more. It never stops anything else.
func (p *Post) Run(ctx context.Context) error {
	if p.Networks.None() {
		return nil
	}
	var running sync.WaitGroup
	defer running.Wait()
	if err := p.watch(ctx, &running); err != nil {
		return err
	}
	p.work(ctx)
	return nil
}

// work makes the calls.
func (p *Post) work(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	end := context.AfterFunc(ctx, func() { time.AfterFunc(flush, cancel) })
	defer func() {
		if end() {
			cancel()
		}
	}()
	for sending.Err() == nil {
		p.mu.Lock()
		d, due, ok := p.outbox.Next(time.Now())
		waiting := p.outbox.Waiting()
		p.mu.Unlock()
		switch {
		case ok:
			running.Go(func() { p.deliver(sending, d) })
		case ctx.Err() != nil && waiting == 0:
			cancel()
		default:
			p.sleep(ctx, sending, due)
		}
	}
}

// sleep waits until something has happened, or is due.
func (p *Post) sleep(ctx, sending context.Context, due time.Time) {
	var at <-chan time.Time
	if !due.IsZero() {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		at = timer.C
	}
	over := ctx.Done()
	if ctx.Err() != nil {
		over = nil // it is at its end already
	}
	select {
	case <-p.wake:
	case <-at:
	case <-over:
	case <-sending.Done():
	}
}

// deliver makes one call, and takes note of what came of it.
func (p *Post) deliver(ctx context.Context, d notices.Delivery) {
	r := p.sender.send(ctx, d)
	p.Meter.NoticeSent(d.Receiver.Format, r.verdict == notices.Taken)
	p.mu.Lock()
	p.outbox.Done(d, r.verdict, r.after, mathrand.Float64(), time.Now()) // by chance, that not all come back at once
	about := p.secrets[d.Receiver.Namespace].about
	p.mu.Unlock()
	p.stir()
	if r.verdict == notices.Taken {
		return
	}
	p.Log.WarnContext(ctx, "notice not taken", "namespace", d.Receiver.Namespace, "webhook", d.Receiver.Name, "kind", string(d.Notice.Kind), "why", r.why, "error", r.cause)
	if about.Name != "" {
		p.Events.Add(kube.Event{About: about, Warning: true, Minor: true, Reason: "NotDelivered", Message: fmt.Sprintf("webhooks: %s: %s", d.Receiver.Name, r.why)})
	}
}
