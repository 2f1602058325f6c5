//go:build integration

package cluster

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

func TestIntegration_WhoElseScalesIsSeen(t *testing.T) {
	c, ns := kubetest.Connect(t)
	createDeployment(t, c, ns, 0)
	createAutoscaler(t, c, ns, "ca", target1(ns))
	installScaledObjects(t, c)
	sink := newSeenSink()
	w := NewWatcher(Options{Clients: c, Log: slog.New(slog.DiscardHandler), Namespace: ns})
	go func() { _ = w.Run(t.Context(), sink) }()
	owned := func(what, owner string) {
		t.Helper()
		sink.until(t, what, func(o fleet.Observation) bool { return o.Deployment.Found && o.Owner == owner })
	}
	owned("the application alone", "")

	hpas := c.Typed.AutoscalingV2().HorizontalPodAutoscalers(ns)
	h := hpa("h", "apps/v1", "Deployment", "other")
	h.Namespace, h.Spec.MaxReplicas = ns, 3
	if _, err := hpas.Create(t.Context(), h, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	point := func(target string) {
		t.Helper()
		if _, err := hpas.Patch(t.Context(), "h", types.MergePatchType, []byte(`{"spec":{"scaleTargetRef":{"name":"`+target+`"}}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	the := func(kind, name string) string { return "the " + kind + " " + ns + "/" + name }
	point("app")
	owned("an HPA that turns to it", the(horizontal, "h"))
	point("other")
	owned("an HPA that turns away", "")

	objects := c.Dynamic.Resource(scaledObjects).Namespace(ns)
	s := keda("s", map[string]any{"name": "app"})
	s.SetNamespace(ns)
	made, err := objects.Create(t.Context(), s, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned("a ScaledObject", the(scaledObject, "s"))
	point("app")
	owned("both", the(horizontal, "h")+" and "+the(scaledObject, "s"))
	owner := metav1.OwnerReference{APIVersion: "keda.sh/v1alpha1", Kind: scaledObject, Name: "s", UID: made.GetUID(), Controller: new(true)}
	own, err := hpas.Get(t.Context(), "h", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	own.OwnerReferences = []metav1.OwnerReference{owner}
	if _, err := hpas.Update(t.Context(), own, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	owned("a ScaledObject with the HPA that it made", the(scaledObject, "s"))
	if err := hpas.Delete(t.Context(), "h", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := objects.Delete(t.Context(), "s", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	owned("nobody any more", "")
}

// Without the kind the caches are whole all the same: every other test here runs so.
func TestIntegration_TheKindOfScaledObjectsMayGo(t *testing.T) {
	c, ns := kubetest.Connect(t)
	createDeployment(t, c, ns, 0)
	createAutoscaler(t, c, ns, "ca", target1(ns))
	remove := installScaledObjects(t, c)
	s := keda("s", map[string]any{"name": "app"})
	s.SetNamespace(ns)
	if _, err := c.Dynamic.Resource(scaledObjects).Namespace(ns).Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	sink := newSeenSink()
	w := NewWatcher(Options{Clients: c, Log: slog.New(slog.DiscardHandler), Namespace: ns})
	go func() { _ = w.Run(t.Context(), sink) }()
	sink.until(t, "a ScaledObject", func(o fleet.Observation) bool { return strings.Contains(o.Owner, scaledObject) })
	remove()
	sink.until(t, "no kind, no owner", func(o fleet.Observation) bool { return o.Owner == "" })
}

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// installScaledObjects makes a definition like KEDA's, without its schema, and returns how to remove
// it, which the end of the test does as well.
func installScaledObjects(t *testing.T, c *kube.Clients) (remove func()) {
	t.Helper()
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "scaledobjects.keda.sh"},
		"spec": map[string]any{
			"group": "keda.sh", "scope": "Namespaced",
			"names": map[string]any{"kind": scaledObject, "listKind": "ScaledObjectList", "plural": "scaledobjects", "singular": "scaledobject"},
			"versions": []any{map[string]any{
				"name": "v1alpha1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}
	if _, err := c.Dynamic.Resource(definitions).Create(t.Context(), definition, metav1.CreateOptions{}); err != nil {
		t.Fatalf("the cluster has KEDA, or a test has left its definition: %v", err)
	}
	remove = func() {
		ctx := context.WithoutCancel(t.Context())
		_ = c.Dynamic.Resource(definitions).Delete(ctx, definition.GetName(), metav1.DeleteOptions{})
		testwait.Until(t, "the definition is gone", func() bool {
			_, err := c.Dynamic.Resource(definitions).Get(ctx, definition.GetName(), metav1.GetOptions{})
			return err != nil
		})
	}
	t.Cleanup(remove)
	testwait.Until(t, "the kind is served", func() bool {
		_, err := c.Dynamic.Resource(scaledObjects).List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
	return remove
}
