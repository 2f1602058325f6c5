package cluster

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func hpa(name, apiVersion, kind, target string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: apiVersion, Kind: kind, Name: target}},
	}
}

func keda(name string, ref map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": scaledObject,
		"metadata": map[string]any{"namespace": "ns", "name": name},
		"spec":     map[string]any{"scaleTargetRef": ref, "triggers": []any{map[string]any{"type": "cron"}}},
		"status":   map[string]any{"hpaName": "x"},
	}}
}

// madeFor marks an HPA as made by KEDA for a ScaledObject.
func madeFor(h *autoscalingv2.HorizontalPodAutoscaler, owner, apiVersion string) *autoscalingv2.HorizontalPodAutoscaler {
	h.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: scaledObject, Name: owner, Controller: new(true)}}
	return h
}

func TestRivals_AreThoseWhoNameTheDeployment(t *testing.T) {
	app := func(name string) *autoscalingv2.HorizontalPodAutoscaler {
		return hpa(name, "apps/v1", "Deployment", "app")
	}
	for name, c := range map[string]struct {
		objects []any
		want    string
	}{
		"nobody":                {nil, ""},
		"an HPA":                {[]any{app("h")}, "the HorizontalPodAutoscaler ns/h"},
		"of an older version":   {[]any{hpa("h", "apps/v1beta2", "Deployment", "app")}, "the HorizontalPodAutoscaler ns/h"},
		"of another target":     {[]any{hpa("h", "apps/v1", "Deployment", "other")}, ""},
		"of a StatefulSet":      {[]any{hpa("h", "apps/v1", "StatefulSet", "app")}, ""},
		"of another group":      {[]any{hpa("h", "example.com/v1", "Deployment", "app")}, ""},
		"a ScaledObject":        {[]any{keda("s", map[string]any{"name": "app"})}, "the ScaledObject ns/s"},
		"that says it all":      {[]any{keda("s", map[string]any{"name": "app", "kind": "Deployment", "apiVersion": "apps/v1"})}, "the ScaledObject ns/s"},
		"of a custom resource":  {[]any{keda("s", map[string]any{"name": "app", "kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1"})}, ""},
		"malformed":             {[]any{keda("s", map[string]any{"name": int64(3)})}, ""},
		"with its own HPA":      {[]any{keda("s", map[string]any{"name": "app"}), madeFor(app("keda-hpa-s"), "s", "keda.sh/v1alpha1")}, "the ScaledObject ns/s"},
		"the HPA alone is seen": {[]any{madeFor(app("keda-hpa-s"), "s", "keda.sh/v1alpha1")}, "the ScaledObject ns/s"},
		"made by another kind":  {[]any{madeFor(app("h"), "s", "example.com/v1")}, "the HorizontalPodAutoscaler ns/h"},
		"both, unrelated":       {[]any{app("h"), keda("s", map[string]any{"name": "app"})}, "the HorizontalPodAutoscaler ns/h and the ScaledObject ns/s"},
		"many": {[]any{app("a"), app("b"), app("c"), app("d"), app("e")},
			"the HorizontalPodAutoscaler ns/a and the HorizontalPodAutoscaler ns/b and the HorizontalPodAutoscaler ns/c and 2 more"},
	} {
		w := newWatcher(slog.New(slog.DiscardHandler))
		for _, object := range c.objects {
			switch o := object.(type) {
			case *autoscalingv2.HorizontalPodAutoscaler:
				w.hpas.Put(keepHPA(o))
			case *unstructured.Unstructured:
				w.scaledObjects.Put(keepScaledObject(o))
			}
		}
		if got := w.rivals(fleet.Key{Namespace: "ns", Deployment: "app"}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if got := w.rivals(fleet.Key{Namespace: "elsewhere", Deployment: "app"}); got != "" {
			t.Errorf("%s: in another namespace %q", name, got)
		}
	}
}

// comingKind is a kind of which the cluster has one object, or which it does not have at all.
type comingKind struct {
	served  atomic.Bool
	version atomic.Int64
	watches chan *watch.FakeWatcher // those that were begun
	between func()                  // called between a list and the watch that follows it, when not nil
}

var errNotServed = apierrors.NewNotFound(scaledObjects.GroupResource(), "")

func (k *comingKind) object() *unstructured.Unstructured {
	o := keda("s", map[string]any{"name": "app"})
	o.SetResourceVersion(strconv.FormatInt(k.version.Add(1), 10))
	return o
}

func (k *comingKind) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	if k.between != nil {
		defer k.between()
	}
	if !k.served.Load() {
		return nil, errNotServed
	}
	o := k.object()
	l := &unstructured.UnstructuredList{Items: []unstructured.Unstructured{*o}}
	l.SetResourceVersion(o.GetResourceVersion())
	return l, nil
}

func (k *comingKind) Watch(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
	if !k.served.Load() {
		return nil, errNotServed
	}
	if o.SendInitialEvents != nil {
		return nil, apierrors.NewInvalid(scaledObjects.GroupVersion().WithKind(scaledObject).GroupKind(), "", nil)
	}
	w := watch.NewFakeWithChanSize(1, false)
	if o.ResourceVersion == "" { // as the API server does: from no version on, everything is new
		w.Add(k.object())
	}
	k.watches <- w
	return w, nil
}

// follow follows the kind, and returns what comes of it and whether all of it is known.
func (k *comingKind) follow(t *testing.T) (news <-chan string, whole func() bool) {
	t.Helper()
	events := make(chan string, 10)
	rivals := newTable(nameOfRival, deploymentOfRival)
	rivals.news = func(touched []objectName) {
		switch {
		case len(touched) == 0:
		case rivals.get(objectName{"ns", "s"}) != nil:
			events <- "came"
		default:
			events <- "went"
		}
	}
	f := follow("scaledobjects", optional{k}, keepScaledObject, rivals, func(string, error) {})
	go f.run(t.Context())
	return events, f.isWhole
}

// leave takes the kind away while it is watched: the API server ends the watches of a kind that goes.
func (k *comingKind) leave() {
	synctest.Wait() // until it is watched
	k.between = nil
	k.served.Store(false)
	(<-k.watches).Stop()
}

// awaitNews waits for what comes next. The next list is the reflector's longest pause away: a minute.
func awaitNews(t *testing.T, news <-chan string, want string) {
	t.Helper()
	const pause = time.Minute
	began := time.Now()
	if got := <-news; got != want || time.Since(began) > pause {
		t.Errorf("it %s after %v, want that it %s within %v", got, time.Since(began), want, pause)
	}
}

// A kind that the cluster does not have is one without objects: the cache is whole, and follows when
// the kind comes and when it goes, at whatever moment that is.
func TestOptional_AKindThatIsNotThereHasNoObjects(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, k *comingKind){
		"comes and goes while nobody asks": func(t *testing.T, k *comingKind) {
			t.Helper()
			news, whole := k.follow(t)
			synctest.Wait()
			if !whole() || len(news) != 0 {
				t.Fatalf("the cache of a kind that is not there is whole: %v, and tells %d changes", whole(), len(news))
			}
			k.served.Store(true)
			awaitNews(t, news, "came")
			k.leave()
			awaitNews(t, news, "went")
			k.served.Store(true)
			awaitNews(t, news, "came")
		},
		"goes between list and watch": func(t *testing.T, k *comingKind) {
			t.Helper()
			news, _ := k.follow(t)
			synctest.Wait()
			k.between = func() { k.served.Store(false) }
			k.served.Store(true)
			awaitNews(t, news, "came")
			awaitNews(t, news, "went")
		},
		"comes between list and watch": func(t *testing.T, k *comingKind) {
			t.Helper()
			k.between = func() { k.served.Store(true) }
			news, _ := k.follow(t)
			awaitNews(t, news, "came")
			k.leave()
			awaitNews(t, news, "went")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, &comingKind{watches: make(chan *watch.FakeWatcher, 10)}) })
		})
	}
}
