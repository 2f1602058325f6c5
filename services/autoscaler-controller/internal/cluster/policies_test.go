package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// in is a CustomAutoscaler of a namespace, so many seconds younger than others.
func in(ns, name string, younger int, targets ...any) *unstructured.Unstructured {
	u := object(name, 1, targets...)
	u.SetNamespace(ns)
	u.SetUID("uid-" + u.GetUID())
	u.SetCreationTimestamp(metav1.NewTime(day.Add(time.Duration(younger) * time.Second)))
	return u
}

// policyOf is a ClaimPolicy of one rule.
func policyOf(name string, rule map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{"rules": []any{rule}}}}
}

func namespaceOf(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// saysOnce is says where what is said again, of pods that are listed meanwhile, does not count.
func saysOnce(t *testing.T, w *world, what string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, distinct(w.sink.takes()), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// standsOf is how a CustomAutoscaler stands, in words.
func (w *world) standsOf(ns, name string) string {
	e, _ := w.autoscalers.get(fleet.Autoscaler{Namespace: ns, Name: name})
	s := e.standing()
	return fmt.Sprint(s.Foreign, " ", strings.Join(s.Refused, "; "))
}

func TestWatcher_AClaimOfAnotherNamespaceIsRefusedAndComesUp(t *testing.T) {
	var log bytes.Buffer
	older, late := in("shop", "theirs", 0, target("app", "/buy")), in("b", "mine", 1, target("app", "/buy/login"), target("own", "/b/x"))
	w := newWorld(t)
	w.log = slog.New(slog.NewTextHandler(&log, nil))
	w.see(late)
	saysOnce(t, w, "alone", "observe b/app", "observe b/own", "refresh b/mine")
	w.see(older)
	saysOnce(t, w, "the older one comes", "forget b/app", "observe shop/app", "refresh shop/theirs", "refresh b/mine")
	stands := w.standsOf("b", "mine")
	if !strings.HasPrefix(stands, "true ") || strings.Contains(stands, "theirs") || strings.Contains(stands, "shop") || !strings.Contains(stands, "/buy/login") {
		t.Errorf("it stands: %s", stands)
	}
	if said := log.String(); !strings.Contains(said, "claim refused") || !strings.Contains(said, "heldBy=shop/theirs") || !strings.Contains(said, "namespace=b autoscaler=mine") {
		t.Errorf("the log says %s", said)
	}
	if n := w.Refusals(); n != (Refusals{Foreign: 1}) {
		t.Errorf("refused are %+v", n)
	}
	refused := w.RefusedClaims()
	if len(refused) != 1 || refused[0].Of != (fleet.Autoscaler{Namespace: "b", Name: "mine"}) || refused[0].Deployment != "app" || refused[0].Prefix != "/buy/login" ||
		!refused[0].Foreign || refused[0].By != (fleet.Autoscaler{Namespace: "shop", Name: "theirs"}) || strings.Contains(refused[0].Text, "shop") {
		t.Errorf("refused is %+v", refused)
	}
	w.remove(older)
	saysOnce(t, w, "it goes", "observe b/app", "forget shop/app", "refresh b/mine")
	if n := w.Refusals(); n != (Refusals{}) {
		t.Errorf("refused are %+v", n)
	}
}

// What an application is refused besides goes with it, as soon as it is so and until it is no more.
func TestWatcher_AnApplicationSaysWhatItsAutoscalerIsRefusedForIt(t *testing.T) {
	older, mine := in("shop", "theirs", 0, target("app", "/buy")), in("b", "mine", 1, target("app", "/buy/login"), target("app", "/b/x"), target("other", "/buy/y"))
	w, k := newWorld(t, mine), fleet.Key{Namespace: "b", Deployment: "app"}
	if got := w.sink.last[k].Refused; got != nil {
		t.Errorf("alone it is refused %+v", got)
	}
	w.see(older)
	got := w.sink.last[k].Refused
	if len(got) != 1 || got[0].Prefix != "/buy/login" || got[0].By.Namespace != "shop" {
		t.Errorf("it is refused %+v", got)
	}
	if all := w.RefusedClaims(); len(all) != 2 || all[1].Deployment != "other" {
		t.Errorf("all are %+v", all)
	}
	w.remove(older)
	if got := w.sink.last[k].Refused; got != nil || w.RefusedClaims() != nil {
		t.Errorf("alone again it is refused %+v", got)
	}
}

func TestWatcher_APolicyGrantsByLabelsAndReserves(t *testing.T) {
	w := newWorld(t, in("shop", "theirs", 0, target("app", "/buy")), in("b", "mine", 1, target("app", "/buy/login")), in("b", "more", 2, target("app2", "/buy/login")))
	w.sink.takes()
	w.policies.Put(w.keepPolicy(policyOf("p", map[string]any{
		"prefixes": []any{"/buy"},
		"from":     map[string]any{"namespaces": "Selector", "selector": map[string]any{"matchLabels": map[string]any{"may": "buy"}}},
	})))
	saysOnce(t, w, "a policy", "forget shop/app", "refresh b/mine", "refresh b/more", "refresh shop/theirs")
	w.namespaces.Put(keepNamespace(namespaceOf("shop", map[string]string{"may": "buy"})))
	saysOnce(t, w, "one is meant", "observe shop/app", "refresh shop/theirs")
	w.namespaces.Put(keepNamespace(namespaceOf("shop", map[string]string{"may": "buy"})))
	saysOnce(t, w, "nothing of it changes")
	w.namespaces.Replace([]*namespace{keepNamespace(namespaceOf("shop", map[string]string{"may": "buy"})), keepNamespace(namespaceOf("b", map[string]string{"may": "buy", "x": "y"}))}, 5)
	saysOnce(t, w, "both are", "observe b/app", "refresh b/mine", "refresh b/more")
	if n := w.Refusals(); n != (Refusals{Own: 1}) {
		t.Errorf("refused are %+v", n)
	}
	w.policies.Put(w.keepPolicy(policyOf("p", map[string]any{"prefixes": []any{"/buy"}, "from": map[string]any{"namespaces": "Names", "names": []any{"b"}}})))
	saysOnce(t, w, "it is given to one", "forget shop/app", "refresh shop/theirs")
	if stands := w.standsOf("shop", "theirs"); !strings.Contains(stands, "by a ClaimPolicy") || strings.Contains(stands, "mine") {
		t.Errorf("it stands: %s", stands)
	}
	w.namespaces.Put(keepNamespace(namespaceOf("b", nil)))
	saysOnce(t, w, "labels that nobody goes by")
	w.policies.Remove(w.keepPolicy(policyOf("p", nil)))
	saysOnce(t, w, "no policy", "forget b/app", "observe shop/app", "refresh b/mine", "refresh b/more", "refresh shop/theirs")
	w.policies.Replace(nil, 9)
	saysOnce(t, w, "none as before")
}

func TestWatcher_WhatCannotBeReadOfAPolicyIsGivenToNobody(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, in("a", "ca", 0, target("app", "/x")), in("a", "free", 0, target("free", "/y")))
	w.log = slog.New(slog.NewTextHandler(&log, nil))
	w.policies.Put(w.keepPolicy(policyOf("bad", map[string]any{"prefixes": []any{"/x"}, "from": map[string]any{
		"namespaces": "Selector", "selector": map[string]any{"matchExpressions": []any{map[string]any{"key": "k", "operator": "In"}}},
	}})))
	if n := w.Refusals(); n != (Refusals{Policy: 1}) || !strings.Contains(log.String(), "policy=bad rule=0") {
		t.Errorf("refused are %+v; the log says %s", n, &log)
	}
	w.policies.Put(w.keepPolicy(&unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "bad"}, "spec": "text"}}))
	if n := w.Refusals(); n != (Refusals{}) || !strings.Contains(log.String(), "nothing of it holds") {
		t.Errorf("refused are %+v; the log says %s", n, &log)
	}
}

// Whatever comes first, the outcome is one: a controller that starts anew decides as the one before.
func TestWatcher_TheOrderOfArrivalDecidesNothing(t *testing.T) {
	objects := []*unstructured.Unstructured{
		in("shop", "a", 0, target("app", "/buy")), in("b", "b", 1, target("app", "/buy/login"), target("own", "/b")), in("c", "c", 2, target("app", "/b/x"), target("free", "/free")),
	}
	policy := policyOf("p", map[string]any{"prefixes": []any{"/free"}, "from": map[string]any{"namespaces": "Selector", "selector": map[string]any{"matchLabels": map[string]any{"k": "v"}}}})
	steps := []func(w *world){
		func(w *world) { w.see(objects[0]) }, func(w *world) { w.see(objects[1]) }, func(w *world) { w.see(objects[2]) },
		func(w *world) { w.policies.Put(w.keepPolicy(policy)) },
		func(w *world) { w.namespaces.Put(keepNamespace(namespaceOf("c", map[string]string{"k": "v"}))) },
	}
	var first string
	permute(len(steps), func(order []int) {
		w := newWorld(t)
		for _, i := range order {
			steps[i](w)
		}
		keys := w.apps.keys()
		slices.SortFunc(keys, fleet.Key.Compare)
		got := fmt.Sprint(keys, w.standsOf("shop", "a"), w.standsOf("b", "b"), w.standsOf("c", "c"))
		if first == "" {
			first = got
		}
		if got != first || !strings.HasPrefix(got, "[b/own c/free shop/app]") {
			t.Errorf("in the order %v: %s, want %s", order, got, first)
		}
	})
}

func permute(n int, do func([]int)) {
	var extend func(order []int)
	extend = func(order []int) {
		if len(order) == n {
			do(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				extend(append(slices.Clone(order), i))
			}
		}
	}
	extend(nil)
}

// answers is a kind of which a list ends so.
type answers struct{ err atomic.Pointer[error] }

func (a *answers) List(context.Context, metav1.ListOptions) (*corev1.NamespaceList, error) {
	if err := a.err.Load(); err != nil {
		return nil, *err
	}
	return &corev1.NamespaceList{Items: []corev1.Namespace{*namespaceOf("a", nil)}}, nil
}

func (*answers) Watch(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return nil, errors.New("not asked for")
}

func TestLacking_WithoutTheKindOrTheRightThereIsNone(t *testing.T) {
	missing, forbidden, other := error(apierrors.NewNotFound(claimPolicies.GroupResource(), "")),
		error(apierrors.NewForbidden(claimPolicies.GroupResource(), "", nil)), errors.New("away")
	a := &answers{}
	l := mayLack(a, func() *corev1.NamespaceList { return &corev1.NamespaceList{} })
	expect := func(what string, items int, fails bool) {
		t.Helper()
		list, err := l.List(t.Context(), metav1.ListOptions{})
		if (err != nil) != fails || err == nil && len(list.Items) != items {
			t.Errorf("%s: %v, %v", what, list, err)
		}
	}
	a.err.Store(&missing)
	expect("no such kind", 0, false)
	a.err.Store(&forbidden)
	expect("no right yet", 0, false)
	a.err.Store(&other)
	expect("the API server is away", 0, true)
	a.err.Store(nil)
	expect("all is well", 1, false)
	a.err.Store(&forbidden)
	expect("the right is taken away: what is known holds", 0, true)
	a.err.Store(&missing)
	expect("the kind is taken away", 0, false)
}

func TestWatcher_ThatPoliciesMayNotBeReadIsSaidOnce(t *testing.T) {
	var log bytes.Buffer
	w := newWatcher(slog.New(slog.NewTextHandler(&log, nil)))
	forbidden := apierrors.NewForbidden(claimPolicies.GroupResource(), "", nil)
	for range 3 {
		w.interrupted(claimPolicies.Resource, forbidden)
		w.interrupted(namespacesKind, forbidden)
		w.interrupted(claimPolicies.Resource, apierrors.NewNotFound(claimPolicies.GroupResource(), ""))
	}
	if n := strings.Count(log.String(), "watch interrupted"); n != 2 {
		t.Errorf("it is said %d times: %s", n, &log)
	}
	w.interrupted(claimPolicies.Resource, errors.New("away"))
	w.interrupted("pods", forbidden)
	w.interrupted("pods", forbidden)
	if n := strings.Count(log.String(), "watch interrupted"); n != 5 {
		t.Errorf("other failures are said %d times: %s", n-2, &log)
	}
}
