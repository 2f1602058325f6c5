//go:build integration

package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

var resource = schema.GroupVersionResource{Group: "autoscaler-group.autoscaler", Version: "v1alpha1", Resource: "customautoscalers"}

// through is client-go's own client, whose API server is the controller.
func (s *onCluster) through(t *testing.T, token string) dynamic.ResourceInterface {
	t.Helper()
	return s.dynamic(t, token).Resource(resource).Namespace(s.namespace)
}

func (s *onCluster) dynamic(t *testing.T, token string) dynamic.Interface {
	t.Helper()
	c, err := dynamic.NewForConfig(&rest.Config{Host: s.address, BearerToken: token, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// make makes objects in the namespace that name no Deployment of anybody.
func (s *onCluster) make(t *testing.T, c dynamic.ResourceInterface, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := c.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": resource.GroupVersion().String(), "kind": "CustomAutoscaler",
			"metadata": map[string]any{"name": name, "labels": map[string]any{"odd": fmt.Sprint(len(name) % 2)}},
			"spec": map[string]any{"mode": "Observe", "targetDeployments": []any{
				map[string]any{"name": name, "apiPrefix": "/" + s.namespace + "/" + name, "port": "80"},
			}},
		}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// notes are what an informer tells, by the name of the object.
type notes struct {
	mu   sync.Mutex
	last map[string]string
}

func (n *notes) say(what string, o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	u := o.(*unstructured.Unstructured) //nolint:forcetypeassert // a dynamic informer has nothing else
	idle, _, _ := unstructured.NestedInt64(u.Object, "spec", "idleTime")
	n.last[u.GetName()] = fmt.Sprint(what, " ", idle)
}

func (n *notes) of(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last[name]
}

func TestIntegration_AnInformerOfClientGoWorksThroughTheController(t *testing.T) {
	s := setUp(t)
	token := s.author(t)
	c := s.through(t, token)
	s.make(t, c, "before")
	seen := &notes{last: map[string]string{}}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(s.dynamic(t, token), 0, s.namespace, nil)
	informer := factory.ForResource(resource).Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { seen.say("added", o) }, UpdateFunc: func(_, o any) { seen.say("changed", o) }, DeleteFunc: func(o any) { seen.say("gone", o) },
	}); err != nil {
		t.Fatal(err)
	}
	var failed []error
	if err := informer.SetWatchErrorHandler(func(_ *cache.Reflector, err error) { failed = append(failed, err) }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	factory.Start(ctx.Done())
	t.Cleanup(func() { cancel(); factory.Shutdown() })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("it never has a whole picture")
	}
	testwait.Until(t, "what was there is told", func() bool {
		return strings.HasPrefix(seen.of("before"), "added") || strings.HasPrefix(seen.of("before"), "changed")
	})
	s.make(t, c, "after")
	testwait.Until(t, "what is made is told", func() bool { return seen.of("after") != "" })
	if _, err := c.Patch(t.Context(), "before", "application/merge-patch+json", []byte(`{"spec":{"idleTime":77}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "a change is told", func() bool { return seen.of("before") == "changed 77" })
	if err := c.Delete(t.Context(), "after", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "an end is told", func() bool { return strings.HasPrefix(seen.of("after"), "gone") })
	if len(failed) > 0 {
		t.Errorf("it had trouble: %v", failed)
	}
}

func TestIntegration_AWatchBeginsAndEndsAsAsked(t *testing.T) {
	s := setUp(t)
	c := s.through(t, s.author(t))
	s.make(t, c, "a")
	list, err := c.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	long := int64(60)
	w, err := c.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion(), TimeoutSeconds: &long, FieldSelector: "metadata.name=bb"})
	if err != nil {
		t.Fatal(err)
	}
	s.make(t, c, "bb", "ccc")
	if e := <-w.ResultChan(); e.Type != watch.Added || e.Object.(*unstructured.Unstructured).GetName() != "bb" {
		t.Errorf("got %+v", e)
	}
	w.Stop()
	one, began := int64(1), time.Now()
	w, err = c.Watch(t.Context(), metav1.ListOptions{TimeoutSeconds: &one, LabelSelector: "odd=1"})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for e := range w.ResultChan() {
		if name := e.Object.(*unstructured.Unstructured).GetName(); e.Type == watch.Added {
			names = append(names, name)
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{"a", "ccc"}) {
		t.Errorf("got %v", names)
	}
	if took := time.Since(began); took < time.Second/2 {
		t.Errorf("it ended after %v", took)
	}
	// What is too old is told within, as Kubernetes does.
	w, err = c.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "1", TimeoutSeconds: &long})
	if err == nil {
		e := <-w.ResultChan()
		w.Stop()
		if e.Type != watch.Error && e.Type != watch.Added { // an API server that has not forgotten yet
			t.Errorf("got %+v", e)
		}
	}
}

func TestIntegration_AWatchIsRefusedWithAProblemDocument(t *testing.T) {
	s := setUp(t)
	client, err := autoscaler.NewClientWithResponses(s.address, autoscaler.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer nonsense")
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	answer, err := client.ListCustomAutoscalersWithResponse(t.Context(), s.namespace, &autoscaler.ListCustomAutoscalersParams{Watch: &yes})
	if err != nil || answer.StatusCode() != http.StatusUnauthorized || answer.ApplicationproblemJSON401 == nil {
		t.Errorf("%v: %s", err, answer.Body)
	}
	unknown := "spec.idleTime=90"
	for _, watched := range []bool{false, true} {
		answer, err := s.client.ListCustomAutoscalersWithResponse(t.Context(), s.namespace, &autoscaler.ListCustomAutoscalersParams{Watch: &watched, FieldSelector: &unknown})
		if err != nil || answer.StatusCode() != http.StatusBadRequest || answer.ApplicationproblemJSON400 == nil || !strings.Contains(string(answer.Body), "spec.idleTime") {
			t.Errorf("watch %v: %v: %s", watched, err, answer.Body)
		}
	}
}

func TestIntegration_PagesOfCustomAutoscalersAreTheWholeList(t *testing.T) {
	s := setUp(t)
	c := s.through(t, s.author(t))
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprint("x", i))
	}
	s.make(t, c, want...)
	for _, limit := range []int64{1, 2, 3, 7, 500} {
		var got []string
		o := metav1.ListOptions{Limit: limit}
		for {
			page, err := c.List(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(page.Items)) > limit {
				t.Errorf("a page of %d has %d", limit, len(page.Items))
			}
			for _, one := range page.Items {
				got = append(got, one.GetName())
			}
			if o.Continue = page.GetContinue(); o.Continue == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %v", limit, got)
		}
	}
	if _, err := c.List(t.Context(), metav1.ListOptions{Limit: 1, Continue: "nonsense"}); err == nil {
		t.Error("a place that is none was taken")
	}
	list, err := c.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.mode=Observe"})
	if err != nil || len(list.Items) != len(want) {
		t.Errorf("by mode: %v", err)
	}
}
