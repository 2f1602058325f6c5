package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Rivals scale Deployments too: HorizontalPodAutoscalers and, where KEDA is installed, its
// ScaledObjects. A Deployment that one of them names is left alone, see scaling.Conflict.

// scaledObjects are KEDA's. The cluster need not have the kind.
var scaledObjects = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}

const (
	horizontal   = "HorizontalPodAutoscaler"
	scaledObject = "ScaledObject"
	maxRivals    = 3 // named
)

// ifServed lists a kind that the cluster may not have: then there is no object of it. The list is
// asked for again and again, at last every minute, so that the kind may come and go; should KEDA be
// installed just now, the HorizontalPodAutoscalers that it makes are seen at once all the same.
func ifServed(list func(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error)) func(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	return func(ctx context.Context, o metav1.ListOptions) (*unstructured.UnstructuredList, error) {
		found, err := list(ctx, o)
		if apierrors.IsNotFound(err) {
			return &unstructured.UnstructuredList{}, nil
		}
		return found, err
	}
}

// deploymentOfHPA is the index of a HorizontalPodAutoscaler.
func deploymentOfHPA(object any) ([]string, error) {
	h, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return nil, nil
	}
	ref := h.Spec.ScaleTargetRef
	return deploymentNamed(h.Namespace, ref.APIVersion, ref.Kind, ref.Name), nil
}

// deploymentOfScaledObject is the index of a ScaledObject, with KEDA's defaults.
func deploymentOfScaledObject(object any) ([]string, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, nil
	}
	ref, _, _ := unstructured.NestedMap(u.Object, "spec", "scaleTargetRef") // malformed is none
	text := func(key string) string { s, _ := ref[key].(string); return s }
	return deploymentNamed(u.GetNamespace(), orElse(text("apiVersion"), "apps/v1"), orElse(text("kind"), "Deployment"), text("name")), nil
}

func deploymentNamed(namespace, apiVersion, kind, name string) []string {
	if group, _, _ := strings.Cut(apiVersion, "/"); group != "apps" || kind != "Deployment" || name == "" {
		return nil
	}
	return []string{namespace + "/" + name}
}

// stripRival drops what is large and never read.
func stripRival(object any) {
	switch o := object.(type) {
	case *autoscalingv2.HorizontalPodAutoscaler:
		o.Annotations, o.Spec.Metrics, o.Spec.Behavior, o.Status = nil, nil, nil, autoscalingv2.HorizontalPodAutoscalerStatus{}
	case *unstructured.Unstructured:
		if o.GetKind() == scaledObject {
			ref, _, _ := unstructured.NestedMap(o.Object, "spec", "scaleTargetRef")
			o.Object["spec"] = map[string]any{"scaleTargetRef": ref}
			delete(o.Object, "status")
		}
	}
}

// rivals are those who scale a Deployment too, in words; "" when nobody does. A
// HorizontalPodAutoscaler that KEDA has made for a ScaledObject is one and the same with it. mu is
// held.
func (w *Watcher) rivals(k fleet.Key) string {
	var names []string
	add := func(kind, name string) {
		names = append(names, fmt.Sprintf("the %s %s/%s", kind, k.Namespace, name))
	}
	found, _ := w.informers.hpas.GetIndexer().ByIndex(byDeployment, k.String())
	for _, object := range found {
		h, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
		if !ok {
			continue
		}
		if owner := metav1.GetControllerOf(h); owner != nil && owner.Kind == scaledObject && strings.HasPrefix(owner.APIVersion, scaledObjects.Group+"/") {
			add(scaledObject, owner.Name)
			continue
		}
		add(horizontal, h.Name)
	}
	found, _ = w.informers.scaledObjects.GetIndexer().ByIndex(byDeployment, k.String())
	for _, object := range found {
		if name, err := cache.MetaNamespaceKeyFunc(object); err == nil {
			add(scaledObject, strings.TrimPrefix(name, k.Namespace+"/"))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - maxRivals; more > 0 {
		names = append(names[:maxRivals], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, " and ")
}
