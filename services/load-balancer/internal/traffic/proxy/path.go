package proxy

import (
	"errors"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// errNoPort is that the pod has no port for the address that was asked for.
var errNoPort = errors.New("the pod has no port for this address of its application")

// locate notes at which of its addresses the application was asked.
func (x *exchange) locate(prefix string) {
	route := x.match.Target.Route()
	further := route.FurtherAt(prefix)
	x.at = prefix
	x.place, x.further = route.Place(further), further >= 0
}

// address finds where the visit's pod is reached. A further address that the application has no more is
// no other one of it.
func (x *exchange) address() error {
	address, protocol, further := x.visit.Pod.Reach(x.at)
	x.to = Destination{Address: address, Protocol: protocol}
	switch {
	case x.further && !further:
		x.pod = nil
		return dispatch.ErrNoRoute
	case address == "":
		x.pod = nil
		return errNoPort
	}
	x.further = further
	return nil
}

// stripped tells whether the pod gets the path without the application's prefix.
func (x *exchange) stripped() bool {
	return x.match.Prefix != "" && x.place.StripPrefix
}

// podPath is the path that the pod is asked for. A client's arrives as it was sent, byte for byte;
// an order's was normalised when it was made.
func (x *exchange) podPath() string {
	switch {
	case x.match.Prefix != "" && !x.stripped():
		return x.r.Path
	case x.call:
		return x.match.Path
	}
	return x.match.Raw
}
