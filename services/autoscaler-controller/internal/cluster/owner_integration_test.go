//go:build integration

package cluster

import (
	"log/slog"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

// applies asks for a count as a GitOps tool does that applies a manifest with replicas (server-side).
func applies(t *testing.T, c *kube.Clients, ns, manager string, force bool) error {
	t.Helper()
	manifest := []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"app","namespace":"` + ns + `"},"spec":{"replicas":3}}`)
	_, err := c.Typed.AppsV1().Deployments(ns).Patch(t.Context(), "app", types.ApplyPatchType, manifest, metav1.PatchOptions{FieldManager: manager, Force: &force})
	return err
}

func TestIntegration_AtZeroTheCountHasAnOwnerAndAnApplyMeetsItsConflict(t *testing.T) {
	c, ns := kubetest.Connect(t)
	createDeployment(t, c, ns, 0)
	createAutoscaler(t, c, ns, "ca", target1(ns))
	sink := newSeenSink()
	w := NewWatcher(Options{Clients: c, Log: slog.New(slog.DiscardHandler), Namespace: ns})
	go func() { _ = w.Run(t.Context(), sink) }()
	counts := func(replicas int32, manager string) {
		t.Helper()
		sink.until(t, "the count of "+manager, func(o fleet.Observation) bool {
			return o.Namespace == ns && o.Deployment.Replicas == replicas && o.Deployment.Manager == manager
		})
	}
	scaler, k := NewScaler(c), fleet.Key{Namespace: ns, Deployment: "app"}
	if err := applies(t, c, ns, "tool", true); err != nil {
		t.Fatal(err)
	}
	counts(3, "tool")
	for range 3 { // it is no matter of the first time
		if after, err := scaler.Scale(t.Context(), k, fleet.Scale{Replicas: 3}, 0); err != nil || after.Replicas != 0 {
			t.Fatalf("to zero: %+v, %v", after, err)
		}
		counts(0, fleet.FieldManager)
		if err := applies(t, c, ns, "tool", false); !apierrors.IsConflict(err) {
			t.Errorf("an apply of another count met no conflict: %v", err)
		}
		if err := applies(t, c, ns, "tool", true); err != nil {
			t.Fatal(err)
		}
		counts(3, "tool")
	}
	// What the API server does to whoever writes another way: nobody owns the count.
	if _, err := c.Typed.AppsV1().Deployments(ns).Patch(t.Context(), "app", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{FieldManager: "by-hand"}, "scale"); err != nil {
		t.Fatal(err)
	}
	counts(0, "")
}
