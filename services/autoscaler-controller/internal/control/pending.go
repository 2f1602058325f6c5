package control

import (
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// pending are the statuses of which something is to be written, or could not be. Of the others nothing
// is kept.
type pending struct {
	mu               sync.Mutex
	of               map[fleet.Autoscaler]*statusNews
	failing          int // of those that are being written, whose last write failed
	urgent, ordinary budget
}

// statusNews is what is known of one.
type statusNews struct {
	since    time.Time // of the oldest news that is not written; zero: there is none
	begun    time.Time // the same, of those that are being written
	urgent   bool
	slot     time.Time // when it may be written; zero: that was not asked for
	early    bool      // the slot is one of the urgent ones
	failures int
	retry    time.Time // before which it is not tried again
	writing  bool      // after a failure
}

func newPending() *pending {
	return &pending{
		of:     map[fleet.Autoscaler]*statusNews{},
		urgent: budget{every: urgentEvery, burst: urgentBurst}, ordinary: budget{every: ordinaryEvery, burst: ordinaryBurst},
	}
}

// note takes note of news.
func (p *pending) note(a fleet.Autoscaler, urgent bool, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.get(a)
	if n.since.IsZero() || now.Before(n.since) {
		n.since = now
	}
	n.urgent = n.urgent || urgent
}

func (p *pending) get(a fleet.Autoscaler) *statusNews {
	n, ok := p.of[a]
	if !ok {
		n = &statusNews{}
		p.of[a] = n
	}
	return n
}

// first tells whether it goes ahead of others.
func (p *pending) first(a fleet.Autoscaler) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.of[a]
	return ok && n.urgent
}

// take begins with the news of one: what comes from now on is newer. It returns a moment when it is not
// to be tried before that.
func (p *pending) take(a fleet.Autoscaler, now time.Time) (news statusNews, retry time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.get(a)
	switch {
	case now.Before(n.retry):
		return *n, n.retry
	case n.failures > 0 && p.failing >= statusWriters/2:
		return *n, now.Add(time.Second)
	case n.failures > 0:
		p.failing++
		n.writing = true
	}
	news = *n
	n.begun, n.since, n.urgent = n.since, time.Time{}, false
	return news, time.Time{}
}

// reserve is when one may be written. Later than now, it is looked at again then.
func (p *pending) reserve(a fleet.Autoscaler, news statusNews, urgent bool, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.get(a)
	urgent = urgent || news.urgent
	at, early := news.slot, news.early
	switch {
	case at.IsZero() && urgent:
		at, early = p.urgent.reserve(now), true
	case at.IsZero():
		at = p.ordinary.reserve(now)
	case at.After(now) && urgent && !early:
		at, early = earlier(at, p.urgent.reserve(now)), true
	}
	n.slot, n.early = time.Time{}, false
	if at.After(now) {
		p.undo(n)
		n.urgent, n.slot, n.early = n.urgent || urgent, at, early
	}
	return at
}

// failed takes note of a failure, and says when to try again.
func (p *pending) failed(a fleet.Autoscaler, news statusNews, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.get(a)
	p.undo(n)
	n.urgent = n.urgent || news.urgent
	n.retry = now.Add(min(lastRetry, firstRetry<<min(n.failures, 16)))
	n.failures++
	return n.retry
}

// done takes note that nothing is left to be written, but what was heard since.
func (p *pending) done(a fleet.Autoscaler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.get(a)
	p.end(n)
	n.begun, n.failures, n.retry = time.Time{}, 0, time.Time{}
	if n.since.IsZero() {
		delete(p.of, a)
	}
}

func (p *pending) forget(a fleet.Autoscaler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.of[a]; ok {
		p.end(n)
		delete(p.of, a)
	}
}

// undo ends a write that did not come to be: the news is still news.
func (p *pending) undo(n *statusNews) {
	p.end(n)
	n.since, n.begun = oldest(n.begun, n.since), time.Time{}
}

func (p *pending) end(n *statusNews) {
	if n.writing {
		p.failing--
		n.writing = false
	}
}

// waiting tells how many wait to be written, and for how long the oldest does.
func (p *pending) waiting(now time.Time) (n int, age time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, news := range p.of {
		if since := oldest(news.begun, news.since); !since.IsZero() && !now.Before(since) {
			n++
			age = max(age, now.Sub(since))
		}
	}
	return n, age
}

// oldest is the earlier of two moments that are known.
func oldest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
