package cluster

import (
	"fmt"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// balancing is the JSON of how pods are chosen, a part of a CustomAutoscaler's spec and of each target.
type balancing struct {
	Algorithm string      `json:"loadBalancingAlgorithm"` // "" is as the load balancers' settings say
	Hash      *hashInSpec `json:"consistentHash"`
}

type hashInSpec struct {
	Header        string `json:"header"`
	Cookie        string `json:"cookie"`
	Query         string `json:"query"`
	ClientAddress bool   `json:"clientAddress"`
	MCPSession    bool   `json:"mcpSession"`
}

// over is what a target says over what is said for all.
func (b balancing) over(all balancing) balancing {
	if b.Algorithm == "" {
		b.Algorithm = all.Algorithm
	}
	if b.Hash == nil {
		b.Hash = all.Hash
	}
	return b
}

func (b balancing) hash() fleet.HashOn {
	if b.Hash == nil {
		return fleet.HashOn{}
	}
	return fleet.HashOn(*b.Hash)
}

// faults are those that the CustomResourceDefinition keeps out; it may be another version of it that did.
// An algorithm that is not known is none: the load balancers may be newer, and say what they do.
func (b balancing) faults(field string) []error {
	if b.Hash == nil {
		return nil
	}
	given := 0
	for _, is := range []bool{b.Hash.Header != "", b.Hash.Cookie != "", b.Hash.Query != "", b.Hash.ClientAddress, b.Hash.MCPSession} {
		if is {
			given++
		}
	}
	if given != 1 {
		return []error{fmt.Errorf("%s.consistentHash: %d are given: must be exactly one of header, cookie, query, clientAddress (true) and mcpSession (true)", field, given)}
	}
	return nil
}
