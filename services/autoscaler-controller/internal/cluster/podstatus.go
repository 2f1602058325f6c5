package cluster

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

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
