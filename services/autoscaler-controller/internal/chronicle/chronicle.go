// Package chronicle writes the history of the applications while this process leads: it samples the fleet every five
// seconds, and has what outlives the process be kept, through the port Store.
//
// A leader begins with nothing, samples at once, and puts what the leader before kept before what it has seen
// as soon as that can be read; until then it keeps nothing, so that it never writes less over more. Every few minutes,
// and once more when its term ends, it keeps all it has. What a crash loses is the last of these
// minutes, and a slot that nobody saw says so.
//
// Followers have no history. They hear nothing of the traffic, and pass questions on to the leader.
package chronicle

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

const (
	// KeepEvery is how often everything is kept, by a controller without shards. With many shards it is more
	// seldom, so that all of them together do not write more often than eight would.
	KeepEvery    = 5 * time.Minute
	sharedBy     = 8
	loadTimeout  = 20 * time.Second
	loadRetry    = 10 * time.Second
	saveTimeout  = 20 * time.Second
	finalTimeout = 500 * time.Millisecond // the next leader waits for that
	// forgetFor is how long the history of an application outlives it: it may be made again, or be renamed back.
	forgetFor = time.Hour
	// loseFor is how long what has gone is held when the store cannot be told to drop it. What is kept there then stays
	// until the next leader has read it.
	loseFor = 24 * time.Hour
)

// Fleet is sampled, and says what a report says beside the history.
type Fleet interface {
	Samples(now time.Time, yield func(fleet.Sample))
	Terms(k fleet.Key, now time.Time) (fleet.Terms, bool)
}

// Store keeps histories, each as bytes, in so many places. It writes a place at a time.
type Store interface {
	// Load reads all that is kept, of all shards.
	Load(ctx context.Context, yield func(k fleet.Key, kept []byte)) error
	// Place is where an application's is kept, from 0 to Places.
	Place(k fleet.Key) int
	Places() int
	// Save keeps these in a place, beside what else is there; nil drops what is kept of one.
	Save(ctx context.Context, place int, of map[fleet.Key][]byte) error
	// Room is how many bytes a place has.
	Room() int
}

// Meter measures.
type Meter interface {
	// HistoryKept counts a place that was written, or could not be.
	HistoryKept(err error)
	// HistoryLoaded counts that what the leader before kept was read, or could not be.
	HistoryLoaded(err error)
}

// Options are what a Chronicle works with. All are needed.
type Options struct {
	Fleet  Fleet
	Store  Store
	Meter  Meter
	Log    *slog.Logger
	Shards int                         // how many there are in all
	Ours   func(namespace string) bool // which namespaces are this one's
}

// Chronicle is that of a controller, or of a shard of it.
type Chronicle struct {
	Options

	mu      sync.Mutex
	of      map[fleet.Key]*record // nil: this process does not lead
	whole   bool                  // what the leader before kept is among it
	sampled time.Time             // last
	totals  history.Savings       // of this process, in all
	cut     int                   // histories of which not all was kept the last time
}

// record is what is known of one application.
type record struct {
	history   *history.History
	seen      time.Time    // in the fleet, last
	last      fleet.Sample // whose counters only grow
	decisions int32        // since then
	asking    []string     // the rules that asked for something the last time that anything was decided
	dropped   bool         // what is kept of it is to be dropped
}

// New makes one.
func New(o Options) *Chronicle { return &Chronicle{Options: o} }

// Decided takes note of a decision.
func (c *Chronicle) Decided(r fleet.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		return
	}
	one := c.of[r.Key]
	if one == nil { // it was decided on before it was sampled
		if _, known := c.Fleet.Terms(r.Key, r.Time); !known {
			return
		}
		one = &record{history: &history.History{}, seen: r.Time}
		c.of[r.Key] = one
	}
	one.decisions++
	one.rules(r)
}

// Lead writes the history until ctx ends.
func (c *Chronicle) Lead(ctx context.Context) {
	c.mu.Lock()
	c.of, c.sampled, c.whole = map[fleet.Key]*record{}, time.Time{}, false
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.of, c.whole = nil, false
		c.mu.Unlock()
	}()
	loaded := make(chan struct{})
	var loading sync.WaitGroup
	loading.Go(func() {
		if c.load(ctx) {
			close(loaded)
		}
	})
	defer loading.Wait()

	sample := time.NewTicker(history.Every)
	defer sample.Stop()
	every := KeepEvery * time.Duration(max(1, c.Shards/sharedBy))
	keep := time.NewTicker(every / time.Duration(c.Store.Places()))
	defer keep.Stop()
	place, whole := 0, loaded
	known := false
	c.sample(time.Now())
	for {
		select {
		case <-whole:
			known, whole = true, nil
		case <-sample.C:
			c.sample(time.Now())
		case <-keep.C:
			if known {
				c.save(ctx, place, saveTimeout)
				place = (place + 1) % c.Store.Places()
			}
		case <-ctx.Done():
			if known {
				c.end(context.WithoutCancel(ctx))
			}
			return
		}
	}
}

// end keeps everything once more, as far as that goes fast.
func (c *Chronicle) end(ctx context.Context) {
	c.sample(time.Now())
	ctx, cancel := context.WithTimeout(ctx, finalTimeout)
	defer cancel()
	var saving sync.WaitGroup
	for place := range c.Store.Places() {
		saving.Go(func() { c.save(ctx, place, finalTimeout) })
	}
	saving.Wait()
}

// sample looks at every application. Who decides waits while one of them is looked at, not while all are.
func (c *Chronicle) sample(now time.Time) {
	c.mu.Lock()
	from := c.sampled
	c.sampled = now
	c.mu.Unlock()
	c.Fleet.Samples(now, func(s fleet.Sample) {
		c.mu.Lock()
		defer c.mu.Unlock()
		one := c.of[s.Key]
		if one == nil {
			one = &record{history: &history.History{}}
			c.of[s.Key] = one
		}
		if !from.IsZero() { // of one that was not there the last time, all that it has counted is new
			before := one.history.Savings()
			one.history.Add(from, now, one.sample(s))
			c.totals.Grow(before, one.history.Savings())
		}
		for _, rule := range one.asking {
			one.history.Looked(rule, true, now)
		}
		one.last, one.decisions, one.seen, one.dropped = s, 0, now, false
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, one := range c.of {
		switch gone := now.Sub(one.seen); {
		case gone > loseFor:
			delete(c.of, k)
		case gone > forgetFor:
			one.dropped = true
		}
	}
}

// Read shows the history of an application: these resolutions, as they stand now; false: it has none here.
func (c *Chronicle) Read(k fleet.Key, of []history.Resolution, now time.Time) ([]history.Series, history.Savings, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.of[k]
	if one == nil {
		return nil, history.Savings{}, false
	}
	var out []history.Series
	for _, r := range of {
		if s, known := one.history.Read(r, now); known {
			out = append(out, s)
		}
	}
	return out, one.history.Savings(), true
}

// Savings are what was saved of an application; false: nothing is known.
func (c *Chronicle) Savings(k fleet.Key) (history.Savings, bool) {
	_, s, known := c.Read(k, nil, time.Time{})
	return s, known && !s.Since.IsZero()
}

// Stats are what there is to measure.
type Stats struct {
	Totals history.Savings // of all applications, since this process began
	Bytes  int             // of all histories, in memory
	Cut    int             // histories of which not all was kept the last time
}

// Stats are what there is to measure now.
func (c *Chronicle) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{Totals: c.totals, Cut: c.cut}
	for _, one := range c.of {
		s.Bytes += one.history.Bytes()
	}
	return s
}
