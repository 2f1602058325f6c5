package dispatch

import "github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"

// Reach is where the pod is reached by requests for the application's address with this prefix, as a match
// has it, and in which protocol. further: it is not the application's own address. "": the pod has no port
// for it.
func (p *Pod) Reach(prefix string) (address string, protocol routing.Protocol, further bool) {
	if route := p.app.Route(); len(route.AlsoAt) == 0 {
		return p.Address, route.Protocol, false
	}
	p.app.mu.Lock() // so that the route and the pods' ports are of one update
	defer p.app.mu.Unlock()
	route := p.app.Route()
	i := route.FurtherAt(prefix)
	switch {
	case i < 0:
		return p.Address, route.Protocol, false
	case p == p.app.service:
		address = route.AlsoAt[i].ServiceAddress
	case i < len(p.endpoint.AlsoAt):
		address = p.endpoint.AlsoAt[i]
	}
	return address, route.AlsoAt[i].Protocol, true
}
