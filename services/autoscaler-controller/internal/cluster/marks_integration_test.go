//go:build integration

package cluster

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

// staying are the pods of a namespace that are not going, as they are observed.
func staying(t *testing.T, c *kube.Clients, namespace string) []fleet.Pod {
	t.Helper()
	found, err := c.Typed.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := []place{{target: contract.Target{Name: "app", Port: contract.Port{Number: 5001}}}}
	var list []fleet.Pod
	for i := range found.Items {
		if p, _ := observePod(at, keepPod(&found.Items[i]), false, false); !p.Terminating {
			list = append(list, p)
		}
	}
	return list
}

// No CustomAutoscaler names the Deployment: a controller that runs in the cluster would take back the
// marks of pods that it has not chosen.
func TestIntegration_KubernetesTakesThePodsThatAreMarked(t *testing.T) {
	c, ns := kubetest.Connect(t)
	createDeployment(t, c, ns, 3)
	var pods []fleet.Pod
	testwait.Until(t, "three pods are ready", func() bool {
		pods = staying(t, c, ns)
		return len(pods) == 3 && !slices.ContainsFunc(pods, func(p fleet.Pod) bool { return !p.Ready })
	})
	k, marker, scaler := fleet.Key{Namespace: ns, Deployment: "app"}, NewMarker(c), NewScaler(c)
	oldest := slices.MinFunc(pods, func(a, b fleet.Pod) int { return a.CreatedAt.Compare(b.CreatedAt) }).Name
	is := func(what string, cost int32, m fleet.Mark) {
		t.Helper()
		for _, p := range staying(t, c, ns) {
			if p.Name == oldest && (p.Cost != cost || p.Mark != m) {
				t.Errorf("%s: it costs %d, %+v", what, p.Cost, p.Mark)
			}
		}
	}

	// A user's own cost is remembered, and given back.
	own := []byte(`{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"7"}}}`)
	if _, err := c.Typed.CoreV1().Pods(ns).Patch(t.Context(), oldest, types.MergePatchType, own, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	mark := fleet.Mark{Since: time.Now().UTC().Truncate(time.Millisecond), Before: "7"}
	marks := []fleet.Marking{{Pod: oldest, Cost: -10, Mark: mark}, {Pod: "gone", Cost: -10, Mark: mark}}
	if err := marker.Mark(t.Context(), k, marks); err != nil {
		t.Fatalf("a pod that has gone is no failure: %v", err)
	}
	is("marked", -10, mark)
	if err := marker.Mark(t.Context(), k, []fleet.Marking{{Pod: oldest, Mark: fleet.Mark{Before: "7"}, Cost: 7}}); err != nil {
		t.Fatal(err)
	}
	is("taken back", 7, fleet.Mark{})

	// Marked and scaled at once: the oldest goes, which Kubernetes would take last of all.
	if err := marker.Mark(t.Context(), k, marks); err != nil {
		t.Fatal(err)
	}
	if _, err := scaler.Scale(t.Context(), k, fleet.Scale{Replicas: 3}, 2); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "one has gone", func() bool { pods = staying(t, c, ns); return len(pods) == 2 })
	if slices.ContainsFunc(pods, func(p fleet.Pod) bool { return p.Name == oldest }) {
		t.Errorf("%s was marked, and is still there", oldest)
	}
	if pods[0].Revision == "" || pods[0].Revision != pods[1].Revision {
		t.Errorf("the pods are of %q and %q", pods[0].Revision, pods[1].Revision)
	}
}
