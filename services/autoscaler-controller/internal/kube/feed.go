package kube

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// How long a feed pauses when the API server does not answer, as client-go's own reflectors do.
const (
	firstPause   = 800 * time.Millisecond
	longestPause = 30 * time.Second
	calmFor      = 2 * time.Minute // after which the pauses begin anew
	pauses       = 38
)

// PageSize is how many objects are asked for at a time where they are not streamed.
const PageSize = 500

// Store takes what a feed brings, one call at a time.
type Store[T any] interface {
	// Replace takes all that there is at a version: what is not in the list has gone.
	Replace(all []T, version uint64)
	// Put takes an object that is new or has changed.
	Put(T)
	// Remove takes an object that was deleted, as it was then.
	Remove(T)
}

// Feed keeps a Store up to date with a kind. Of each object it keeps what Keep makes of it and nothing
// else: whole objects are held one at a time where the API server streams a list, and else a page at a time.
type Feed[O runtime.Object, T any] struct {
	Name   string // as people know the kind
	List   func(context.Context, metav1.ListOptions) (runtime.Object, error)
	Watch  func(context.Context, metav1.ListOptions) (watch.Interface, error)
	Keep   func(O) T
	Store  Store[T]
	Failed func(error) // a list or a watch broke; it is tried again
}

// Run follows the kind until ctx ends.
func (f *Feed[O, T]) Run(ctx context.Context) {
	reflector := cache.NewReflectorWithOptions(&cache.ListWatch{ListWithContextFunc: f.page, WatchFuncWithContext: f.Watch},
		nil, feedStore[O, T]{f}, cache.ReflectorOptions{Name: f.Name, TypeDescription: f.Name})
	reflector.WatchListPageSize = PageSize
	pause := wait.Backoff{Duration: firstPause, Cap: longestPause, Steps: pauses, Factor: 2, Jitter: 1}
	_ = pause.DelayWithReset(clock.RealClock{}, calmFor).Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		if err := reflector.ListAndWatchWithContext(ctx); err != nil && ctx.Err() == nil {
			f.Failed(err)
		}
		return false, nil
	})
}

// page lists a page, of which nothing but what is kept goes further.
func (f *Feed[O, T]) page(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	// The newest, in pages: "0" would bring everything in one answer, whatever the limit, and any other
	// version with a limit means exactly that one, which may be gone.
	o.ResourceVersion = ""
	list, err := f.List(ctx, o)
	if err != nil {
		return nil, err
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	short := &metainternalversion.List{ListMeta: metav1.ListMeta{ResourceVersion: m.GetResourceVersion(), Continue: m.GetContinue()}}
	err = meta.EachListItem(list, func(object runtime.Object) error {
		if o, ok := object.(O); ok {
			short.Items = append(short.Items, kept[T]{f.Keep(o)})
		}
		return nil
	})
	return short, err
}

// kept is what is kept of an object, in the shape of an item of a list.
type kept[T any] struct{ value T }

func (kept[T]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }
func (k kept[T]) DeepCopyObject() runtime.Object { return k }

// feedStore is a Store as a reflector wants one.
type feedStore[O runtime.Object, T any] struct{ feed *Feed[O, T] }

var _ cache.TransformingStore = feedStore[runtime.Object, int]{}

// Update takes an object that is new or has changed.
func (s feedStore[O, T]) Update(object any) error {
	if o, ok := object.(O); ok {
		s.feed.Store.Put(s.feed.Keep(o))
	}
	return nil
}

// Add takes an object that is new.
func (s feedStore[O, T]) Add(object any) error { return s.Update(object) }

// Delete takes an object that was deleted.
func (s feedStore[O, T]) Delete(object any) error {
	if o, ok := object.(O); ok {
		s.feed.Store.Remove(s.feed.Keep(o))
	}
	return nil
}

// Resync is of no use here.
func (s feedStore[O, T]) Resync() error { return nil }

// Transformer lets a list that is streamed be kept in short from the first moment.
func (s feedStore[O, T]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if o, ok := object.(O); ok {
			return kept[T]{s.feed.Keep(o)}, nil
		}
		return object, nil
	}
}

// Replace takes a list, of which each item was kept in short by page or Transformer.
func (s feedStore[O, T]) Replace(list []any, version string) error {
	all := make([]T, 0, len(list))
	for _, item := range list {
		if k, ok := item.(kept[T]); ok {
			all = append(all, k.value)
		}
	}
	s.feed.Store.Replace(all, Version(version))
	return nil
}
