package proxy

import (
	"fmt"
	"net/http"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/redirect"
)

// secured sends a request that came in clear to the same over TLS, where that is wanted; moved tells
// that it was answered so.
func (x *exchange) secured() (moved bool, err error) {
	if x.p.o.HTTPSPort == 0 {
		return false, nil
	}
	peer := x.c.Peer()
	url, clear := redirect.To(redirect.Request{
		Secure: peer.TLS, Trusted: x.trusts(peer.IP), ForwardedProto: x.r.Fields.First(message.XForwardedProto), Host: x.r.Host, Target: x.r.Target,
	}, x.p.o.HTTPSPort)
	switch {
	case !clear:
		return false, nil
	case url == "":
		return false, fault.New(fault.Invalid, "the request came in clear, and there is no URL of the same over TLS").
			With("Host", "", "a name or an address, and a target that begins with /")
	}
	x.status = redirect.Status
	x.answerAdd = append(x.answerAdd[:0], message.Field{Name: "Location", Value: url, Known: message.Location})
	x.answered = x.answerAdd
	x.c.Interrupt() // the body is wanted there
	err = x.c.Begin(&Head{Status: x.status, Reason: http.StatusText(x.status), Add: x.answerAdd, Close: x.r.HasBody()})
	if err == nil {
		err = x.c.End(nil)
	}
	if err != nil {
		x.fault = fmt.Errorf("write to the client: %w", err)
	}
	return true, nil
}
