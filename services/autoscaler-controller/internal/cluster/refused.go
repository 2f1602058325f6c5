package cluster

import (
	"cmp"
	"slices"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// refusedOf is what a CustomAutoscaler asks for a Deployment and has not.
func (w *Watcher) refusedOf(a fleet.Autoscaler, deployment string) []fleet.RefusedClaim {
	known, there := w.autoscalers.get(a)
	if !there {
		return nil
	}
	return slices.DeleteFunc(known.refusedClaims(), func(c fleet.RefusedClaim) bool { return c.Deployment != deployment })
}

// refusedKeys are the Deployments for which a CustomAutoscaler is refused something.
func (w *Watcher) refusedKeys(a fleet.Autoscaler) []fleet.Key {
	known, _ := w.autoscalers.get(a)
	list := known.refusedClaims()
	keys := make([]fleet.Key, len(list))
	for i, c := range list {
		keys[i] = fleet.Key{Namespace: a.Namespace, Deployment: c.Deployment}
	}
	return keys
}

// RefusedClaims are all claims that are refused now, by namespace, Deployment and CustomAutoscaler.
func (w *Watcher) RefusedClaims() []fleet.RefusedClaim {
	var all []fleet.RefusedClaim
	w.autoscalers.each(func(e *entry) { all = append(all, e.refusedClaims()...) })
	slices.SortStableFunc(all, func(a, b fleet.RefusedClaim) int {
		return cmp.Or(cmp.Compare(a.Of.Namespace, b.Of.Namespace), cmp.Compare(a.Deployment, b.Deployment), cmp.Compare(a.Of.Name, b.Of.Name))
	})
	return all
}

// refusedClaims are the claims that one is refused, in the order of its targets.
func (e *entry) refusedClaims() []fleet.RefusedClaim {
	var list []fleet.RefusedClaim
	for _, r := range e.refused {
		if r.Place >= len(e.said.Targets) {
			continue // of a spec that has just been replaced: it is looked at anew
		}
		t := e.said.Targets[r.Place]
		list = append(list, fleet.RefusedClaim{
			Of: e.said.Autoscaler, Deployment: t.Name, Prefix: t.Prefix, Hosts: t.Hosts, Text: r.Text, Foreign: r.Foreign, By: r.By,
		})
	}
	return list
}
