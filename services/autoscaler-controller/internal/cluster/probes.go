package cluster

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

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
// (initialDelaySeconds, successThreshold) counts, unless early. started are as shapeOf gives them.
func (s *shape) probes(ports []int32, started []time.Time, early bool) ([]fleet.Probe, bool) {
	if !s.probeable {
		return nil, false
	}
	var list []fleet.Probe
	for i, c := range s.checks {
		one := c.Probe
		if !early {
			one.Delay, one.Successes, one.Period = c.delay, c.successes, c.period
			if c.delay > 0 && i < len(started) {
				one.Started = started[i]
			}
		}
		list = append(list, one)
	}
	for i, port := range ports {
		if s.bare && port > 0 && !slices.Contains(ports[:i], port) {
			list = append(list, fleet.Probe{Port: port, Timeout: time.Second})
		}
	}
	return list, len(list) <= maxProbes
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
			Scheme: cmp.Or(string(p.HTTPGet.Scheme), "HTTP"), Path: cmp.Or(p.HTTPGet.Path, "/"),
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
