//go:build integration

package cluster

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

// who has applications, by namespace; others of the cluster are no matter.
type holders struct {
	namespaces []string
	news       chan struct{}
}

func (h *holders) tell(namespace string) {
	for _, ns := range h.namespaces {
		if ns == namespace {
			select {
			case h.news <- struct{}{}:
			default:
			}
		}
	}
}

func (h *holders) Observe(o fleet.Observation) { h.tell(o.Namespace) }
func (h *holders) Forget(k fleet.Key)          { h.tell(k.Namespace) }
func (h *holders) Refresh(a fleet.Autoscaler)  { h.tell(a.Namespace) }

func TestIntegration_AClaimPolicyLetsAnotherNamespaceIn(t *testing.T) {
	c, one := kubetest.Connect(t)
	_, other := kubetest.Connect(t)
	older, late := min(one, other), max(one, other) // where both are made in one second, the name decides
	prefix := "/shared-" + late
	at := func(prefix string) map[string]any {
		return map[string]any{"targetDeployments": []any{map[string]any{"name": "app", "apiPrefix": prefix, "port": "80"}}}
	}
	createAutoscaler(t, c, older, "ca", at(prefix))
	createAutoscaler(t, c, late, "ca", at(prefix+"/login"))
	sink := &holders{[]string{older, late}, make(chan struct{}, 1)}
	w := NewWatcher(Options{Clients: c, Log: slog.New(slog.DiscardHandler)})
	go func() { _ = w.Run(t.Context(), sink) }()
	until := func(what string, refused bool) {
		t.Helper()
		deadline := time.After(testwait.Limit())
		for {
			e, known := w.autoscalers.get(fleet.Autoscaler{Namespace: late, Name: "ca"})
			if s := e.standing; known && w.started.Load() && s().Foreign == refused {
				if text := strings.Join(s().Refused, ""); strings.Contains(text, older+"/") {
					t.Errorf("it is told who has it: %s", text)
				}
				return
			}
			select {
			case <-sink.news:
			case <-deadline:
				t.Fatalf("%s: not seen", what)
			}
		}
	}
	until("the younger one is refused", true)

	policies := c.Dynamic.Resource(claimPolicies)
	policy := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": Resource.GroupVersion().String(), "kind": "ClaimPolicy", "metadata": map[string]any{"name": late},
		"spec": map[string]any{"rules": []any{map[string]any{
			"prefixes": []any{prefix},
			"from": map[string]any{"namespaces": "Selector", "selector": map[string]any{"matchExpressions": []any{
				map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{older, late}},
			}}},
		}}},
	}}
	if _, err := policies.Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = policies.Delete(context.Background(), late, metav1.DeleteOptions{}) })
	until("the policy lets it in", false)
	if err := policies.Delete(t.Context(), late, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until("without it, it is refused again", true)
}
