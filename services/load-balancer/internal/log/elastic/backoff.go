package elastic

import "time"

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 30 * time.Second
)

// backoff is how long to wait after so many tries in a row that failed, from 1 on: any time up to a
// bound that doubles (full jitter), so that many balancers do not come back at once. random gives a
// number from 0 to below 1.
func backoff(failures int, random func() float64) time.Duration {
	bound := lastBackoff
	if shift := failures - 1; shift < 9 {
		bound = min(bound, firstBackoff<<max(shift, 0))
	}
	return time.Duration(random() * float64(bound))
}
