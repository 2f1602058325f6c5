package cluster

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// maxProbes and maxHeaders bound what is passed on; a pod with more is left to the kubelet.
const (
	maxProbes  = 16
	maxHeaders = 32
)

// probes are the pod's own checks that stand between it and Ready, as somebody else on the network
// can repeat them. They cannot be repeated (false) when one of them is a command or a gRPC call,
// when readiness gates have a say, or when the pod shares the node's network, where another
// process may answer on its port. A container without a check of its own is ready when it runs; a
// connection to each of the application's ports stands in for that. What the user asked for of patience
// (initialDelaySeconds, successThreshold) counts, unless early.
func probes(pod *corev1.Pod, ports []int32, early bool) ([]fleet.Probe, bool) {
	if len(pod.Spec.ReadinessGates) > 0 || pod.Spec.HostNetwork {
		return nil, false
	}
	var list []fleet.Probe
	bare := false
	for _, c := range serving(pod) {
		bare = bare || c.ReadinessProbe == nil
		// A startup check comes before the readiness check, so it must be good as well.
		for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe} {
			if p == nil {
				continue
			}
			one, ok := probe(c, p)
			if !ok {
				return nil, false
			}
			if !early {
				one = patient(one, p, startOf(pod, c.Name))
			}
			list = append(list, one)
		}
	}
	for i, port := range ports {
		if bare && port > 0 && !slices.Contains(ports[:i], port) {
			list = append(list, fleet.Probe{Port: port, Timeout: time.Second})
		}
	}
	return list, len(list) <= maxProbes
}

// patient is a check that is made no sooner and no less often than its user asked for.
func patient(one fleet.Probe, p *corev1.Probe, started time.Time) fleet.Probe {
	if p.InitialDelaySeconds > 0 {
		one.Delay, one.Started = time.Duration(p.InitialDelaySeconds)*time.Second, started
	}
	if p.SuccessThreshold > 1 {
		const usual = 10 // seconds, Kubernetes' default
		period := p.PeriodSeconds
		if period < 1 {
			period = usual
		}
		one.Successes, one.Period = p.SuccessThreshold, time.Duration(period)*time.Second
	}
	return one
}

// startOf is when a container of the pod has started at the latest: Kubernetes tells it in whole seconds,
// the rest of which is cut off. Zero: it does not run.
func startOf(pod *corev1.Pod, container string) time.Time {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, s := range list {
			if s.Name == container && s.State.Running != nil && !s.State.Running.StartedAt.IsZero() {
				return s.State.Running.StartedAt.Add(time.Second)
			}
		}
	}
	return time.Time{}
}

func probe(c corev1.Container, p *corev1.Probe) (fleet.Probe, bool) {
	timeout := time.Duration(max(1, p.TimeoutSeconds)) * time.Second
	switch {
	case p.HTTPGet != nil:
		port, ok := probePort(c, p.HTTPGet.Port)
		if !ok || p.HTTPGet.Host != "" || len(p.HTTPGet.HTTPHeaders) > maxHeaders {
			return fleet.Probe{}, false // another host than the pod is not ours to ask
		}
		one := fleet.Probe{
			HTTP: true, Port: port, Timeout: timeout,
			Scheme: orElse(string(p.HTTPGet.Scheme), "HTTP"), Path: orElse(p.HTTPGet.Path, "/"),
		}
		for _, h := range p.HTTPGet.HTTPHeaders {
			if strings.EqualFold(h.Name, "Host") {
				one.Host = h.Value
				continue
			}
			one.Headers = append(one.Headers, fleet.Header{Name: h.Name, Value: h.Value})
		}
		return one, true
	case p.TCPSocket != nil:
		port, ok := probePort(c, p.TCPSocket.Port)
		return fleet.Probe{Port: port, Timeout: timeout}, ok && p.TCPSocket.Host == ""
	default:
		return fleet.Probe{}, false
	}
}

func probePort(c corev1.Container, port intstr.IntOrString) (int32, bool) {
	if port.Type == intstr.Int {
		return port.IntVal, port.IntVal > 0
	}
	return containerPort(c, port.StrVal)
}
