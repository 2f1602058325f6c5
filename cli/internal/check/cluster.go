package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/cli/internal/show"
)

func resource(f Facts) []Finding {
	if f.Resource != nil {
		return one("resource", Fault, "kubectl apply -k kustomize/base/crd, or the Helm chart", "the API server does not serve CustomAutoscalers: %v", f.Resource)
	}
	return one("resource", OK, "", "the API server serves CustomAutoscalers")
}

const manyRestarts = 5

func pods(f Facts) []Finding {
	if f.PodsErr != nil {
		return unseen("pods", f.PodsErr)
	}
	var all []Finding
	ready := map[string]int{}
	for _, p := range f.Pods {
		if p.Ready {
			ready[p.Service]++
		} else {
			all = append(all, Finding{"pods", Fault, fmt.Sprintf("%s is not ready: %s", p.Name, cmp.Or(p.Why, "it does not say why")), "kubectl -n NAMESPACE describe pod " + p.Name})
		}
		if p.Restarts >= manyRestarts {
			all = append(all, Finding{"pods", Warning, fmt.Sprintf("%s was restarted %d times", p.Name, p.Restarts), "kubectl -n NAMESPACE logs --previous " + p.Name})
		}
	}
	for _, name := range []string{"autoscaler-controller", "load-balancer"} {
		switch ready[name] {
		case 0:
			all = append(all, Finding{"pods", Fault, "no pod of " + name + " is ready", "kubectl -n NAMESPACE get deployment " + name})
		case 1:
			all = append(all, Finding{"pods", Warning, name + " has one ready pod: while that is away nobody does its work", "in production two of each: kustomize/overlays/production"})
		}
	}
	return orWell(all, "pods", "%d of %d are ready", len(f.Pods), len(f.Pods))
}

func versions(f Facts) []Finding {
	if f.PodsErr != nil {
		return unseen("versions", f.PodsErr)
	}
	of := map[string][]string{}
	for _, p := range f.Pods {
		if p.Version != "" && !slices.Contains(of[p.Version], p.Service) {
			of[p.Version] = append(of[p.Version], p.Service)
		}
	}
	if len(of) < 2 {
		for version := range of {
			return one("versions", OK, "", "all pods are of %s", version)
		}
		return one("versions", Unseen, "", "the pods' images have no tag")
	}
	var parts []string
	for version, services := range of {
		slices.Sort(services)
		parts = append(parts, version+" ("+strings.Join(services, ", ")+")")
	}
	slices.Sort(parts)
	return one("versions", Warning, "end the rollout; services of a release and the next one run beside each other, others may not: UPGRADE.md", "pods of several versions run: %s", strings.Join(parts, ", "))
}

func leader(f Facts) []Finding {
	if f.LeasesErr != nil {
		return unseen("leader", f.LeasesErr)
	}
	if len(f.Leases) == 0 {
		return one("leader", Warning, "nothing, if one replica runs without leader election", "there is no Lease: nobody leads, or one replica does without")
	}
	var all []Finding
	for _, l := range f.Leases {
		age := f.Now.Sub(l.Renewed)
		switch {
		case l.Holder == "":
			all = append(all, Finding{"leader", Fault, fmt.Sprintf("nobody holds the Lease %s: nothing is scaled down", l.Name), "kubectl -n NAMESPACE logs deployment/autoscaler-controller"})
		case l.Lasts > 0 && age > 2*l.Lasts:
			all = append(all, Finding{"leader", Fault, fmt.Sprintf("%s holds the Lease %s and has not renewed it for %d s", l.Holder, l.Name, int(age.Seconds())), "look whether that pod runs, and whether the clocks agree (below)"})
		default:
			all = append(all, Finding{"leader", OK, fmt.Sprintf("%s leads (%s)", l.Holder, l.Name), ""})
		}
	}
	return all
}

func policies(f Facts) []Finding {
	switch {
	case f.PoliciesErr != nil:
		return unseen("network policies", f.PoliciesErr)
	case f.Policies == 0:
		return one("network policies", Warning, "kustomize/overlays/production has them, and the chart (networkPolicy.enabled); the network must enforce them", "the namespace is open: every pod of the cluster reaches the controller and the admin ports, and is asked for its token there")
	}
	return one("network policies", OK, "", "%s the namespace", show.Count(f.Policies, "policy closes", "policies close"))
}

// apart is how far clocks may be from each other.
const apart = 5 * time.Second

func clocks(f Facts) []Finding {
	var all []Finding
	for _, c := range f.Clocks {
		early, late := c.At.Sub(c.Between), c.Before.Sub(c.At) // it was read between the two
		off := max(early, late)
		if off <= apart {
			continue
		}
		way := "ahead of"
		if late > early {
			way = "behind"
		}
		all = append(all, Finding{"clocks", Warning, fmt.Sprintf("the clock of %s is %d s %s this machine's", c.Whose, int(off.Seconds()), way), "set them by NTP: ages, deadlines and certificates go by them"})
	}
	if len(all) == 0 && len(f.Clocks) > 0 {
		return one("clocks", OK, "", "%s with this machine's within %d s", show.Count(len(f.Clocks), "clock agrees", "clocks agree"), int(apart.Seconds()))
	}
	return all
}
