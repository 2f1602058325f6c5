package balance

import (
	"math"
	"time"
)

// How much more than the mean a pod may have in flight before its keys go elsewhere.
const (
	hashBound = 1.25
	hashLeast = 4 // requests, that make no pod hot
)

// consistentHash takes the same pod for the same key, whichever load balancer asks, unless that pod
// has much more in flight than others (consistent hashing with bounded load): then the next one in
// the key's own order. A request without a key goes to the lesser of two pods.
type consistentHash struct{ intn Intn }

func newConsistentHash(intn Intn) Policy { return consistentHash{intn} }

func (consistentHash) keeps() {}

// Pick implements Policy.
func (c consistentHash) Pick(b *Pool, r Request, _ time.Time) (int, string) {
	if r.Key == 0 {
		return b.fewer(c.intn), "fewer requests in flight than another one; it has no key"
	}
	if i := b.owner(r.Key, b.bound()); i >= 0 {
		return i, "its key"
	}
	return b.fewest(c.intn), "fewest requests in flight"
}

// bound is how many requests a pod may have in flight to be given one for its key.
func (b *Pool) bound() int32 {
	mean := float64(b.flights+1) / float64(len(b.open))
	return max(int32(math.Ceil(hashBound*mean)), hashLeast)
}
