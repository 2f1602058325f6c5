//go:build integration

package cluster

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func TestIntegration_WatchScaleAndPorts(t *testing.T) {
	c, ns := kubetest.Connect(t)
	createDeployment(t, c, ns, 0)
	createAutoscaler(t, c, ns, "ca", target1(ns))
	sink := newSeenSink()
	w := NewWatcher(Options{Clients: c, Log: slog.New(slog.DiscardHandler), Namespace: ns})
	go func() { _ = w.Run(t.Context(), sink) }()
	k := fleet.Key{Namespace: ns, Deployment: "app"}

	first := sink.until(t, "the application at zero", func(o fleet.Observation) bool { return o.Key == k && o.Deployment.Found })
	if first.Deployment.Replicas != 0 || first.Spec.MaxReplicas != 10 || first.Spec.IdleTime != 300*time.Second ||
		first.Address.Service != "front."+ns+".svc:80" || !strings.Contains(first.Problem, "front does not exist") {
		t.Errorf("got %+v", first)
	}
	if _, err := c.Typed.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "front"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "app"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("web")}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	sink.until(t, "the Service", func(o fleet.Observation) bool { return o.Problem == "" })

	scaler := NewScaler(c)
	began := time.Now()
	seen := first.Deployment.Version
	after, err := scaler.Scale(t.Context(), k, fleet.Scale{Replicas: 0, Version: seen}, 1)
	for err == fleet.ErrMoved && after.Version > seen { //nolint:errorlint // exactly that; Kubernetes may still write the status of the new Deployment
		seen = after.Version
		after, err = scaler.Scale(t.Context(), k, fleet.Scale{Replicas: 0, Version: seen}, 1)
	}
	if err != nil || after.Replicas != 1 || after.Version == 0 {
		t.Fatalf("scale: %+v, %v", after, err)
	}
	t.Logf("the patch took %v", time.Since(began))
	if _, err := scaler.Scale(t.Context(), k, fleet.Scale{Replicas: 0, Version: first.Deployment.Version}, 2); err != fleet.ErrMoved { //nolint:errorlint // exactly that
		t.Errorf("scaling what has moved: %v", err)
	}
	early := sink.until(t, "a pod with an address", func(o fleet.Observation) bool { return len(o.Pods) == 1 && o.Pods[0].Address != "" })
	if p := early.Pods[0]; !strings.HasSuffix(p.Address, ":5001") || !p.Probeable || len(p.Probes) != 1 || !p.Probes[0].HTTP || p.Probes[0].Port != 5001 || p.Probes[0].Path != "/healthz" {
		t.Errorf("got %+v", p)
	}
	ready := early
	if !early.Pods[0].Ready { // on a busy machine both are told at once
		ready = sink.until(t, "a ready pod", func(o fleet.Observation) bool { return len(o.Pods) == 1 && o.Pods[0].Ready })
	}
	answer, err := http.Get("http://" + ready.Pods[0].Address + "/healthz")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("the address does not serve: %v %v", answer, err)
	}
	// The Deployment's status has changed since it was read: what was decided on is not what is there.
	moved, err := scaler.Scale(t.Context(), k, fleet.Scale{Replicas: 1, Version: after.Version}, 0)
	if err != fleet.ErrMoved || moved.Replicas != 1 || moved.Version <= after.Version { //nolint:errorlint // exactly that
		t.Errorf("scale what has changed: %+v, %v", moved, err)
	}
	if after, err = scaler.Scale(t.Context(), k, fleet.Scale{Replicas: 1}, 0); err != nil || after.Replicas != 0 {
		t.Errorf("scale to zero by the count alone: %+v, %v", after, err)
	}
	sink.until(t, "no pod", func(o fleet.Observation) bool { return len(o.Pods) == 0 && o.Deployment.Replicas == 0 })

	if _, err := scaler.Scale(t.Context(), fleet.Key{Namespace: ns, Deployment: "missing"}, fleet.Scale{}, 1); !fault.Is(err, fault.Conflict) {
		t.Errorf("a missing Deployment: %v", err)
	}
	if err := c.Dynamic.Resource(Resource).Namespace(ns).Delete(t.Context(), "ca", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := testwait.Receive(t, "it is forgotten", sink.forgotten); got != k {
		t.Errorf("forgot %v", got)
	}
}

type unmetered struct{}

func (unmetered) EventWritten(bool)         {}
func (unmetered) EventDropped(string, bool) {}

func TestIntegration_StatusAndEvents(t *testing.T) {
	c, ns := kubetest.Connect(t)
	createAutoscaler(t, c, ns, "ca", target1(ns))
	createAutoscaler(t, c, ns, "late", map[string]any{"targetDeployments": []any{
		map[string]any{"name": "other", "apiPrefix": "/" + ns, "port": "80"},
	}})
	sink := newSeenSink()
	w := NewWatcher(Options{Clients: c, Log: slog.New(slog.DiscardHandler), Namespace: ns})
	go func() { _ = w.Run(t.Context(), sink) }()
	sink.until(t, "the application", func(o fleet.Observation) bool { return o.Namespace == ns })
	r := NewRecorder(c, w, kube.NewEvents(t.Context(), c, slog.New(slog.DiscardHandler), unmetered{}), nil)
	object := func(name string) map[string]any {
		u, err := c.Dynamic.Resource(Resource).Namespace(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return u.Object
	}
	a := fleet.Autoscaler{Namespace: ns, Name: "ca"}
	record := fleet.Record{ID: "e-1", Time: time.Now(), Key: fleet.Key{Namespace: ns, Deployment: "app"}, Applied: true, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		Decision: scaling.Decision{To: 1, Trigger: scaling.StartCall, Summary: "0 → 1: 1 request waits", Reasons: []scaling.Reason{
			{Rule: "Start", Effect: scaling.Wish, Replicas: 1, Message: "1 request waits", Inputs: []scaling.Input{{Name: "waiting", Value: 1, Unit: "requests", Age: time.Second}}},
		}}}
	targets := []fleet.Target{{
		Name: "app", State: fleet.Waking, Replicas: 1, LastActivity: time.Now(), Last: &record,
		Conditions: []fleet.Condition{{Type: "TargetFound", OK: true, Reason: "DeploymentFound", Message: "it exists"}, {Type: "Active", OK: true, Reason: "Waking", Message: "1 asked for"}},
	}}
	// A controller that runs in the same cluster writes too, so it may take more than one attempt.
	var status map[string]any
	for range 5 {
		if err := bring(t, r, a, targets); err != nil {
			t.Fatal(err)
		}
		if status, _, _ = unstructured.NestedMap(object("ca"), "status"); status["state"] == "Waking" {
			break
		}
	}
	if status["state"] != "Waking" || status["message"] != "0 → 1: 1 request waits" || status["observedGeneration"] != int64(1) {
		t.Errorf("status %v", status)
	}
	if conditions, _ := status["conditions"].([]any); len(conditions) != 4 {
		t.Errorf("conditions %v", status["conditions"])
	}
	stored := contract.ReadStatus(object("ca"))
	if next := contract.NewStatus(standing(t, w, a), targets, stored, time.Now()); !stored.Covers(next) {
		t.Errorf("it would be written again though nothing changed: %v\n%v", stored, next)
	}
	if err := bring(t, r, fleet.Autoscaler{Namespace: ns, Name: "gone"}, nil); err != fleet.ErrGone { //nolint:errorlint // exactly that
		t.Errorf("of an object that is gone: %v", err)
	}

	if err := bring(t, r, fleet.Autoscaler{Namespace: ns, Name: "late"}, nil); err != nil {
		t.Fatal(err)
	}
	late, _, _ := unstructured.NestedSlice(object("late"), "status", "conditions")
	if text := fmt.Sprint(late); !strings.Contains(text, "RouteConflict") || !strings.Contains(text, ns+"/ca") {
		t.Errorf("the later of two with one prefix: %v", late)
	}

	r.Event(a, fleet.Event{Reason: "Scaled", Message: "app: 0 → 1"})
	watch, err := c.Typed.CoreV1().Events(ns).Watch(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=ca", TimeoutSeconds: new(int64(20))})
	if err != nil {
		t.Fatal(err)
	}
	for e := range watch.ResultChan() {
		if event, ok := e.Object.(*corev1.Event); ok && event.Reason == "Scaled" {
			watch.Stop()
			return
		}
	}
	t.Error("the event was not written")
}

func TestIntegration_AMalformedObjectStopsNothingElse(t *testing.T) {
	c, ns := kubetest.Connect(t)
	createDeployment(t, c, ns, 0)
	createAutoscaler(t, c, ns, "good", target1(ns))
	sink := newSeenSink()
	w := NewWatcher(Options{Clients: c, Log: slog.New(slog.DiscardHandler), Namespace: ns})
	go func() { _ = w.Run(t.Context(), sink) }()
	sink.until(t, "the good one", func(o fleet.Observation) bool { return o.Autoscaler == "good" })
	// The API server refuses such an object; one stored under an older schema gets into the cache.
	bad := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "bad", "namespace": ns, "uid": "x", "resourceVersion": "1"},
		"spec":     map[string]any{"targetDeployments": "not a list", "idleTime": "soon"},
	}}
	sightings{w}.Put(w.autoscalers.keep(raw(bad)))
	if _, err := c.Dynamic.Resource(Resource).Namespace(ns).Patch(t.Context(), "good", types.MergePatchType, []byte(`{"spec":{"idleTime":7}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	sink.until(t, "a change of the good one", func(o fleet.Observation) bool { return o.Spec.IdleTime == 7*time.Second })
	if s := standing(t, w, fleet.Autoscaler{Namespace: ns, Name: "bad"}); s.Malformed == nil {
		t.Errorf("the bad one stands %+v", s)
	}
}

func standing(t *testing.T, w *Watcher, a fleet.Autoscaler) contract.Standing {
	t.Helper()
	known, ok := w.autoscalers.get(a)
	if !ok {
		t.Fatalf("%v is not known", a)
	}
	return known.standing()
}

func TestIntegration_NoPermissionIsARefusal(t *testing.T) {
	c, ns := kubetest.Connect(t)
	createDeployment(t, c, ns, 0)
	_, err := NewScaler(kubetest.Nobody(t, c, ns)).Scale(t.Context(), fleet.Key{Namespace: ns, Deployment: "app"}, fleet.Scale{}, 1)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.From(err).Detail, "may not") || !strings.Contains(fault.From(err).Detail, `"system:serviceaccount:`) {
		t.Errorf("got %v", err)
	}
	_, err = NewScaler(kubetest.Away(t, c)).Scale(t.Context(), fleet.Key{Namespace: ns, Deployment: "app"}, fleet.Scale{Version: 1}, 1)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.From(err).Detail, "does not answer") {
		t.Errorf("got %v", err)
	}
}
