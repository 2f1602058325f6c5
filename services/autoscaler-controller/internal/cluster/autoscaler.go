package cluster

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/claims"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// autoscaler is a CustomAutoscaler as far as it is needed here.
type autoscaler struct {
	fleet.Autoscaler
	contract.Spec
	created    time.Time
	written    time.Time // when its spec was last written, as far as that is known
	generation int64
	uid        string
	malformed  error // the object cannot be read; the rest is what was last known
}

// decode reads an object.
func decode(u *unstructured.Unstructured) (autoscaler, error) {
	spec, err := contract.ReadSpec(u.Object)
	return autoscaler{
		Autoscaler: fleet.Autoscaler{Namespace: u.GetNamespace(), Name: u.GetName()}, Spec: spec,
		created: u.GetCreationTimestamp().Time, written: lastWritten(u), generation: u.GetGeneration(), uid: string(u.GetUID()),
	}, err
}

// claimed is what it claims.
func (a autoscaler) claimed() claims.Object {
	o := claims.Object{Autoscaler: a.Autoscaler, Created: a.created}
	for _, t := range a.Targets {
		o.Targets = append(o.Targets, claims.Target{Deployment: t.Name, Prefix: t.Prefix, Hosts: t.Hosts})
	}
	return o
}

// claim is a Deployment that a CustomAutoscaler may scale and route to, at these of its targets.
type claim struct {
	by      autoscaler
	targets []contract.Target // at least one; the first names the application's own address
}

// resolve gives each Deployment and each address to one CustomAutoscaler. It returns, for those that came
// too late, why.
func resolve(all map[fleet.Autoscaler]autoscaler) (map[fleet.Key]claim, map[fleet.Autoscaler][]string) {
	objects := make([]claims.Object, 0, len(all))
	for _, a := range all {
		objects = append(objects, a.claimed())
	}
	owned, refused := claims.Resolve(objects)
	out := make(map[fleet.Key]claim, len(owned))
	for k, c := range owned {
		by := all[c.By]
		one := claim{by: by, targets: make([]contract.Target, len(c.Targets))}
		for i, at := range c.Targets {
			one.targets[i] = by.Targets[at]
		}
		out[k] = one
	}
	return out, refused
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
