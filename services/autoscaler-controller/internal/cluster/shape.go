package cluster

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// shape is what pods of one template have in common: the ports that their containers name, and the checks
// that stand between them and Ready.
type shape struct {
	ports     []namedPort
	checks    []check
	probeable bool // another on the network can make its checks
	bare      bool // a container has no readiness check of its own
}

// namedPort is a port of a container.
type namedPort struct {
	name string
	port int32
}

// check is one of a pod's own checks, and the patience that its user asked for.
type check struct {
	fleet.Probe
	delay     time.Duration // after its container's start
	successes int32
	period    time.Duration
}

// maxPorts bounds how many named ports of a pod are kept.
const maxPorts = 256

// shapeOf reads the template's part of a pod, and where a check's patience begins: when the container of
// each check has started, nil where no check is patient.
func shapeOf(pod *corev1.Pod) (shape, []time.Time) {
	s := shape{probeable: len(pod.Spec.ReadinessGates) == 0 && !pod.Spec.HostNetwork}
	var started []time.Time
	patient := false
	for _, c := range serving(pod) {
		for _, p := range c.Ports {
			if p.Name != "" && len(s.ports) < maxPorts {
				s.ports = append(s.ports, namedPort{share(p.Name), p.ContainerPort})
			}
		}
		s.bare = s.bare || c.ReadinessProbe == nil
		// A startup check comes before the readiness check, so it must be good as well.
		for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe} {
			if p == nil || !s.probeable {
				continue
			}
			one, ok := checkOf(c, p)
			if s.probeable = ok && len(s.checks) < maxProbes; !s.probeable {
				s.checks, started = nil, nil
				continue
			}
			s.checks, patient = append(s.checks, one), patient || one.delay > 0
			started = append(started, startOf(pod, c.Name))
		}
	}
	if !patient {
		started = nil
	}
	return s, started
}

// checkOf is a check with what its user asked for of patience. It cannot be repeated (false) when it is a
// command or a gRPC call.
func checkOf(c corev1.Container, p *corev1.Probe) (check, bool) {
	one, ok := probe(c, p)
	out := check{Probe: one, delay: time.Duration(max(0, p.InitialDelaySeconds)) * time.Second}
	if p.SuccessThreshold > 1 {
		const usual = 10 // seconds, Kubernetes' default
		period := p.PeriodSeconds
		if period < 1 {
			period = usual
		}
		out.successes, out.period = p.SuccessThreshold, time.Duration(period)*time.Second
	}
	return out, ok
}

// named finds a port by its name.
func (s *shape) named(name string) (int32, bool) {
	i := slices.IndexFunc(s.ports, func(p namedPort) bool { return p.name == name })
	if i < 0 {
		return 0, false
	}
	return s.ports[i].port, true
}

// serving are the containers that run while the pod does: sidecars among the init containers too.
func serving(pod *corev1.Pod) []corev1.Container {
	var list []corev1.Container
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			list = append(list, c)
		}
	}
	return append(list, pod.Spec.Containers...)
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

func containerPort(c corev1.Container, name string) (int32, bool) {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort, true
		}
	}
	return 0, false
}

func probePort(c corev1.Container, port intstr.IntOrString) (int32, bool) {
	if port.Type == intstr.Int {
		return port.IntVal, port.IntVal > 0
	}
	return containerPort(c, port.StrVal)
}
