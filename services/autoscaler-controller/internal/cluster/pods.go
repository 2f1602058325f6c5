package cluster

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// observePod says what the cluster says of a pod that is reached at these places, at least one.
// endpointReady is an EndpointSlice's word; early, that its checks may be made from the first moment.
func observePod(places []place, pod *corev1.Pod, endpointReady, early bool) (fleet.Pod, string) {
	ports, problem := podPorts(places, pod)
	p := fleet.Pod{
		Name: pod.Name, Node: pod.Spec.NodeName, Scheduled: pod.Spec.NodeName != "",
		Terminating:   pod.DeletionTimestamp != nil,
		Failed:        pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded,
		EndpointReady: endpointReady, CreatedAt: pod.CreationTimestamp.Time,
		Started: running(pod), Revision: pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey],
	}
	p.Cost, p.Mark = mark(pod.Annotations)
	if pod.Status.PodIP != "" && ports[0] > 0 {
		p.Address = hostPort(pod.Status.PodIP, ports[0])
		p.AlsoAt = furtherAddresses(pod.Status.PodIP, ports[1:])
		p.Probes, p.Probeable = probes(pod, ports, early)
	}
	for _, s := range pod.Status.ContainerStatuses {
		p.Restarts += s.RestartCount
	}
	if ready := condition(pod, corev1.PodReady); ready != nil {
		p.Ready = ready.Status == corev1.ConditionTrue
		if p.Ready {
			p.ReadyAt = ready.LastTransitionTime.Time
		}
		p.WasReady = p.Ready || fellBack(pod, ready.LastTransitionTime.Time)
	}
	if !p.Ready {
		p.Message, p.Stuck = contract.Cut(why(pod)), stuck(pod)
	}
	return p, problem
}

// running: every container of the pod runs.
func running(pod *corev1.Pod) bool {
	if len(pod.Status.ContainerStatuses) < len(pod.Spec.Containers) {
		return false
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Running == nil {
			return false
		}
	}
	return true
}

// fellBack: the pod is not ready since a moment when its containers ran already, so it was ready
// before. (A pod that has never been ready is not ready since it was made.)
func fellBack(pod *corev1.Pod, since time.Time) bool {
	if !running(pod) {
		return false
	}
	for _, s := range pod.Status.ContainerStatuses {
		if !since.After(s.State.Running.StartedAt.Add(time.Second)) {
			return false
		}
	}
	return true
}

// why is what Kubernetes says of a pod that is not ready: the most telling of its messages.
func why(pod *corev1.Pod) string {
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		switch {
		case s.State.Waiting != nil && s.State.Waiting.Reason != "ContainerCreating" && s.State.Waiting.Reason != "PodInitializing":
			return join(s.Name, s.State.Waiting.Reason, s.State.Waiting.Message)
		case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			return join(s.Name, s.State.Terminated.Reason, s.State.Terminated.Message)
		}
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.PodReady} {
		if c := condition(pod, kind); c != nil && c.Status != corev1.ConditionTrue && c.Reason != "" {
			return join("", c.Reason, c.Message)
		}
	}
	return join("", pod.Status.Reason, pod.Status.Message)
}

// hopeless are Kubernetes' words for a container that no patience will start: somebody must mend an
// image's name, a registry's secret, a configuration.
var hopeless = []string{
	"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

// crashes is how often a container may end before its start counts as hopeless: one that only waits
// for another service comes up after a few.
const crashes = 3

// stuck is the word for why a pod cannot start, as far as one can tell; "" while it may.
func stuck(pod *corev1.Pod) string {
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if s.State.Waiting == nil {
			continue
		}
		if reason := s.State.Waiting.Reason; slices.Contains(hopeless, reason) || reason == "CrashLoopBackOff" && s.RestartCount >= crashes {
			return reason
		}
	}
	return ""
}

func join(who, reason, message string) string {
	if who != "" {
		reason = who + ": " + reason
	}
	if message == "" {
		return reason
	}
	return reason + ": " + message
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}
