package routing

// Place is a further address of an application: another prefix, and perhaps another port of its pods.
type Place struct {
	Prefix         string
	Hosts          []string
	StripPrefix    bool
	RewriteAnswers bool
	Protocol       Protocol
	ServiceAddress string // host:port to fall back to while the controller is away; "" is none
}

// FurtherAt is which of the route's further addresses has the prefix, as a Match has it; -1 is that it is
// the route's own, or none any more.
func (r *Route) FurtherAt(prefix string) int {
	if len(r.AlsoAt) == 0 || trimPrefix(r.Prefix) == prefix {
		return -1
	}
	for i := range r.AlsoAt {
		if trimPrefix(r.AlsoAt[i].Prefix) == prefix {
			return i
		}
	}
	return -1
}

// Place is one of its addresses; -1 is its own.
func (r *Route) Place(further int) Place {
	if further >= 0 && further < len(r.AlsoAt) {
		return r.AlsoAt[further]
	}
	return Place{
		Prefix: r.Prefix, Hosts: r.Hosts, StripPrefix: r.StripPrefix, RewriteAnswers: r.RewriteAnswers,
		Protocol: r.Protocol, ServiceAddress: r.ServiceAddress,
	}
}

// each are the routes as if every address were an application of its own.
func each(routes []Route) []Route {
	all := make([]Route, 0, len(routes))
	for _, r := range routes {
		all = append(all, r)
		for _, p := range r.AlsoAt {
			r.Prefix, r.Hosts, r.StripPrefix, r.RewriteAnswers, r.Protocol, r.ServiceAddress = p.Prefix, p.Hosts, p.StripPrefix, p.RewriteAnswers, p.Protocol, p.ServiceAddress
			all = append(all, r)
		}
	}
	return all
}
