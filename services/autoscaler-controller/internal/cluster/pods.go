package cluster

import (
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// observePod says what the cluster says of a pod that is reached at these places, at least one.
// endpointReady is an EndpointSlice's word; early, that its checks may be made from the first moment.
func observePod(places []place, p *pod, endpointReady, early bool) (fleet.Pod, string) {
	return newSurvey(places, early).pod(p, endpointReady)
}

// survey says what the cluster says of an application's pods. What follows from their template alone is
// worked out once for all that share it.
type survey struct {
	places []place
	early  bool
	of     map[*shape]*surveyed
}

type surveyed struct {
	ports     []int32 // that serve each place; 0 is none
	problem   string  // the first that could not be resolved as written
	probes    []fleet.Probe
	probeable bool
}

func newSurvey(places []place, early bool) *survey {
	return &survey{places: places, early: early, of: map[*shape]*surveyed{}}
}

func (s *survey) shape(p *shape) *surveyed {
	if known, ok := s.of[p]; ok {
		return known
	}
	one := &surveyed{}
	one.ports, one.problem = podPorts(s.places, p)
	one.probes, one.probeable = p.probes(one.ports, nil, s.early)
	s.of[p] = one
	return one
}

func (s *survey) pod(p *pod, endpointReady bool) (fleet.Pod, string) {
	form := s.shape(p.shape)
	out := fleet.Pod{
		Name: p.name, Node: p.node, Scheduled: p.node != "", Terminating: p.terminating, Failed: p.failed,
		EndpointReady: endpointReady, CreatedAt: p.created, Started: p.running, Revision: p.revision,
		Cost: p.cost, Mark: p.mark, Restarts: p.restarts, Ready: p.ready, ReadyAt: p.readyAt, WasReady: p.wasReady,
		Message: p.message, Stuck: p.stuck,
	}
	if p.ip != "" && form.ports[0] > 0 {
		out.Address = hostPort(p.ip, form.ports[0])
		out.AlsoAt = furtherAddresses(p.ip, form.ports[1:])
		out.Probes, out.Probeable = form.probes, form.probeable
		if p.started != nil && !s.early {
			out.Probes, out.Probeable = p.shape.probes(form.ports, p.started, false)
		}
	}
	return out, form.problem
}
