package fleet

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contest"
)

// Sample is what the history of an application is made of.
type Sample struct {
	Key
	Waiting, Replicas, Ready int32
	Pods                     int32       // that are there, ready or not, those that end included
	Maximum                  int32       // that there may be now
	Contested                bool        // somebody else has the count
	Arrived                  float64     // requests that came, in all: it only grows
	Failures, Rejected       float64     // the same of those that ended in a 5xx or broke off, and of these, that never reached a pod
	Woken                    *WakesEnded // nil: none ended
}

// Samples looks at every application, in no order, one after the other. It is cheap: nothing is made of
// what was heard, it is only read.
func (f *Fleet) Samples(now time.Time, yield func(Sample)) {
	f.roster.mu.RLock()
	w := f.watching(now)
	f.roster.mu.RUnlock()
	for _, a := range f.all() {
		if s, known := f.sample(a, w, now); known {
			yield(s)
		}
	}
}

func (f *Fleet) sample(a *application, w watch, now time.Time) (Sample, bool) {
	f.roster.mu.RLock()
	defer f.roster.mu.RUnlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return Sample{}, false
	}
	spec, _, _ := a.seen.Spec.At(now)
	s := Sample{
		Key: a.key, Replicas: a.seen.Deployment.Replicas, Ready: a.ready(), Pods: a.existing(), Maximum: spec.MaxReplicas, Arrived: a.arrived,
		Failures: a.failures, Rejected: a.rejected, Woken: a.woken, Contested: a.whoElse(now) != "",
	}
	if len(a.traffic) > 0 {
		for _, b := range w.live {
			s.Waiting += a.of(b).Waiting
		}
	}
	return s, true
}

// Terms are what a report says of an application beside its history.
type Terms struct {
	Rules   []string // the names of its thresholds and rules, as decisions have them
	Contest string   // who has the count now beside us, in words; "" is nobody
}

// Terms are those of an application now; false: it is not known.
func (f *Fleet) Terms(k Key, now time.Time) (Terms, bool) {
	a := f.lock(k)
	if a == nil {
		return Terms{}, false
	}
	defer a.mu.Unlock()
	return Terms{a.seen.Spec.RuleNames(), a.whoElse(now)}, true
}

// whoElse is who has the count of pods beside us, in words; "" is nobody.
func (a *application) whoElse(now time.Time) string {
	if a.contest != (contest.Memory{}) {
		if c, _ := a.contested(now); c.Times > 0 {
			return c.String()
		}
	}
	if a.seen.Owner != "" {
		return a.seen.Owner + " scales it too"
	}
	return ""
}
