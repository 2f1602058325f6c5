package cluster

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// following is a kind that is watched.
type following struct {
	name  string
	run   func(context.Context)
	whole chan struct{} // closed when the first list has been taken
}

// wait returns when the first list has been taken, or (false) when ctx has ended.
func (f *following) wait(ctx context.Context) bool {
	select {
	case <-f.whole:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *following) isWhole() bool {
	select {
	case <-f.whole:
		return true
	default:
		return false
	}
}

// source is where a kind is listed and watched.
type source[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// follow makes a feed of a kind, of whose objects keep says what is kept.
func follow[O, L runtime.Object, T any](name string, from source[L], keep func(O) T, to kube.Store[T], failed func(name string, err error)) *following {
	f := &following{name: name, whole: make(chan struct{})}
	feed := &kube.Feed[O, T]{
		Name: name, Watch: from.Watch, Keep: keep, Store: &first[T]{Store: to, whole: f.whole},
		List:   func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return from.List(ctx, o) },
		Failed: func(err error) { failed(name, err) },
	}
	f.run = feed.Run
	return f
}

// first tells when the first list has been taken.
type first[T any] struct {
	kube.Store[T]
	whole chan struct{}
	once  sync.Once
}

func (f *first[T]) Replace(all []T, version uint64) {
	f.Store.Replace(all, version)
	f.once.Do(func() { close(f.whole) })
}

// connect says where everything is watched.
func (w *Watcher) connect(o Options) {
	typed, dyn, ns := o.Clients.Typed, o.Clients.Dynamic, o.Namespace
	w.lister.list = func(ctx context.Context, namespace string, o metav1.ListOptions) (*corev1.PodList, error) {
		return typed.CoreV1().Pods(namespace).List(ctx, o)
	}
	w.seen = follow("customautoscalers", o.Clients.Autoscalers.Namespace(ns), w.autoscalers.keep, sightings{w}, w.interrupted)
	w.podsBy = follow("pods", typed.CoreV1().Pods(ns), w.pods.keep, w.pods, w.interrupted)
	w.follows = []*following{
		w.seen, w.podsBy,
		follow("deployments", typed.AppsV1().Deployments(ns), keepDeployment, w.deployments, w.interrupted),
		follow("endpointslices", typed.DiscoveryV1().EndpointSlices(ns), keepSlice, w.slices, w.interrupted),
		follow("services", typed.CoreV1().Services(ns), keepService, w.services, w.interrupted),
		follow("horizontalpodautoscalers", typed.AutoscalingV2().HorizontalPodAutoscalers(ns), keepHPA, w.hpas, w.interrupted),
		follow(scaledObjects.Resource, optional{dyn.Resource(scaledObjects).Namespace(ns)}, keepScaledObject, w.scaledObjects, w.interrupted),
		follow(claimPolicies.Resource, mayLack(dyn.Resource(claimPolicies), func() *unstructured.UnstructuredList { return &unstructured.UnstructuredList{} }),
			w.keepPolicy, w.policies, w.interrupted),
		follow(namespacesKind, mayLack(typed.CoreV1().Namespaces(), func() *corev1.NamespaceList { return &corev1.NamespaceList{} }),
			keepNamespace, w.namespaces, w.interrupted),
	}
}

// interrupted logs that a list or a watch broke. That the cluster does not have a kind that it need not have
// is no fault, and a right that is not given is said once.
func (w *Watcher) interrupted(name string, err error) {
	if !w.quiet(name, err) {
		w.log.Warn("watch interrupted", "resource", name, "error", err)
	}
}
