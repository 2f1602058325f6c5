package cluster

import (
	"sync"
	"time"
)

// metricsPauses are those of the namespaces whose metrics could not be read.
type metricsPauses struct {
	mu     sync.Mutex
	of     map[string]metricsPause
	said   string // the last failure that was logged
	saidAt time.Time
}

type metricsPause struct {
	until time.Time
	pause time.Duration
}

// sayAgain is when the same failure, of whatever namespace, is worth a line again.
const sayAgain = 10 * time.Minute

// due are those of some namespaces that do not pause. Others are forgotten.
func (p *metricsPauses) due(namespaces []string, now time.Time) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := make(map[string]metricsPause, len(p.of))
	due := make([]string, 0, len(namespaces))
	for _, n := range namespaces {
		one, failed := p.of[n]
		if failed {
			kept[n] = one
		}
		if !now.Before(one.until) {
			due = append(due, n)
		}
	}
	p.of = kept
	return due
}

func (p *metricsPauses) paused(namespace string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.of[namespace].until)
}

// note takes what came of reading a namespace, and tells whether that is worth a line: a failure that is
// new, and another one than was logged last.
func (p *metricsPauses) note(namespace string, err error, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		delete(p.of, namespace)
		return false
	}
	before := p.of[namespace].pause
	next := min(max(2*before, firstMetricsPause), longestMetricsPause)
	p.of[namespace] = metricsPause{now.Add(next), next}
	if before > 0 || err.Error() == p.said && now.Sub(p.saidAt) < sayAgain {
		return false
	}
	p.said, p.saidAt = err.Error(), now
	return true
}
