package cluster

import (
	"bytes"
	"context"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// The indexes.
const (
	byDeployment = "deployment" // pods and rivals, by "namespace/deployment"
	byService    = "service"    // slices, by "namespace/service"
)

// informers hold what is watched.
type informers struct {
	autoscalers, deployments, pods, slices, services, hpas, scaledObjects cache.SharedIndexInformer
}

// all are the informers with the names people know them by.
func (i informers) all() map[string]cache.SharedIndexInformer {
	return map[string]cache.SharedIndexInformer{
		"customautoscalers": i.autoscalers, "deployments": i.deployments, "pods": i.pods,
		"endpointslices": i.slices, "services": i.services,
		"horizontalpodautoscalers": i.hpas, scaledObjects.Resource: i.scaledObjects,
	}
}

func newInformers(c *kube.Clients, namespace string) informers {
	typed, dyn := c.Typed, c.Dynamic.Resource(Resource).Namespace(namespace)
	hpas, keda := typed.AutoscalingV2().HorizontalPodAutoscalers(namespace), c.Dynamic.Resource(scaledObjects).Namespace(namespace)
	return informers{
		autoscalers: informer(&unstructured.Unstructured{}, nil, dyn.List, dyn.Watch),
		deployments: informer(&appsv1.Deployment{}, nil, typed.AppsV1().Deployments(namespace).List, typed.AppsV1().Deployments(namespace).Watch),
		pods: informer(&corev1.Pod{}, cache.Indexers{byDeployment: deploymentOf},
			typed.CoreV1().Pods(namespace).List, typed.CoreV1().Pods(namespace).Watch),
		slices: informer(&discoveryv1.EndpointSlice{}, cache.Indexers{byService: serviceOf},
			typed.DiscoveryV1().EndpointSlices(namespace).List, typed.DiscoveryV1().EndpointSlices(namespace).Watch),
		hpas: informer(&autoscalingv2.HorizontalPodAutoscaler{}, cache.Indexers{byDeployment: deploymentOfHPA}, hpas.List, hpas.Watch),
		scaledObjects: informer(&unstructured.Unstructured{}, cache.Indexers{byDeployment: deploymentOfScaledObject},
			ifServed(keda.List), keda.Watch),
		services: informer(&corev1.Service{}, nil, typed.CoreV1().Services(namespace).List, typed.CoreV1().Services(namespace).Watch),
	}
}

// informer watches one kind, of which it keeps what is read here.
func informer[L runtime.Object](example runtime.Object, indexers cache.Indexers,
	list func(context.Context, metav1.ListOptions) (L, error),
	watcher func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.SharedIndexInformer {
	return kube.Informer(example, indexers, strip, list, watcher)
}

// strip drops what is large and never read.
func strip(object any) (any, error) {
	if m, err := meta.Accessor(object); err == nil {
		m.SetManagedFields(countOwners(object, m.GetManagedFields()))
	}
	stripRival(object)
	if pod, ok := object.(*corev1.Pod); ok {
		pod.Annotations = marksOf(pod.Annotations)
		pod.Spec.Volumes = nil
		for i := range pod.Spec.Containers {
			pod.Spec.Containers[i].Env, pod.Spec.Containers[i].EnvFrom, pod.Spec.Containers[i].VolumeMounts = nil, nil, nil
			pod.Spec.Containers[i].Args, pod.Spec.Containers[i].Command = nil, nil
		}
	}
	return object, nil
}

// deploymentsOf find the Deployment that an object of a kind speaks of.
var deploymentsOf = map[string]cache.IndexFunc{
	"pods": deploymentOf, "horizontalpodautoscalers": deploymentOfHPA, scaledObjects.Resource: deploymentOfScaledObject,
}

// deploymentOf finds the Deployment of a pod without asking for its ReplicaSet: that one is named
// after the Deployment and the hash that the pod carries as a label.
func deploymentOf(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	owner, hash := metav1.GetControllerOf(pod), pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	if owner == nil || owner.Kind != "ReplicaSet" || hash == "" {
		return nil, nil
	}
	name, ok := strings.CutSuffix(owner.Name, "-"+hash)
	if !ok {
		return nil, nil
	}
	return []string{pod.Namespace + "/" + name}, nil
}

func serviceOf(object any) ([]string, error) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok || slice.Labels[discoveryv1.LabelServiceName] == "" {
		return nil, nil
	}
	return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
}

// countOwners are the entries of a Deployment's managed fields that own spec.replicas, without the
// fields themselves; the one that wrote last comes last. Of a CustomAutoscaler it is kept who wrote when,
// of everything else nothing.
func countOwners(object any, entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	if u, ok := object.(*unstructured.Unstructured); ok && u.GetKind() == Kind {
		return writers(entries)
	}
	if _, ok := object.(*appsv1.Deployment); !ok {
		return nil
	}
	var owners []metav1.ManagedFieldsEntry
	for _, e := range entries {
		if e.FieldsV1 != nil && bytes.Contains(e.FieldsV1.GetRawBytes(), []byte(`"f:replicas":{}`)) && e.Subresource != "status" {
			owners = append(owners, metav1.ManagedFieldsEntry{Manager: e.Manager, Time: e.Time})
		}
	}
	slices.SortStableFunc(owners, func(a, b metav1.ManagedFieldsEntry) int {
		switch {
		case a.Time == nil || b.Time == nil:
			return 0
		default:
			return a.Time.Time.Compare(b.Time.Time)
		}
	})
	return owners
}
