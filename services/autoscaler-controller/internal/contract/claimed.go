package contract

import (
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// mostClaims is how many the contract lets a status keep, as many as there are targets.
const mostClaims = 16

// Claim is what an entry of a spec's targets asks for, and since when.
type Claim struct {
	Deployment string
	Prefix     string
	Hosts      []string // none: every host
	Since      time.Time
}

// Claims are those that it keeps, and the generation of the spec that they are of; 0: none.
func (s Status) Claims() (list []Claim, generation int64) {
	kept := value(s.said.Claims, nil)
	for _, c := range kept[:min(len(kept), mostClaims)] {
		list = append(list, Claim{Deployment: c.Deployment, Prefix: c.ApiPrefix, Hosts: value(c.Hosts, nil), Since: c.ClaimedSince})
	}
	return list, value(s.said.ObservedGeneration, 0)
}

// WithClaimsOf is the same with the claims of another one, if it has none: a resource that is older than this
// process does not keep them, and they are not to be written again and again.
func (s Status) WithClaimsOf(other Status) Status {
	if s.said.Claims == nil {
		s.said.Claims = other.said.Claims
	}
	return s
}

// claimed are claims as a status keeps them; nil is none.
func claimed(list []Claim) *[]autoscaler.ClaimStatus {
	if len(list) == 0 {
		return nil
	}
	var out []autoscaler.ClaimStatus
	for _, c := range list[:min(len(list), mostClaims)] {
		one := autoscaler.ClaimStatus{Deployment: c.Deployment, ApiPrefix: c.Prefix, ClaimedSince: c.Since.UTC()}
		if len(c.Hosts) > 0 {
			hosts := slices.Clone(c.Hosts)
			one.Hosts = &hosts
		}
		out = append(out, one)
	}
	return &out
}

// sameClaims tells whether two statuses keep the same.
func (s Status) sameClaims(other Status) bool {
	a, _ := s.Claims()
	b, _ := other.Claims()
	return slices.EqualFunc(a, b, func(a, b Claim) bool { return a.Since.Equal(b.Since) && a.Same(b) })
}

// Same tells whether two ask for the same, in the same words.
func (c Claim) Same(other Claim) bool {
	return c.Deployment == other.Deployment && c.Prefix == other.Prefix && slices.Equal(c.Hosts, other.Hosts)
}
