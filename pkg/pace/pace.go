// Package pace bounds how often each of many does something: so many times a second, and so many at once after a rest.
package pace

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// Pace is how many times a second something may be done, and how many at once after a rest.
type Pace struct {
	PerSecond float64
	Burst     int
}

// Paces hold what each has left. Any number of goroutines may use them at once. Make them with New.
type Paces[K comparable] struct {
	mu    sync.Mutex
	known *simplelru.LRU[K, *rate.Limiter]
}

// New remembers so many; beyond them the one that did something longest ago begins anew. It has rested by then, where there
// are many, and so would have as many left all the same: nobody gets more by it, and whoever does something often stays
// remembered. One that is not costs two microseconds more each time (BenchmarkTake).
func New[K comparable](most int) *Paces[K] {
	known, _ := simplelru.NewLRU[K, *rate.Limiter](most, nil) // most is more than 0: it never fails
	return &Paces[K]{known: known}
}

// Take takes one time of somebody's, or tells that there is none left.
func (p *Paces[K]) Take(who K, pace Pace, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left, found := p.known.Get(who)
	if !found {
		left = rate.NewLimiter(rate.Limit(pace.PerSecond), pace.Burst)
		p.known.Add(who, left)
	}
	return left.AllowN(now, 1)
}

// Spent tells whether somebody has none left. It takes none.
func (p *Paces[K]) Spent(who K, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left, found := p.known.Get(who)
	return found && left.TokensAt(now) < 1
}

// Len is how many are remembered.
func (p *Paces[K]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known.Len()
}
