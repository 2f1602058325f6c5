package cluster

import (
	"cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// observe reads all that the caches know of an application, and tells it.
func (w *Watcher) observe(k fleet.Key) {
	s := w.apps.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	app, known := s.apps[k]
	if !known || !w.started.Load() {
		return
	}
	pods, whole := w.pods.of(k)
	if !whole {
		return // its pods are being listed
	}
	app.told = true
	w.sink.Observe(w.observation(k, app, pods))
}

func (w *Watcher) observation(k fleet.Key, app *application, pods []*pod) fleet.Observation {
	by := app.by
	o := fleet.Observation{
		Key: k, Autoscaler: by.Name, Since: app.since, Spec: by.Scaling,
		Waiting: by.Waiting, Uncounted: by.Uncounted, Restore: by.Restore, Slept: app.kept.Slept, Learned: app.kept.Learned,
	}
	o.Owner, o.Refused = w.rivals(k), w.refusedOf(by.Autoscaler, k.Deployment)
	if d := w.deployments.get(objectName{k.Namespace, k.Deployment}); d != nil {
		o.Deployment = d.Deployment
	}
	places := w.places(app.claim)
	o.Address = address(places, app.claim)
	for _, p := range places {
		if p.target.Service != "" && p.service == nil {
			_, problem := podPort(p.target, nil, &shape{})
			o.Problem = cmp.Or(o.Problem, problem)
		}
	}
	ready, all := w.endpointReady(places), newSurvey(places, by.ProbeEarly)
	for _, p := range pods {
		one, problem := all.pod(p, ready[p.name])
		o.Pods = append(o.Pods, one)
		o.Problem = cmp.Or(o.Problem, problem)
	}
	return o
}
