package cluster

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// balancerContainer is the load balancer's container in its pod.
const balancerContainer = "load-balancer"

// watchBalancer passes on that the process of a load balancer has ended.
func (w *Watcher) watchBalancer(object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok || w.ended == nil || pod.Namespace != w.home {
		return
	}
	if at := endOfBalancer(pod); !at.IsZero() {
		w.ended(pod.Name, at)
	}
}

// endOfBalancer is when the last process of the load balancer in the pod ended; zero: none did.
func endOfBalancer(pod *corev1.Pod) (at time.Time) {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != balancerContainer {
			continue
		}
		for _, s := range []corev1.ContainerState{c.State, c.LastTerminationState} {
			if s.Terminated != nil && s.Terminated.FinishedAt.After(at) {
				at = s.Terminated.FinishedAt.Time
			}
		}
	}
	return at
}

// deletedBalancer passes on that the pod of a load balancer, perhaps, was deleted.
func (w *Watcher) deletedBalancer(object any) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	if pod, ok := object.(*corev1.Pod); ok && w.deleted != nil && pod.Namespace == w.home {
		w.deleted(pod.Name)
	}
}
