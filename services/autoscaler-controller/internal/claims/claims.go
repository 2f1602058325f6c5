// Package claims decides who owns what: which CustomAutoscaler scales a Deployment, and to which
// Deployment the requests for a host and prefix go. It is pure: objects in, owners and refusals with
// their reasons out.
//
// Of two that ask for the same the older one has it, so that a new object never takes anything away; of two
// that are as old, the one whose namespace and name come first. Within an object the order of its entries
// counts, and a Deployment may be reached at several of them.
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
}

// before is the order in which objects choose.
func (o *Object) before(other *Object) bool { return compareAge(o, other) < 0 }

func compareAge(a, b *Object) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// sameClaims tells whether two objects ask for the same, and are as old.
func sameClaims(a, b *Object) bool {
	return a.Created.Equal(b.Created) && slices.EqualFunc(a.Targets, b.Targets, func(s, t Target) bool {
		return s.Deployment == t.Deployment && s.Prefix == t.Prefix && slices.Equal(s.Hosts, t.Hosts)
	})
}

func compare(a, b fleet.Autoscaler) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
