package cluster

import (
	"cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// place is one target of an application with the Service that it names.
type place struct {
	target  contract.Target
	service *service // nil: none is named, or it does not exist
}

func (w *Watcher) places(c claim) []place {
	list := make([]place, 0, len(c.targets))
	for _, t := range c.targets {
		p := place{target: t}
		if t.Service != "" {
			p.service = w.services.get(objectName{c.by.Namespace, t.Service})
		}
		list = append(list, p)
	}
	return list
}

// address is how clients reach the application, at its own address and at further ones. How its pods are
// chosen is said once: where several targets say it, by the first.
func address(places []place, c claim) fleet.Address {
	own := places[0]
	out := fleet.Address{
		Prefix: own.target.Prefix, Hosts: own.target.Hosts, StripPrefix: own.target.StripPrefix, RewriteAnswers: own.target.RewriteAnswers,
		H2C: speaksH2C(own.target, own.service), Service: serviceAddress(c.by.Namespace, own.target, own.service),
		Algorithm: own.target.Algorithm, Hash: own.target.Hash, Concurrency: c.by.Concurrency,
	}
	for _, p := range places[1:] {
		out.AlsoAt = append(out.AlsoAt, fleet.Place{
			Prefix: p.target.Prefix, Hosts: p.target.Hosts, StripPrefix: p.target.StripPrefix, RewriteAnswers: p.target.RewriteAnswers,
			H2C: speaksH2C(p.target, p.service), Service: serviceAddress(c.by.Namespace, p.target, p.service),
		})
	}
	return out
}

// podPorts are the ports of the pod that serve each place; 0 is none. problem is the first that could not
// be resolved as written.
func podPorts(places []place, pod *shape) (ports []int32, problem string) {
	for _, p := range places {
		port, why := podPort(p.target, p.service, pod)
		ports = append(ports, port)
		problem = cmp.Or(problem, why)
	}
	return ports, problem
}

// furtherAddresses are those of a pod at further places; "" where it has none.
func furtherAddresses(ip string, ports []int32) []string {
	if len(ports) == 0 {
		return nil
	}
	list := make([]string, len(ports))
	for i, port := range ports {
		if port > 0 {
			list[i] = hostPort(ip, port)
		}
	}
	return list
}
