package scalinglog

import (
	"slices"
	"time"
)

// Told is what the controller tells, each with an id, and when it was.
type Told interface {
	told() (id string, at time.Time)
	// overlap is how far back is asked for again.
	overlap() time.Duration
}

func (d Decision) told() (id string, at time.Time) { return d.ID, d.Time }
func (c Change) told() (id string, at time.Time)   { return c.ID, c.Time }

// Decisions on several applications are made side by side, and the clock of the next leader's node may be behind the
// last one's. A change may have gone through a replica that could not tell the leader for a while.
const (
	overlap       = time.Minute
	changeOverlap = 15 * time.Minute
)

func (Decision) overlap() time.Duration { return overlap }
func (Change) overlap() time.Duration   { return changeOverlap }

// Place is how far what the controller tells was followed. It is for one goroutine.
type Place[T Told] struct {
	last time.Time
	seen map[string]time.Time // those that may be told again
}

// NewPlace goes on from a moment; zero is the beginning.
func NewPlace[T Told](last time.Time) *Place[T] {
	return &Place[T]{last: last, seen: map[string]time.Time{}}
}

// Since is from when on to ask.
func (p *Place[T]) Since() time.Time {
	if p.last.IsZero() {
		return p.last
	}
	var none T
	return p.last.Add(-none.overlap())
}

// Last is the moment of the newest one that was kept.
func (p *Place[T]) Last() time.Time { return p.last }

// Keep hands what an answer tells, newest first as the controller gives them, to keep, oldest
// first, but for those it has had. It ends where one is not kept: from there it is asked again.
func (p *Place[T]) Keep(newestFirst []T, keep func(T) bool) (kept int) {
	for _, d := range slices.Backward(newestFirst) {
		id, at := d.told()
		if _, had := p.seen[id]; had {
			continue
		}
		if !keep(d) {
			break
		}
		kept++
		p.seen[id] = at
		if at.After(p.last) {
			p.last = at
		}
	}
	for id, at := range p.seen {
		if at.Before(p.Since()) {
			delete(p.seen, id)
		}
	}
	return kept
}
