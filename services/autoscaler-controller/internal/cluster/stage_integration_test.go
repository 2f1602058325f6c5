//go:build integration

package cluster

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

type seenSink struct {
	observed  chan fleet.Observation
	forgotten chan fleet.Key
	refreshed chan fleet.Autoscaler
}

func newSeenSink() *seenSink {
	return &seenSink{make(chan fleet.Observation, 1000), make(chan fleet.Key, 100), make(chan fleet.Autoscaler, 100)}
}
func (s *seenSink) Observe(o fleet.Observation) { s.observed <- o }
func (s *seenSink) Forget(k fleet.Key)          { s.forgotten <- k }
func (s *seenSink) Refresh(a fleet.Autoscaler)  { s.refreshed <- a }

// until waits for an observation that fits.
func (s *seenSink) until(t *testing.T, what string, fits func(fleet.Observation) bool) fleet.Observation {
	t.Helper()
	deadline := time.After(testwait.Limit())
	var last fleet.Observation
	for {
		select {
		case last = <-s.observed:
			if fits(last) {
				return last
			}
		case <-deadline:
			t.Fatalf("%s: not seen; the last observation is %+v", what, last)
		}
	}
}

func createDeployment(t *testing.T, c *kube.Clients, namespace string, replicas int32) {
	t.Helper()
	labels := map[string]string{"app": "app"}
	grace, no := int64(0), false
	_, err := c.Typed.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					AutomountServiceAccountToken: &no, TerminationGracePeriodSeconds: &grace,
					Containers: []corev1.Container{{
						Name: "app", Image: "nemesis/fibonacci:dev", ImagePullPolicy: corev1.PullNever,
						Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 5001}},
						ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
							HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("web")},
						}},
					}},
				},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func createAutoscaler(t *testing.T, c *kube.Clients, namespace, name string, spec map[string]any) {
	t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": Resource.GroupVersion().String(), "kind": Kind,
		"metadata": map[string]any{"name": name, "namespace": namespace}, "spec": spec,
	}}
	if _, err := c.Dynamic.Resource(Resource).Namespace(namespace).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func target1(namespace string) map[string]any {
	return map[string]any{"targetDeployments": []any{map[string]any{
		"name": "app", "apiPrefix": "/" + namespace, "port": "80", "service": "front",
	}}}
}
