package cluster

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// service is what is kept of a Service.
type service struct {
	objectName
	early    bool // it publishes pods before they are ready
	ports    []corev1.ServicePort
	selector string // of its pods, as labelText has it
}

func nameOfService(s *service) objectName { return s.objectName }

func keepService(s *corev1.Service) *service {
	out := &service{objectName: objectName{share(s.Namespace), s.Name}, early: s.Spec.PublishNotReadyAddresses, selector: share(labelText(s.Spec.Selector))}
	for _, p := range s.Spec.Ports {
		p.Name, p.Protocol, p.NodePort = share(p.Name), "", 0
		out.ports = append(out.ports, p)
	}
	return out
}

// slice is what is kept of an EndpointSlice: the pods that it calls ready.
type slice struct {
	objectName
	service string
	ready   []string
}

func nameOfSlice(s *slice) objectName    { return s.objectName }
func serviceOfSlice(s *slice) objectName { return objectName{s.namespace, s.service} }

func keepSlice(s *discoveryv1.EndpointSlice) *slice {
	out := &slice{objectName: objectName{share(s.Namespace), s.Name}, service: s.Labels[discoveryv1.LabelServiceName]}
	if out.service == "" {
		return out
	}
	for _, e := range s.Endpoints {
		if e.TargetRef != nil && e.TargetRef.Kind == "Pod" && e.Conditions.Ready != nil && *e.Conditions.Ready {
			out.ready = append(out.ready, e.TargetRef.Name)
		}
	}
	slices.Sort(out.ready) // a slice that only says the same in another order is no news
	out.ready = slices.Clip(out.ready)
	return out
}

// endpointReady are the pods that the Services' slices call ready. A Service that publishes pods
// before they are ready says nothing about them.
func (w *Watcher) endpointReady(places []place) map[string]bool {
	ready := map[string]bool{}
	for _, p := range places {
		if p.service == nil || p.service.early {
			continue
		}
		for _, s := range w.slices.in(p.service.objectName) {
			for _, name := range s.ready {
				ready[name] = true
			}
		}
	}
	return ready
}
