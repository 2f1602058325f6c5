package check

import (
	"fmt"
	"slices"
	"strings"
)

// Right is one of the controller's rights. Whether it has it, the API server says.
type Right struct {
	Group, Resource, Subresource, Verb string
	Name                               string // of the one object that it is for; "": of all
	System                             bool   // in the namespace where Nemesis runs, and not in all

	Allowed bool
}

// ControllerRights are those that the controller needs in every installation, as the manifests give them. Where a rule names several
// objects the first one stands for all.
func ControllerRights() []Right {
	var all []Right
	add := func(system bool, group, resource, name string, verbs ...string) {
		resource, sub, _ := strings.Cut(resource, "/")
		for _, verb := range verbs {
			all = append(all, Right{Group: group, Resource: resource, Subresource: sub, Verb: verb, Name: name, System: system})
		}
	}
	add(false, "autoscaler-group.autoscaler", "customautoscalers", "", "get", "list", "watch")
	add(false, "autoscaler-group.autoscaler", "customautoscalers/status", "", "patch")
	add(false, "authentication.k8s.io", "tokenreviews", "", "create")
	add(false, "autoscaler-group.autoscaler", "claimpolicies", "", "list", "watch")
	add(false, "", "namespaces", "", "list", "watch")
	add(false, "apps", "deployments", "", "list", "watch")
	add(false, "apps", "deployments/scale", "", "get", "patch")
	add(false, "", "pods", "", "list", "watch", "patch")
	add(false, "", "services", "", "list", "watch")
	add(false, "discovery.k8s.io", "endpointslices", "", "list", "watch")
	add(false, "metrics.k8s.io", "pods", "", "list")
	add(false, "autoscaling", "horizontalpodautoscalers", "", "list", "watch")
	add(false, "keda.sh", "scaledobjects", "", "list", "watch")
	add(false, "", "configmaps", "nemesis-ca", "list", "watch", "patch", "create", "delete")
	add(false, "", "events", "", "create", "patch")
	add(true, "coordination.k8s.io", "leases", "", "create")
	add(true, "coordination.k8s.io", "leases", "autoscaler-controller", "get", "update")
	add(true, "", "pods", "", "list", "watch")
	add(true, "", "configmaps", "load-balancer-settings", "list", "watch", "patch", "create")
	add(true, "", "configmaps", "history-0", "get", "patch", "create")
	add(true, "", "secrets", "nemesis-ca-key", "list", "watch", "patch", "create", "update")
	return all
}

// clusterScoped are resources that no Role gives: an installation in one namespace does without them.
var clusterScoped = []string{"tokenreviews", "claimpolicies", "namespaces"}

func (r Right) object() string {
	text := r.Resource
	if r.Subresource != "" {
		text += "/" + r.Subresource
	}
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Name != "" {
		text += " " + r.Name
	}
	return text
}

// rights looks at the controller's. In an installation in one namespace it has them there, by a Role.
func rights(f Facts) []Finding {
	if f.RightsErr != nil {
		return unseen("rights", f.RightsErr)
	}
	var order []string
	missing, allowed := map[string][]string{}, 0
	for _, r := range f.Rights {
		if r.Allowed {
			allowed++
			continue
		}
		if f.OneNamespace && slices.Contains(clusterScoped, r.Resource) {
			continue
		}
		what := r.object()
		if r.System {
			what += " in " + f.System
		}
		if missing[what] == nil {
			order = append(order, what)
		}
		missing[what] = append(missing[what], r.Verb)
	}
	var all []Finding
	for _, what := range order {
		all = append(all, Finding{"rights", Fault, fmt.Sprintf("the controller may not %s %s", strings.Join(missing[what], ", "), what),
			"kubectl apply -k kustomize/base/autoscaler-controller, or the Helm chart; what each is for: RBAC.md there"})
	}
	where := "in all namespaces"
	if f.OneNamespace {
		where = "in its namespace alone"
	}
	return orWell(all, "rights", "the controller has the %d that it needs, %s", allowed, where)
}
