package drivers

import (
	"math"
	"slices"
	"sync"
	"time"
)

// Latencies are times that things took. The zero value is ready.
type Latencies struct {
	mu   sync.Mutex
	list []time.Duration
}

// Add adds one.
func (l *Latencies) Add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, d)
}

// Reset forgets all.
func (l *Latencies) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

// Count is how many there are.
func (l *Latencies) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list)
}

// Quantile is the q-th in milliseconds, the next larger one where it lies between two; NaN without any.
func (l *Latencies) Quantile(q float64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(l.list))
	at := max(int(math.Ceil(q*float64(len(sorted))))-1, 0)
	return float64(sorted[at]) / float64(time.Millisecond)
}
