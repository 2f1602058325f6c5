package balance

import "time"

// How a failing pod is taken out.
const (
	failuresToEject = 3                // broken exchanges in a row
	firstEjection   = time.Second      // how long the first time
	longestEjection = 30 * time.Second // and at most
	ejectionJitter  = 0.2              // the share by which it varies, so that balancers do not come back together
)

// Ejection counts the failures of one pod. A failure is a connection that broke before the head of
// an answer came; an answer, also a 5xx, is none: the pod speaks. The zero value is a pod without
// fault.
type Ejection struct {
	failures int
	last     time.Duration
	until    time.Time
}

// Failed counts a failure, and reports whether it took the pod out. chance is from 0 to 1.
func (e *Ejection) Failed(now time.Time, chance float64) bool {
	e.failures++
	if e.failures < failuresToEject || e.Active(now) {
		return false
	}
	e.last = min(max(firstEjection, 2*e.last), longestEjection)
	e.until = now.Add(time.Duration(float64(e.last) * (1 + ejectionJitter*(2*chance-1))))
	return true
}

// Succeeded forgets every failure.
func (e *Ejection) Succeeded() { *e = Ejection{} }

// Active reports whether the pod is out. When its time is over one failure more takes it out again,
// for twice as long.
func (e *Ejection) Active(now time.Time) bool { return now.Before(e.until) }

// Until is when the pod comes back.
func (e *Ejection) Until() time.Time { return e.until }
