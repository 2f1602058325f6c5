package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

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

// optional is a kind that the cluster may not have: then there is no object of it. The list is
// asked for again and again, at last every minute, so that the kind may come and go; should KEDA be
// installed just now, the HorizontalPodAutoscalers that it makes are seen at once all the same.
type optional struct {
	source[*unstructured.UnstructuredList]
}

// List lists none where there is no such kind.
func (o optional) List(ctx context.Context, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	found, err := o.source.List(ctx, options)
	if apierrors.IsNotFound(err) {
		return &unstructured.UnstructuredList{}, nil
	}
	return found, err
}

// rival is what is kept of one who scales.
type rival struct {
	objectName
	kind   string
	madeBy string     // of a HorizontalPodAutoscaler, the ScaledObject that it was made for; "" is none
	of     objectName // the Deployment; the zero value: it scales something else
}

func nameOfRival(r *rival) objectName       { return r.objectName }
func deploymentOfRival(r *rival) objectName { return r.of }

func keepHPA(h *autoscalingv2.HorizontalPodAutoscaler) *rival {
	r := &rival{objectName: objectName{share(h.Namespace), h.Name}, kind: horizontal}
	if owner := metav1.GetControllerOf(h); owner != nil && owner.Kind == scaledObject && strings.HasPrefix(owner.APIVersion, scaledObjects.Group+"/") {
		r.madeBy = owner.Name
	}
	ref := h.Spec.ScaleTargetRef
	r.names(ref.APIVersion, ref.Kind, ref.Name)
	return r
}

// keepScaledObject reads a ScaledObject, with KEDA's defaults.
func keepScaledObject(u *unstructured.Unstructured) *rival {
	r := &rival{objectName: objectName{share(u.GetNamespace()), u.GetName()}, kind: scaledObject}
	ref, _, _ := unstructured.NestedMap(u.Object, "spec", "scaleTargetRef") // malformed is none
	text := func(key string) string { s, _ := ref[key].(string); return s }
	r.names(cmp.Or(text("apiVersion"), "apps/v1"), cmp.Or(text("kind"), "Deployment"), text("name"))
	return r
}

// names takes what it scales, if that is a Deployment.
func (r *rival) names(apiVersion, kind, name string) {
	if group, _, _ := strings.Cut(apiVersion, "/"); group == "apps" && kind == "Deployment" && name != "" {
		r.of = objectName{r.namespace, name}
	}
}

// rivals are those who scale a Deployment too, in words; "" when nobody does. A
// HorizontalPodAutoscaler that KEDA has made for a ScaledObject is one and the same with it.
func (w *Watcher) rivals(k fleet.Key) string {
	var names []string
	add := func(kind, name string) {
		names = append(names, fmt.Sprintf("the %s %s/%s", kind, k.Namespace, name))
	}
	for _, r := range w.hpas.in(objectName{k.Namespace, k.Deployment}) {
		if r.madeBy != "" {
			add(scaledObject, r.madeBy)
			continue
		}
		add(r.kind, r.name)
	}
	for _, r := range w.scaledObjects.in(objectName{k.Namespace, k.Deployment}) {
		add(r.kind, r.name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - maxRivals; more > 0 {
		names = append(names[:maxRivals], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, " and ")
}
