// Package pace bounds how often each of many does something: so many times a second, and so many at once after a rest.
//
// It is the generic cell rate algorithm (ITU-T I.371): all that is known of somebody is when it will have rested, that is
// when it may do as much at once as it ever may. Who has rested is as good as who was never heard of, so nothing is
// remembered of most: of a hundred thousand pods that push every five seconds, each ten times a second at most, some
// two thousand at any time.
package pace

import (
	"maps"
	"sync"
	"time"
)

// Pace is how many times a second something may be done, and how many at once after a rest.
type Pace struct {
	PerSecond float64
	Burst     int
}

// each is the time between two that come evenly.
func (p Pace) each() time.Duration { return time.Duration(float64(time.Second) / p.PerSecond) }

// least is from how many on it is looked for those who have rested, to forget them.
const least = 64

// Paces hold what each has left. Any number of goroutines may use them at once. Make them with New.
type Paces[K comparable] struct {
	most   int
	mu     sync.Mutex
	began  time.Time           // the first time that something was done; moments are told from it
	rested map[K]time.Duration // when each will have rested
	look   int                 // for those who have, once there are so many
	looked time.Duration       // last
	peak   int                 // how many there were since the map was made, which never becomes smaller
}

// New remembers so many who have not rested. Where there are more, of some of them the one that will have soonest begins anew.
func New[K comparable](most int) *Paces[K] {
	return &Paces[K]{most: most, rested: map[K]time.Duration{}, look: min(least, most)}
}

// at is a moment as it is told here. By the clock that never jumps, where both have that.
func (p *Paces[K]) at(now time.Time) time.Duration {
	if p.began.IsZero() {
		p.began = now
	}
	return max(now.Sub(p.began), 0)
}

// Take takes one time of somebody's, or tells that there is none left.
func (p *Paces[K]) Take(who K, pace Pace, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.at(now)
	rested, known := p.rested[who]
	if spent(rested, at, pace) {
		return false
	}
	if !known {
		p.makeRoom(at)
	}
	p.rested[who] = max(rested, at) + pace.each()
	return true
}

// Spent tells whether somebody has none left. It takes none.
func (p *Paces[K]) Spent(who K, pace Pace, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return spent(p.rested[who], p.at(now), pace)
}

func spent(rested, at time.Duration, pace Pace) bool {
	return pace.Burst < 1 || rested-at > time.Duration(pace.Burst-1)*pace.each()
}

// makeRoom makes it for one more.
func (p *Paces[K]) makeRoom(at time.Duration) {
	full := len(p.rested) >= p.most
	if len(p.rested) >= p.look && (!full || at-p.looked >= lookAgain) {
		p.peak = max(p.peak, len(p.rested))
		for who, rested := range p.rested {
			if rested <= at {
				delete(p.rested, who)
			}
		}
		if p.peak > 8*max(len(p.rested), least) {
			smaller := make(map[K]time.Duration, len(p.rested))
			maps.Copy(smaller, p.rested)
			p.rested, p.peak = smaller, len(smaller)
		}
		// Twice as many as have not: so that who comes pays for looking at two.
		p.look, p.looked = min(max(2*len(p.rested), least), p.most), at
		full = len(p.rested) >= p.most
	}
	if full {
		p.drop()
	}
}

const (
	lookAgain = time.Second // where there are as many as there may be, and one has to go each time
	some      = 16          // of whom one goes
)

// drop forgets one: of some, in no order, the one that will have rested soonest.
func (p *Paces[K]) drop() {
	var one K
	soonest, n := time.Duration(0), 0
	for who, rested := range p.rested {
		if n == 0 || rested < soonest {
			one, soonest = who, rested
		}
		if n++; n == some {
			break
		}
	}
	delete(p.rested, one)
}

// Len is how many are remembered.
func (p *Paces[K]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.rested)
}
