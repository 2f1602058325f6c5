package balance

import (
	"math"
	"time"
)

// leastConnections takes the pod with the fewest requests in flight, any of them when several have
// as few.
type leastConnections struct{ intn Intn }

func newLeastConnections(intn Intn) Policy { return leastConnections{intn} }

// Pick implements Policy.
func (l leastConnections) Pick(b *Pool, _ Request, _ time.Time) (int, string) {
	return b.order.fewest(b, l.intn), "fewest requests in flight"
}

func (leastConnections) sorts()  {}
func (leastConnections) counts() {}

// fewest is an open pod with the fewest requests in flight, -1 when all are full. It counts those
// that have as few, and then goes to one of them: chance is asked once.
func (b *Pool) fewest(intn Intn) int {
	least, ties := int32(math.MaxInt32), 0
	load, room := b.load, b.room[:len(b.load)]
	for i, n := range load {
		if n > least || n >= room[i] {
			continue
		}
		if n < least {
			least, ties = n, 0
		}
		ties++
	}
	if ties == 0 {
		return -1
	}
	nth := 0
	if ties > 1 {
		nth = intn(ties)
	}
	for i, n := range load {
		if n == least && n < room[i] {
			if nth == 0 {
				return i
			}
			nth--
		}
	}
	return -1
}

// leastRequest takes the one with fewer requests in flight of two pods that chance names. Several
// load balancers do not herd on the same pod by it, and it costs the same for any number of pods.
type leastRequest struct{ intn Intn }

func newLeastRequest(intn Intn) Policy { return leastRequest{intn} }

func (leastRequest) counts() {}

// Pick implements Policy.
func (l leastRequest) Pick(b *Pool, _ Request, _ time.Time) (int, string) {
	return b.fewer(l.intn), "fewer requests in flight than another one"
}

func (b *Pool) fewer(intn Intn) int {
	first, second := b.two(intn)
	switch {
	case second < 0:
		return first
	case b.load[first] != b.load[second]:
		if b.load[second] < b.load[first] {
			return second
		}
		return first
	case intn(2) == 0:
		return second
	}
	return first
}

// two names two different free pods by chance; the second is -1 when there is only one, or the other
// one is full, and both are when there is none.
func (b *Pool) two(intn Intn) (first, second int) {
	n := len(b.open)
	if n == 1 {
		if i := int(b.open[0]); b.free(i) {
			return i, -1
		}
		return -1, -1
	}
	for range tries {
		x, y := intn(n), intn(n-1)
		if y >= x { // the second of those that are left
			y++
		}
		first, second = int(b.open[x]), int(b.open[y])
		switch one, other := b.free(first), b.free(second); {
		case one && other:
			return first, second
		case one:
			return first, -1
		case other:
			return second, -1
		}
	}
	return b.fewest(intn), -1 // nearly all are full
}
