package cluster

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// deaf is a Sink that counts.
type deaf struct{ observed int }

func (d *deaf) Observe(fleet.Observation) { d.observed++ }
func (*deaf) Forget(fleet.Key)            {}
func (*deaf) Refresh(fleet.Autoscaler)    {}

// crowd shows a Watcher n applications of `each` pods, each with its host at one prefix, its Deployment, its
// Service and its slice; every hundred share a namespace.
type crowd struct {
	w    *Watcher
	sink *deaf
	n    int
}

func newCrowd(n, each int) *crowd {
	c := &crowd{w: newWatcher(slog.New(slog.DiscardHandler)), sink: &deaf{}, n: n}
	c.w.sink = c.sink
	autoscalers := make([]*sighting, n)
	for i := range n {
		autoscalers[i] = c.w.autoscalers.keep(raw(crowdAutoscaler(i, 1)))
	}
	sightings{c.w}.Replace(autoscalers, 1)
	c.w.pods.begin()
	pods := make([]*pod, 0, n*each)
	for i := range n {
		c.w.deployments.Put(keepDeployment(crowdDeployment(i)))
		c.w.services.Put(keepService(crowdService(i)))
		for j := range each {
			pods = append(pods, c.w.pods.keep(crowdPod(i, j, 1)))
		}
		c.w.slices.Put(keepSlice(crowdSlice(i, each)))
	}
	c.w.pods.Replace(pods, 1)
	c.w.start()
	return c
}

func crowdMeta(i int, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: fmt.Sprint("models-", i/100), Name: name, UID: types.UID(fmt.Sprintf("0b5c2a1e-7c1d-4a53-9f0e-%012d", i)),
		ResourceVersion: fmt.Sprint(i + 1), CreationTimestamp: metav1.NewTime(day),
	}
}

func crowdAutoscaler(i int, generation int64) *unstructured.Unstructured {
	app := fmt.Sprint("model-", i)
	u := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"minReplicas": int64(0), "maxReplicas": int64(5), "idleTime": 300 + generation, "cpuThreshold": int64(80),
			"targetDeployments": []any{map[string]any{"name": app, "apiPrefix": "/", "hosts": []any{app + ".example.com"}, "port": "80", "service": app}},
		},
		"status": crowdStatus(app, 1),
	}}
	m := crowdMeta(i, app)
	u.SetNamespace(m.Namespace)
	u.SetName(m.Name)
	u.SetUID(m.UID)
	u.SetResourceVersion(m.ResourceVersion)
	u.SetGeneration(generation)
	u.SetCreationTimestamp(m.CreationTimestamp)
	return u
}

func crowdStatus(app string, replicas int64) map[string]any {
	conditions := []any{}
	for _, kind := range []string{"Accepted", "TargetFound", "AbleToScale", "Active", "Contested", "Ready"} {
		conditions = append(conditions, map[string]any{
			"type": kind, "status": "True", "reason": "AsItShouldBe", "message": "every target is there, and is scaled and routed to",
			"lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": int64(1),
		})
	}
	return map[string]any{
		"state": "Asleep", "replicas": replicas, "readyReplicas": int64(0), "observedGeneration": int64(1), "conditions": conditions,
		"targets": []any{map[string]any{
			"name": app, "state": "Asleep", "replicas": replicas, "readyReplicas": int64(0), "replicasBeforeSleep": int64(2), "conditions": conditions,
			"learned": map[string]any{"startSeconds": []any{1.5, 2.25, 3.5, 1.75}, "podConcurrency": 4.5, "serviceSeconds": 0.25},
		}},
	}
}

func crowdDeployment(i int) *appsv1.Deployment {
	app := fmt.Sprint("model-", i)
	return &appsv1.Deployment{ObjectMeta: crowdMeta(i, app), Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
	}}
}

func crowdService(i int) *corev1.Service {
	return &corev1.Service{ObjectMeta: crowdMeta(i, fmt.Sprint("model-", i)), Spec: corev1.ServiceSpec{
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP}},
	}}
}

func crowdPodName(i, j int) string { return fmt.Sprintf("model-%d-7d9c5b8f6d-x%04d", i, j) }

func crowdSlice(i, pods int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: crowdMeta(i, fmt.Sprint("model-", i, "-abcde"))}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: fmt.Sprint("model-", i)}
	for j := range pods {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: crowdPodName(i, j)}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
		})
	}
	return s
}

// crowdPod is a pod as the API server brings it, of which no text is anybody else's.
func crowdPod(i, j, version int) *corev1.Pod {
	app := fmt.Sprint("model-", i)
	m := crowdMeta(i, crowdPodName(i, j))
	m.UID = types.UID(fmt.Sprintf("%08d-7c1d-4a53-9f0e-%012d", j, i))
	m.ResourceVersion = fmt.Sprint(version)
	m.Labels = map[string]string{"app": app, appsv1.DefaultDeploymentUniqueLabelKey: fmt.Sprint("7d9c5b8f", "6d")}
	m.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: app + "-7d9c5b8f6d", Controller: new(true)}}
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: fmt.Sprint("/", "healthz"), Port: intstr.FromString("http")}}}
	return &corev1.Pod{
		ObjectMeta: m,
		Spec: corev1.PodSpec{NodeName: fmt.Sprint("node-", j%50), Containers: []corev1.Container{{
			Name: "model", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}}, ReadinessProbe: probe, StartupProbe: probe,
		}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.%d.%d.%d", j%200, i/200%200, i%200),
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(day)}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "model", RestartCount: int32(version), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(day)}}}},
		},
	}
}

// What one event costs must not grow with the number of applications.
func BenchmarkEvent(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		c := newCrowd(n, 2)
		events := func(what string, prepare func(i int) func()) {
			b.Run(fmt.Sprint(what, "/", n), func(b *testing.B) {
				c.sink.observed = 0
				b.ReportAllocs()
				var took []time.Duration
				for i := 0; b.Loop(); i++ {
					b.StopTimer()
					one := prepare(i)
					b.StartTimer()
					began := time.Now()
					one()
					took = append(took, time.Since(began))
				}
				b.ReportMetric(float64(c.sink.observed)/float64(b.N), "woken/op")
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2]), "median-ns/op") // what a busy machine does besides is not in it
			})
		}
		events("pod", func(i int) func() {
			p := crowdPod(i%n, 0, 10+i)
			return func() { c.w.pods.Put(c.w.pods.keep(p)) }
		})
		events("podOfNobody", func(i int) func() {
			p := crowdPod(n+1, i%100, 10+i)
			return func() { c.w.pods.Put(c.w.pods.keep(p)) }
		})
		events("status", func(i int) func() {
			u := crowdAutoscaler(i%n, 1)
			u.Object["status"] = crowdStatus(u.GetName(), int64(i))
			o := raw(u)
			return func() { sightings{c.w}.Put(c.w.autoscalers.keep(o)) }
		})
		events("spec", func(i int) func() {
			o := raw(crowdAutoscaler(i%n, int64(2+i)))
			return func() { sightings{c.w}.Put(c.w.autoscalers.keep(o)) }
		})
	}
}

// BenchmarkMemory says how much is kept of an application that sleeps, of the status that this process has
// written of it, and of a pod.
func BenchmarkMemory(b *testing.B) {
	held := func(make func() *crowd) (float64, *crowd) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := make()
		runtime.GC()
		runtime.GC() // what finalizers have let go
		runtime.ReadMemStats(&after)
		return float64(after.HeapAlloc) - float64(before.HeapAlloc), c
	}
	for b.Loop() {
		const apps, each = 10_000, 10
		var led *crowd
		leading, _ := held(func() *crowd {
			led = newCrowd(apps, 0)
			for i := range apps {
				led.w.autoscalers.wrote(raw(crowdAutoscaler(i, 1)), contract.Status{})
			}
			return led
		})
		runtime.KeepAlive(led)
		led = nil
		asleep, c := held(func() *crowd { return newCrowd(apps, 0) })
		awake, d := held(func() *crowd { return newCrowd(apps, each) })
		b.ReportMetric(asleep/apps, "B/application")
		b.ReportMetric((leading-asleep)/apps, "B/written")
		b.ReportMetric((awake-asleep)/(apps*each), "B/pod")
		runtime.KeepAlive(c)
		runtime.KeepAlive(d)
	}
}
