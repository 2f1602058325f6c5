package cluster

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// observe reads all that the caches know of an application and tells it. mu is held.
func (w *Watcher) observe(k fleet.Key) {
	c, ok := w.claims[k]
	if !ok {
		return
	}
	kept := w.remembered(k, c.by.Name)
	o := fleet.Observation{
		Key: k, Autoscaler: c.by.Name, Since: w.named[k].since, Spec: c.by.Scaling,
		Waiting: c.by.Waiting, Uncounted: c.by.Uncounted, Restore: c.by.Restore, Slept: kept.Slept, Learned: kept.Learned,
	}
	o.Owner = w.rivals(k)
	if object, ok, _ := w.informers.deployments.GetStore().GetByKey(k.String()); ok {
		if d, ok := object.(*appsv1.Deployment); ok {
			o.Deployment = deployment(d)
		}
	}
	places := w.places(c)
	o.Address = address(places, c)
	ready := w.endpointReady(places)
	for _, p := range places {
		if p.target.Service != "" && p.service == nil {
			_, problem := podPort(p.target, nil, &corev1.Pod{})
			o.Problem = orElse(o.Problem, problem)
		}
	}
	pods, _ := w.informers.pods.GetIndexer().ByIndex(byDeployment, k.String())
	for _, object := range pods {
		if pod, ok := object.(*corev1.Pod); ok {
			p, problem := observePod(places, pod, ready[pod.Name], c.by.ProbeEarly)
			o.Pods = append(o.Pods, p)
			o.Problem = orElse(o.Problem, problem)
		}
	}
	slices.SortFunc(o.Pods, func(a, b fleet.Pod) int { return cmp.Compare(a.Name, b.Name) })
	w.sink.Observe(o)
}

func deployment(d *appsv1.Deployment) fleet.Deployment {
	replicas := int32(1) // Kubernetes' default
	if d.Spec.Replicas != nil {
		replicas = *d.Spec.Replicas
	}
	return fleet.Deployment{
		Found: true, UID: string(d.UID), Version: kube.Version(d.ResourceVersion), Created: d.CreationTimestamp.Time,
		Paused: d.Spec.Paused, Replicas: replicas, Manager: countManager(d), Refusal: contract.Cut(podRefusal(d)), Grace: grace(d.Spec.Template.Spec),
	}
}

// grace is how long pods have to end when they are deleted.
func grace(spec corev1.PodSpec) time.Duration {
	if spec.TerminationGracePeriodSeconds == nil {
		return corev1.DefaultTerminationGracePeriodSeconds * time.Second
	}
	return time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
}

// countManager is who owns the count of pods; strip leaves nothing else of the managed fields.
func countManager(d *appsv1.Deployment) string {
	if len(d.ManagedFields) == 0 {
		return ""
	}
	return d.ManagedFields[len(d.ManagedFields)-1].Manager
}

// podRefusal is what the API server said to the ReplicaSet that could not make a pod.
func podRefusal(d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

func (w *Watcher) service(namespace, name string) *corev1.Service {
	if name == "" {
		return nil
	}
	object, ok, _ := w.informers.services.GetStore().GetByKey(namespace + "/" + name)
	if !ok {
		return nil
	}
	service, _ := object.(*corev1.Service)
	return service
}

// endpointReady are the pods that the Services' slices call ready. A Service that publishes pods
// before they are ready says nothing about them.
func (w *Watcher) endpointReady(places []place) map[string]bool {
	ready := map[string]bool{}
	for _, p := range places {
		if p.service == nil || p.service.Spec.PublishNotReadyAddresses {
			continue
		}
		found, _ := w.informers.slices.GetIndexer().ByIndex(byService, p.service.Namespace+"/"+p.service.Name)
		for _, object := range found {
			slice, ok := object.(*discoveryv1.EndpointSlice)
			if !ok {
				continue
			}
			for _, e := range slice.Endpoints {
				if e.TargetRef != nil && e.TargetRef.Kind == "Pod" && e.Conditions.Ready != nil && *e.Conditions.Ready {
					ready[e.TargetRef.Name] = true
				}
			}
		}
	}
	return ready
}
