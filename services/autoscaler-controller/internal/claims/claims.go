// Package claims decides who owns what: which CustomAutoscaler scales a Deployment, and to which
// Deployment the requests for a host and prefix go. It is pure: objects in, owners and refusals with
// their reasons out.
//
// Of two that ask for the same the older claim has it, so that neither a new object nor an edit ever takes
// anything away: what an object asked for when it was created is as old as the object, what an edit adds is as
// old as the edit (see since.go). Of two claims that are as old it is the one whose namespace and name come
// first. Within an object the older claims go first, then those that come first in its list, and a Deployment
// may be reached at several of them.
//
// Within a namespace a longer prefix may be taken out of a shorter one, and a host out of a prefix of every
// host. Another namespace may do neither: there the whole overlap counts as the same (see overlap.go), unless
// a Policy says otherwise, or the prefix lies below the namespace's own name, which is always its own.
package claims

import (
	"cmp"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Object is a CustomAutoscaler as far as it claims something.
type Object struct {
	fleet.Autoscaler
	Created time.Time
	Targets []Target
}

// Target is an address at which it wants a Deployment of its namespace to be reached.
type Target struct {
	Deployment string
	Prefix     string
	Hosts      []string // none: every host
	// Since is when it began to be asked for; before the object was created: since then. What is asked for is
	// a Deployment, a prefix and hosts: with another one of them it is another claim.
	Since time.Time
}

// Claim is a Deployment that a CustomAutoscaler owns, and at which of its targets it is reached: their
// places in Object.Targets, in order, at least one.
type Claim struct {
	By      fleet.Autoscaler
	Targets []int
}

// Refusal is a target that an object has not.
type Refusal struct {
	Text    string           // for whoever may see the object: it names nothing of another namespace
	Foreign bool             // another namespace has it, or a Policy gives it to others
	By      fleet.Autoscaler // who has it, for the log; the zero value: a Policy decides
	Place   int              // of the target in Object.Targets
}

// sameClaims tells whether two objects ask for the same, since the same time.
func sameClaims(a, b *Object) bool {
	return a.Created.Equal(b.Created) && slices.EqualFunc(a.Targets, b.Targets, func(s, t Target) bool {
		return s.Deployment == t.Deployment && s.Prefix == t.Prefix && slices.Equal(s.Hosts, t.Hosts) && a.age(s).Equal(b.age(t))
	})
}

func compare(a, b fleet.Autoscaler) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
