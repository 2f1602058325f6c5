package fleet

import "time"

// podMemory is what is remembered of a pod.
type podMemory struct {
	podTimes
	sidecar, kubernetes *values // what it uses, as each says; nil: it says nothing
	same                *steady // nil: it has nothing to do
}

// podTimes is when this process saw a pod reach each step. Kubernetes' own times have whole
// seconds only, too coarse for a wake-up.
type podTimes struct {
	created, scheduled, started, ready time.Time
	wasReady                           bool // its own condition said so once
	doomed                             bool // see doom
}

// doom tells whether Kubernetes is to take a pod, or may be taking it: the Deployment stands at zero, or
// it did, and its controller has not yet been seen to take up that it no longer does. Such a pod
// looks ready until its end is seen, which on a busy cluster takes seconds; what is sent to it dies
// with it.
func (a *application) doom(before bool) bool {
	return a.seen.Deployment.Replicas == 0 || before && a.seen.Deployment.Behind
}

// follow takes note of each pod's steps, and lets the wake-up and the learned start times know. It
// returns the names of the pods that have come, and of those that have gone.
func (a *application) follow(pods []Pod, now time.Time) (come, gone []string) {
	if a.pods == nil && len(pods) > 0 {
		a.pods = make(map[string]*podMemory, len(pods))
	}
	here := make(map[string]bool, len(pods))
	for i := range pods {
		p := &pods[i]
		here[p.Name] = true
		t, ok := a.pods[p.Name]
		if !ok {
			t = &podMemory{podTimes: podTimes{created: now, wasReady: p.WasReady}}
			a.pods[p.Name] = t
			come = append(come, p.Name)
		}
		t.doomed = a.doom(t.doomed)
		mark(&t.scheduled, p.Scheduled, now)
		mark(&t.started, p.Started, now)
		if t.isReady(*p) && t.ready.IsZero() && !p.Terminating {
			t.ready = now
			a.started(now)
		}
		t.wasReady = t.wasReady || p.Ready
		if a.wake != nil && !p.Terminating {
			a.wake.observe(p.Name, t.podTimes)
		}
	}
	for name := range a.pods {
		if !here[name] {
			delete(a.pods, name)
			gone = append(gone, name)
		}
	}
	if len(a.pods) == 0 {
		a.pods = nil
	}
	return come, gone
}

// started learns how long the start took, if this is the first ready pod of one.
func (a *application) started(now time.Time) {
	if a.wake == nil || a.wake.learned || a.wake.startCall.IsZero() || a.wake.scaled.IsZero() {
		return
	}
	a.wake.learned = true
	a.starts.add(now.Sub(a.wake.startCall))
}

// isReady is ready by the pod's own condition or by an EndpointSlice, whichever comes first. Once
// the condition said ready, it alone is believed: the slice follows it with a delay. One that is
// doomed is not.
func (t *podTimes) isReady(p Pod) bool {
	return !t.doomed && (p.Ready || (p.EndpointReady && !t.wasReady))
}

// readySince is since when it is ready, as far as that is known. Who was ready at first sight has its
// own time.
func (t *podTimes) readySince(p Pod) time.Time {
	if t.ready.After(t.created) {
		return t.ready
	}
	return p.ReadyAt
}

func (t *podTimes) state(p Pod) PodState {
	switch {
	case p.Terminating, t.doomed && p.Exists():
		return PodTerminating
	case p.Failed:
		return PodFailed
	case t.isReady(p):
		return PodReady
	case t.wasReady:
		return PodNotReady
	case p.Started:
		return PodStarting
	default:
		return PodPending
	}
}

func mark(t *time.Time, reached bool, now time.Time) {
	if reached && t.IsZero() {
		*t = now
	}
}
