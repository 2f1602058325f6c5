package kube

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// one is an API server with one ConfigMap, which notes what it is asked for.
type one struct{ asked chan string }

func (o one) List(_ context.Context, by metav1.ListOptions) (*corev1.ConfigMapList, error) {
	o.asked <- "list " + by.FieldSelector
	return &corev1.ConfigMapList{Items: []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "settings", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}}}, nil
}

func (o one) Watch(_ context.Context, by metav1.ListOptions) (watch.Interface, error) {
	o.asked <- "watch " + by.FieldSelector
	if by.SendInitialEvents != nil {
		return nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil) // as an API server that wants to be asked for a list first
	}
	return watch.NewFake(), nil
}

func TestInformer_AsksForNothingButTheName(t *testing.T) {
	for _, c := range []struct {
		name   string
		shrink func(any) (any, error)
		kept   int
	}{
		{"who wrote what is dropped", nil, 0},
		{"unless it is wanted", func(object any) (any, error) { return object, nil }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			from := one{make(chan string, 100)}
			i := Informer(&corev1.ConfigMap{}, "settings", from, c.shrink)
			ended := make(chan struct{})
			go func() { defer close(ended); i.RunWithContext(ctx) }()
			testwait.Until(t, "it is read", i.HasSynced)
			stop()
			<-ended
			for range len(from.asked) {
				if asked := <-from.asked; asked != "list metadata.name=settings" && asked != "watch metadata.name=settings" {
					t.Errorf("asked to %s", asked)
				}
			}
			m, _ := i.GetStore().List()[0].(*corev1.ConfigMap)
			if m == nil || m.Namespace != "shop" || len(m.ManagedFields) != c.kept {
				t.Errorf("kept is %+v", m)
			}
		})
	}
}

func TestWatched_IsTheOwnNamespaceAndTheOneBesideIt(t *testing.T) {
	for _, c := range []struct {
		own, within string
		want        []string
	}{
		{"nemesis-system", "", []string{""}},
		{"nemesis-system", "shop", []string{"nemesis-system", "shop"}},
		{"shop", "shop", []string{"shop"}},
	} {
		if got := Watched(c.own, c.within); !slices.Equal(got, c.want) {
			t.Errorf("Watched(%q, %q) is %q, not %q", c.own, c.within, got, c.want)
		}
	}
}
