package cluster

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
)

// asking is a CustomAutoscaler that asks for the sidecar.
func asking(name string, sidecar map[string]any, targets ...any) *unstructured.Unstructured {
	u := object(name, 1, targets...)
	u.Object["spec"].(map[string]any)["sidecar"] = sidecar //nolint:forcetypeassert // it was made above
	return u
}

func TestSidecar_IsOfTheDeploymentsThatItsCustomAutoscalerHas(t *testing.T) {
	w := newWorld(t)
	asks := func(deployment string) bool { _, asked := w.Sidecar("ns", deployment); return asked }
	if asks("app") {
		t.Error("of nothing it is asked for")
	}
	w.see(object("plain", 1, target("plain", "/plain")))
	w.see(asking("second", map[string]any{"metricsPort": int64(8000)}, target("app", "/app"), target("plain", "/other")))
	if got, asked := w.Sidecar("ns", "app"); !asked || got != (injection.Sidecar{MetricsPort: 8000, MetricsPath: "/metrics", ShareProcesses: true}) {
		t.Errorf("%+v %v", got, asked)
	}
	if asks("plain") {
		t.Error("of a Deployment that an older CustomAutoscaler has, a younger one asks for nothing")
	}
	if _, asked := w.Sidecar("other", "app"); asked {
		t.Error("a Deployment of the same name in another namespace is another one")
	}
	w.see(asking("second", map[string]any{"enabled": false}, target("app", "/app")))
	u := asking("second", map[string]any{"enabled": false}, target("app", "/app"))
	u.SetGeneration(2)
	w.see(u)
	if asks("app") {
		t.Error("it is switched off")
	}
	w.remove(u)
	if asks("app") {
		t.Error("the CustomAutoscaler is gone")
	}
}

func templateWith(labels map[string]string, containers ...corev1.Container) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: containers}}
}

func serviceTo(name string, selector map[string]string, ports ...corev1.ServicePort) *service {
	return keepService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ServiceSpec{Selector: selector, Ports: ports}})
}

func TestAdvise_IsOfWhatThereIs(t *testing.T) {
	w := newWorld(t, in("ns", "old", 0, target("taken", "/taken")))
	advise := func(change map[string]any) []string {
		one := map[string]any{"name": "app", "apiPrefix": "/app", "port": "80", "service": "front"}
		maps.Copy(one, change)
		spec, err := contract.ReadSpec(map[string]any{"spec": map[string]any{"targetDeployments": []any{one}}})
		if err != nil {
			t.Fatal(err)
		}
		return w.Advise(fleet.Autoscaler{Namespace: "ns", Name: "new"}, day.Add(time.Hour), spec)
	}
	said := func(what string, got []string, want ...string) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", what, got, want)
			return
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
	}
	said("nothing is there yet", advise(nil))
	gpu := corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}
	d.Spec.Template = templateWith(map[string]string{"app": "app"}, corev1.Container{
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}}, Resources: corev1.ResourceRequirements{Limits: gpu},
	})
	w.deployments.Put(keepDeployment(d))
	w.services.Put(serviceTo("front", map[string]string{"app": "other"}, corev1.ServicePort{Name: "web", Port: 80, TargetPort: intstr.FromString("http")}))
	said("a Service of others", advise(nil), "limit of nvidia.com/gpu", "they have no label app=other")
	w.services.Put(serviceTo("front", map[string]string{"app": "app"}, corev1.ServicePort{Name: "web", Port: 80, TargetPort: intstr.FromString("http")},
		corev1.ServicePort{Name: "plain", Port: 8000}, corev1.ServicePort{Name: "far", Port: 81, TargetPort: intstr.FromInt32(9000)}))
	d.Spec.Template.Spec.Containers[0].Resources.Limits = nil
	w.deployments.Put(keepDeployment(d))
	said("all is well", advise(nil))
	said("a port that is its own target", advise(map[string]any{"port": "plain"}))
	said("a target that no container has", advise(map[string]any{"port": "far"}), "has the port 9000, to which the Service front leads (they have 8000 http)")
	said("a port of none", advise(map[string]any{"port": "82"}), "the Service front has no port 82 (it has 80 web, 81 far, 8000 plain)")
	said("what an older one has", advise(map[string]any{"apiPrefix": "/taken"}), "app: apiPrefix /taken belongs to the CustomAutoscaler ns/old, which is older")
	said("its Deployment", advise(map[string]any{"name": "taken"}), "the Deployment taken belongs to the CustomAutoscaler old")
	if got := w.standsOf("ns", "old"); got != "false " {
		t.Errorf("that something was asked changed what the other has: %s", got)
	}
}

func TestTemplate_OfAGPUInWords(t *testing.T) {
	for name, want := range map[corev1.ResourceName]string{
		"nvidia.com/gpu": "nvidia.com/gpu", "amd.com/gpu": "amd.com/gpu", "gpu.intel.com/i915": "gpu.intel.com/i915", "nvidia.com/mig-1g.5gb": "nvidia.com/mig-1g.5gb",
		"google.com/tpu": "google.com/tpu", "memory": "", "ephemeral-storage": "", "example.com/fpga": "",
	} {
		if got := gpuOf(corev1.ResourceList{name: resource.MustParse("1"), "cpu": resource.MustParse("1")}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := gpuOf(corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("0")}); got != "" {
		t.Errorf("a limit of none: %q", got)
	}
}

func TestTemplate_LabelsThatMayBeCutOffAreNotKnown(t *testing.T) {
	few, many := map[string]string{"a": "b", "c": ""}, map[string]string{}
	for i := range 100 {
		many[strings.Repeat("k", 40)+string(rune('a'+i%26))+string(rune('a'+i/26))] = "v"
	}
	if diff := cmp.Diff(few, labelsOf(labelText(few))); diff != "" {
		t.Error(diff)
	}
	if got := labelsOf(labelText(many)); got != nil {
		t.Errorf("%d of %d labels", len(got), len(many))
	}
	if got := labelsOf(""); got != nil {
		t.Errorf("of none: %v", got)
	}
}
