package balance

import "time"

// roundRobin takes the pods in turn. It starts anywhere, so that several load balancers do not march
// in step.
type roundRobin struct {
	intn Intn
	next int // -1: not begun
}

func newRoundRobin(intn Intn) Policy { return &roundRobin{intn: intn, next: -1} }

// Pick implements Policy.
func (r *roundRobin) Pick(b *Pool, _ Request, _ time.Time) (int, string) {
	n := len(b.pods)
	if r.next < 0 {
		r.next = r.intn(n)
	}
	i := r.next
	for range n {
		if i >= n { // pods may have gone since
			i = 0
		}
		if b.free(i) {
			r.next = i + 1
			return i, "its turn"
		}
		i++
	}
	return -1, ""
}

// random takes any pod.
type random struct{ intn Intn }

func newRandom(intn Intn) Policy { return random{intn} }

// Pick implements Policy.
func (r random) Pick(b *Pool, _ Request, _ time.Time) (int, string) {
	for range tries {
		if i := int(b.open[r.intn(len(b.open))]); b.free(i) {
			return i, "by chance"
		}
	}
	chosen, free := -1, 0
	for _, i := range b.open {
		if b.free(int(i)) {
			free++
			if r.intn(free) == 0 { // each with the same chance
				chosen = int(i)
			}
		}
	}
	return chosen, "by chance"
}

// tries is how often chance is asked before all pods are looked at: most of them are full then.
const tries = 4
