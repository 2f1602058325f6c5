package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/claims"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
)

// ClaimPolicies say which namespaces may claim what. The cluster need not have the kind, and this process
// need not have the right to read it: services may go out before the resource and the roles.
var claimPolicies = schema.GroupVersionResource{Group: Resource.Group, Version: Resource.Version, Resource: "claimpolicies"}

const namespacesKind = "namespaces"

// lacking is a kind that may not be there, or not be this process's to read: then there is no object of it.
// Of what was read once, a right that is taken away takes nothing back: what was known goes on to hold.
type lacking[L runtime.Object] struct {
	source[L]
	none func() L
	had  *atomic.Bool
}

// List lists none where nothing can be listed.
func (l lacking[L]) List(ctx context.Context, options metav1.ListOptions) (L, error) {
	found, err := l.source.List(ctx, options)
	if err == nil {
		l.had.Store(true)
	}
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) && !l.had.Load() {
		return l.none(), nil
	}
	return found, err
}

func mayLack[L runtime.Object](from source[L], none func() L) lacking[L] {
	return lacking[L]{source: from, none: none, had: &atomic.Bool{}}
}

// claimPolicy is what is kept of a ClaimPolicy.
type claimPolicy struct {
	objectName
	rules []claimRule
}

// claimRule is one of its rules. One of whose namespaces nothing can be read is given to nobody.
type claimRule struct {
	contract.ClaimRule
	labels labels.Selector // nil: not by labels
}

// namespace is what is kept of a namespace.
type namespace struct {
	objectName
	labels labels.Set
}

func nameOfPolicy(p *claimPolicy) objectName  { return p.objectName }
func nameOfNamespace(n *namespace) objectName { return n.objectName }

func (w *Watcher) keepPolicy(u *unstructured.Unstructured) *claimPolicy {
	p := &claimPolicy{objectName: objectName{name: u.GetName()}}
	rules, err := contract.ReadClaimRules(u.Object)
	if err != nil {
		w.log.Warn("malformed ClaimPolicy: nothing of it holds", "policy", p.name, "error", err)
	}
	for i, r := range rules {
		one := claimRule{ClaimRule: r}
		if r.Selector != nil {
			if one.labels, err = compile(r.Selector); err != nil {
				w.log.Warn("malformed rule of a ClaimPolicy: it gives what it speaks of to nobody", "policy", p.name, "rule", i, "error", err)
			}
		}
		p.rules = append(p.rules, one)
	}
	return p
}

func compile(s *contract.Selector) (labels.Selector, error) {
	of := &metav1.LabelSelector{MatchLabels: s.Labels}
	for _, e := range s.Expressions {
		of.MatchExpressions = append(of.MatchExpressions, metav1.LabelSelectorRequirement{Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator), Values: e.Values})
	}
	return metav1.LabelSelectorAsSelector(of) //nolint:wrapcheck // it names the key and the operator; the caller logs it
}

func keepNamespace(n *corev1.Namespace) *namespace {
	out := &namespace{objectName: objectName{name: share(n.Name)}, labels: make(labels.Set, len(n.Labels))}
	for k, v := range n.Labels {
		out.labels[share(k)] = share(v)
	}
	return out
}

// gives tells whether a rule gives what it speaks of to a namespace.
func (w *Watcher) gives(r claimRule, name string) bool {
	if r.All || slices.Contains(r.Names, name) {
		return true
	}
	if r.labels == nil {
		return false
	}
	known := w.namespaces.get(objectName{name: name})
	return known != nil && r.labels.Matches(known.labels)
}

// govern takes the policies as they are now.
func (w *Watcher) govern(touched []objectName) {
	if len(touched) == 0 {
		return
	}
	w.turn.Lock()
	defer w.turn.Unlock()
	var policy claims.Policy
	w.byLabels = false
	all := w.policies.all()
	slices.SortFunc(all, func(a, b *claimPolicy) int { return cmp.Compare(a.name, b.name) })
	for _, p := range all {
		for _, r := range p.rules {
			w.byLabels = w.byLabels || r.labels != nil
			policy.Rules = append(policy.Rules, claims.Rule{
				Hosts: r.Hosts, Prefixes: r.Prefixes, From: func(name string) bool { return w.gives(r, name) },
			})
		}
	}
	w.apply(w.index.Govern(policy), nil)
}

// relabelled looks again at what namespaces may claim whose labels have changed.
func (w *Watcher) relabelled(touched []objectName) {
	w.turn.Lock()
	defer w.turn.Unlock()
	if !w.byLabels || len(touched) == 0 {
		return
	}
	names := make(map[string]struct{}, len(touched))
	for _, n := range touched {
		names[n.name] = struct{}{}
	}
	w.apply(w.index.Reconsider(names), nil)
}

// quiet tells whether that a kind cannot be followed is no fault, or is said already.
func (w *Watcher) quiet(name string, err error) bool {
	switch name {
	case scaledObjects.Resource:
		return apierrors.IsNotFound(err)
	case claimPolicies.Resource, namespacesKind:
		if apierrors.IsForbidden(err) {
			_, said := w.forbidden.LoadOrStore(name, true)
			return said
		}
		return apierrors.IsNotFound(err)
	}
	return false
}

// maxRefusalsLogged is how many refusals are logged one by one when the caches are whole.
const maxRefusalsLogged = 100

// logRefusals says who keeps a CustomAutoscaler from what. This is for whoever runs the cluster: the status
// names nobody of another namespace.
func (w *Watcher) logRefusals(a objectName, refused []claims.Refusal) {
	for _, r := range refused {
		by := "ClaimPolicy"
		if r.By.Name != "" {
			by = r.By.Namespace + "/" + r.By.Name
		}
		w.log.Info("claim refused", "namespace", a.namespace, "autoscaler", a.name, "heldBy", by, "why", r.Text)
	}
}

// Refusals counts targets that are refused, by who has what they ask for.
type Refusals struct {
	Own     int // another CustomAutoscaler of the namespace, or the same one
	Foreign int // another namespace
	Policy  int // a ClaimPolicy gives it to other namespaces
}

// Refusals counts the targets that are refused now.
func (w *Watcher) Refusals() Refusals {
	var n Refusals
	w.autoscalers.each(func(e *entry) {
		for _, r := range e.refused {
			switch {
			case !r.Foreign:
				n.Own++
			case r.By.Name == "":
				n.Policy++
			default:
				n.Foreign++
			}
		}
	})
	return n
}
