// Package claims decides who owns what: which CustomAutoscaler scales a Deployment, and to which
// Deployment the requests for a host and prefix go. It is pure: objects in, owners and refusals with
// their reasons out.
//
// Of two that name the same the older one has it, so that a new object never takes anything away; of two
// that are as old, the one whose namespace and name come first. Within an object the order of its entries
// counts, and a Deployment may be reached at several of them.
package claims

import (
	"cmp"
	"fmt"
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

// Resolve gives each Deployment, and each address, to one CustomAutoscaler. It returns, for those that
// came too late, why.
func Resolve(objects []Object) (map[fleet.Key]Claim, map[fleet.Autoscaler][]string) {
	ordered := slices.SortedFunc(slices.Values(objects), func(a, b Object) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	claims, refused := map[fleet.Key]Claim{}, map[fleet.Autoscaler][]string{}
	taken := addresses{}
	for _, o := range ordered {
		for i, t := range o.Targets {
			k := fleet.Key{Namespace: o.Namespace, Deployment: t.Deployment}
			c, owned := claims[k]
			if owned && c.By != o.Autoscaler {
				refused[o.Autoscaler] = append(refused[o.Autoscaler], fmt.Sprintf(
					"the Deployment %s belongs to the CustomAutoscaler %s, which is older", t.Deployment, c.By.Name))
				continue
			}
			if by, found := taken.overlapping(t); found {
				refused[o.Autoscaler] = append(refused[o.Autoscaler], conflict(t, by, o.Autoscaler))
				continue
			}
			claims[k] = Claim{By: o.Autoscaler, Targets: append(c.Targets, i)}
			taken.take(t, o.Autoscaler)
		}
	}
	return claims, refused
}

func conflict(t Target, by, asked fleet.Autoscaler) string {
	if by == asked {
		return fmt.Sprintf("%s: apiPrefix %s is given twice, for the same hosts", t.Deployment, t.Prefix)
	}
	return fmt.Sprintf("%s: apiPrefix %s belongs to the CustomAutoscaler %s/%s, which is older", t.Deployment, t.Prefix, by.Namespace, by.Name)
}

// addresses are those that are taken.
type addresses map[point]taker

type taker struct {
	by  fleet.Autoscaler
	nth int // in the order in which they were taken
}

// overlapping finds who was the first to take an address that is a target's too.
func (a addresses) overlapping(t Target) (by fleet.Autoscaler, found bool) {
	first := 0
	for p := range t.addresses() {
		if other, taken := a[p]; taken && (!found || other.nth < first) {
			by, first, found = other.by, other.nth, true
		}
	}
	return by, found
}

func (a addresses) take(t Target, by fleet.Autoscaler) {
	nth := len(a)
	for p := range t.addresses() {
		a[p] = taker{by: by, nth: nth}
	}
}
