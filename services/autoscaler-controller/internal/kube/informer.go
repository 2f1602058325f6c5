package kube

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Lister lists and watches one kind, as client-go's typed clients do.
type Lister[L runtime.Object] interface {
	List(ctx context.Context, o metav1.ListOptions) (L, error)
	Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

// Informer watches the objects of one name: the right to read is bound to it, too. shrink drops of an object what is
// large and never read; nil drops who wrote which field.
func Informer[L runtime.Object](example runtime.Object, name string, from Lister[L], shrink cache.TransformFunc) cache.SharedIndexInformer {
	only := func(o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector = "metadata.name=" + name
		return o
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return from.List(ctx, only(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return from.Watch(ctx, only(o))
		},
	}
	if shrink == nil {
		shrink = withoutManagedFields
	}
	i := cache.NewSharedIndexInformerWithOptions(source, example, cache.SharedIndexInformerOptions{Indexers: cache.Indexers{}})
	_ = i.SetTransform(shrink) // fails only after it has started
	return i
}

// Watched are the namespaces to watch: the own one and the one that there is beside it; without that, all.
func Watched(own, within string) []string {
	switch within {
	case "":
		return []string{metav1.NamespaceAll}
	case own:
		return []string{own}
	}
	return []string{own, within}
}

func withoutManagedFields(object any) (any, error) {
	if m, err := meta.Accessor(object); err == nil {
		m.SetManagedFields(nil)
	}
	return object, nil
}
