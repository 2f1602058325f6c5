package cluster

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// pod is what is kept of a pod.
type pod struct {
	of        fleet.Key // the application; without a Deployment: none
	name      string
	uid       string
	version   uint64
	dismissed bool // its application was not asked for: nothing else is kept

	node, ip    string
	created     time.Time
	terminating bool
	failed      bool
	running     bool // every container
	ready       bool
	wasReady    bool
	readyAt     time.Time
	restarts    int32
	message     string // why it is not ready
	stuck       string
	revision    string
	cost        int32
	mark        fleet.Mark
	shape       *shape      // pods of one template share it
	started     []time.Time // the containers of the shape's checks, where one is patient
}

// ownerOf finds the Deployment of a pod without asking for its ReplicaSet: that one is named after the
// Deployment and the hash that the pod carries as a label. Without one (false) it is in its namespace.
func ownerOf(p *corev1.Pod) (fleet.Key, bool) {
	k := fleet.Key{Namespace: p.Namespace}
	owner, hash := metav1.GetControllerOf(p), p.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	if owner == nil || owner.Kind != "ReplicaSet" || hash == "" {
		return k, false
	}
	name, ok := strings.CutSuffix(owner.Name, "-"+hash)
	if !ok || name == "" {
		return k, false
	}
	k.Deployment = name
	return k, true
}

// dismissedPod is what is kept of a pod whose application is not asked for.
func dismissedPod(p *corev1.Pod) *pod {
	k, _ := ownerOf(p)
	return &pod{of: k, name: p.Name, uid: string(p.UID), version: kube.Version(p.ResourceVersion), dismissed: true}
}

// keepPod reads what is kept of a pod.
func keepPod(p *corev1.Pod) *pod {
	k, _ := ownerOf(p)
	form, started := shapeOf(p)
	out := &pod{
		of: k, name: p.Name, uid: string(p.UID), version: kube.Version(p.ResourceVersion),
		node: share(p.Spec.NodeName), ip: p.Status.PodIP, created: p.CreationTimestamp.Time,
		terminating: p.DeletionTimestamp != nil,
		failed:      p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded,
		running:     running(p), revision: share(p.Labels[appsv1.DefaultDeploymentUniqueLabelKey]),
		shape: &form, started: started,
	}
	out.cost, out.mark = mark(p.Annotations)
	for _, s := range p.Status.ContainerStatuses {
		out.restarts += s.RestartCount
	}
	if ready := condition(p, corev1.PodReady); ready != nil {
		out.ready = ready.Status == corev1.ConditionTrue
		if out.ready {
			out.readyAt = ready.LastTransitionTime.Time
		}
		out.wasReady = out.ready || fellBack(p, ready.LastTransitionTime.Time)
	}
	if !out.ready {
		out.message, out.stuck = contract.Cut(why(p)), stuck(p)
	}
	return out
}
