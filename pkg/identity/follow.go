package identity

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
)

// How often a Follower asks.
const (
	followEvery = time.Minute
	followSoon  = 5 * time.Second // at least between two, also when a key is missing
)

// followAgain is how it waits after a failure.
var followAgain = retry.Backoff{First: 500 * time.Millisecond, Most: 15 * time.Second}

// Follower keeps what an issuer publishes, as somebody else has read it: who asks it never waits for the
// other side, and what was heard goes on to count while that one is away.
type Follower struct {
	ask Fetch
	log *slog.Logger
	now chan struct{} // somebody misses a key

	mu    sync.Mutex
	last  Published
	known bool
	err   error
}

// NewFollower makes one; Run has it ask.
func NewFollower(ask Fetch, log *slog.Logger) *Follower {
	return &Follower{ask: ask, log: log, now: make(chan struct{}, 1), err: errors.New("they were not asked for yet")}
}

// Fetch is what was heard last. It never blocks, and has the next question asked soon.
func (f *Follower) Fetch(context.Context) (Published, error) {
	select {
	case f.now <- struct{}{}:
	default:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known {
		return Published{}, f.err
	}
	return f.last, nil
}

// Known tells whether anything was heard.
func (f *Follower) Known() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known
}

// Run asks until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		asking, cancel := context.WithTimeout(ctx, fetchTimeout)
		published, err := f.ask(asking)
		cancel()
		if err == nil {
			_, err = read(published) // what is not good does not replace what was
		}
		if ctx.Err() != nil {
			return
		}
		f.heard(published, err, failures == 0)
		if err != nil {
			failures++
			retry.Pause(ctx, followAgain.Near(failures, rand.Float64))
			continue
		}
		failures = 0
		if retry.Pause(ctx, followSoon) {
			f.wait(ctx, followEvery-followSoon)
		}
	}
}

func (f *Follower) heard(published Published, err error, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		if !f.known {
			f.log.Info("the keys of the tokens' issuer are known", "issuer", published.Issuer)
		}
		f.last, f.known, f.err = published, true, nil
		return
	}
	f.err = err
	if first {
		f.log.Warn("the keys of the tokens' issuer are not heard; those heard before count on", "known", f.known, "error", err)
	}
}

// wait waits until somebody misses a key, or for d.
func (f *Follower) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.now:
	case <-ctx.Done():
	}
}
