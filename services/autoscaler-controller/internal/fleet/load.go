package fleet

import (
	"maps"
	"time"
)

// Load is what a pod's sidecar says of its model server, for load balancers that choose by it.
type Load struct {
	Running, Waiting, CacheUsage *float64 // nil: not measured
	At                           time.Time
}

// How often the loads of an application's pods are told. Each time is a version of its route, which
// every load balancer reads as a whole: so many pods that each say something together cost no more.
const (
	loadsEvery = 200 * time.Millisecond
	loadsBurst = 5 // few pods are told of at once, one by one
)

// modelAware names the algorithm, as CustomAutoscalers and as the settings do.
const (
	modelAware         = "ModelAware"
	modelAwareSettings = "model_aware"
)

// loads are the loads of an application's pods as they are told.
type loads struct {
	byPod   map[string]*Load // never altered; nil: nobody asks
	told    time.Time
	credits float64 // times that they may be told at once
}

func (l *loads) of(pod string) *Load { return l.byPod[pod] }

// due takes one of the times that they may be told.
func (l *loads) due(now time.Time) bool {
	l.credits = min(l.credits+float64(now.Sub(l.told))/float64(loadsEvery), loadsBurst)
	l.told = now
	if l.credits < 1 {
		return false
	}
	l.credits--
	return true
}

// tellLoads puts what the pods say into the route, where somebody goes by it. What comes too soon is
// told with the next word of any of the pods.
func (f *Fleet) tellLoads(a *application, now time.Time) {
	algorithm := a.seen.Address.Algorithm
	if algorithm != modelAware && (algorithm != "" || f.routes.policy() != modelAwareSettings) {
		if a.loads.byPod != nil {
			a.loads = loads{}
			f.publish(a)
		}
		return
	}
	if !a.loads.due(now) {
		return
	}
	byPod := map[string]*Load{}
	for _, p := range a.seen.Pods {
		m, known := f.uses[PodName{a.seen.Namespace, p.Name}][Sidecar]
		if !known || now.Sub(m.At) > Sidecar.freshFor() {
			continue
		}
		load := Load{Running: gauge(m, InFlight), Waiting: gauge(m, Queued), CacheUsage: gauge(m, CacheUsage), At: m.At}
		if load.Running != nil || load.Waiting != nil || load.CacheUsage != nil {
			byPod[p.Name] = &load
		}
	}
	if len(byPod) == 0 && len(a.loads.byPod) == 0 {
		return
	}
	if maps.EqualFunc(byPod, a.loads.byPod, func(x, y *Load) bool { return x.At.Equal(y.At) }) {
		return
	}
	a.loads.byPod = byPod
	f.publish(a)
}

func gauge(m Measurement, g Gauge) *float64 {
	if v, ok := m.Values[g]; ok {
		return &v
	}
	return nil
}
