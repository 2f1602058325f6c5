package cluster

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// claim is a Deployment that a CustomAutoscaler may scale and route to.
type claim struct {
	by     autoscaler
	target target
}

// resolve gives each Deployment, and each address (prefix and hosts), to one CustomAutoscaler: the
// oldest that names it, so that a new object never takes anything away. It returns, for those that
// came too late, why.
func resolve(all []autoscaler) (map[fleet.Key]claim, map[fleet.Autoscaler][]string) {
	slices.SortFunc(all, func(a, b autoscaler) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	claims := map[fleet.Key]claim{}
	refused := map[fleet.Autoscaler][]string{}
	byPrefix := map[string][]claim{}
	for _, a := range all {
		for _, t := range a.targets {
			k := fleet.Key{Namespace: a.Namespace, Deployment: t.name}
			if first, taken := claims[k]; taken {
				refused[a.Autoscaler] = append(refused[a.Autoscaler], fmt.Sprintf(
					"the Deployment %s belongs to the CustomAutoscaler %s, which is older", t.name, first.by.Name))
				continue
			}
			if first, taken := overlapping(byPrefix[t.prefix], t.hosts); taken {
				refused[a.Autoscaler] = append(refused[a.Autoscaler], fmt.Sprintf(
					"%s: apiPrefix %s belongs to the CustomAutoscaler %s/%s, which is older", t.name, t.prefix, first.by.Namespace, first.by.Name))
				continue
			}
			c := claim{by: a, target: t}
			claims[k] = c
			byPrefix[t.prefix] = append(byPrefix[t.prefix], c)
		}
	}
	return claims, refused
}

// overlapping finds a claim of the same prefix for the same requests: both for every host, or both
// for one host. A host by name goes before "every host", so these two do not meet.
func overlapping(claims []claim, hosts []string) (claim, bool) {
	for _, c := range claims {
		if len(c.target.hosts) == 0 && len(hosts) == 0 {
			return c, true
		}
		for _, h := range hosts {
			if slices.Contains(c.target.hosts, h) {
				return c, true
			}
		}
	}
	return claim{}, false
}
