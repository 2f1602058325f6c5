package contract

import (
	"fmt"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func hashOn(h *autoscaler.ConsistentHashKey) fleet.HashOn {
	if h == nil {
		return fleet.HashOn{}
	}
	return fleet.HashOn{
		Header: value(h.Header, ""), Cookie: value(h.Cookie, ""), Query: value(h.Query, ""),
		ClientAddress: value(h.ClientAddress, false), MCPSession: value(h.McpSession, false),
	}
}

// hashFaults: exactly one must be given. An algorithm that is not known is no fault: the load balancers
// may be newer, and say what they do.
func hashFaults(field string, h *autoscaler.ConsistentHashKey) []error {
	if h == nil {
		return nil
	}
	given, on := 0, hashOn(h)
	for _, is := range []bool{on.Header != "", on.Cookie != "", on.Query != "", on.ClientAddress, on.MCPSession} {
		if is {
			given++
		}
	}
	if given != 1 {
		return []error{fmt.Errorf("%s.consistentHash: %d are given: must be exactly one of header, cookie, query, clientAddress (true) and mcpSession (true)", field, given)}
	}
	return nil
}
