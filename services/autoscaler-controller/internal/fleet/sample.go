package fleet

import "time"

// Sample is what the history of an application is made of.
type Sample struct {
	Key
	Waiting, Replicas, Ready int32
	Pods                     int32   // that are there, ready or not, those that end included
	Maximum                  int32   // that there may be now
	Arrived                  float64 // requests that came, in all: it only grows
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
	}
	if len(a.traffic) > 0 {
		for _, b := range w.live {
			s.Waiting += a.of(b).Waiting
		}
	}
	return s, true
}
