package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestMeasurement_IsTheSumOverTheContainers(t *testing.T) {
	use := func(cpu, memory string) metricsv1beta1.ContainerMetrics {
		return metricsv1beta1.ContainerMetrics{Usage: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}}
	}
	pod := &metricsv1beta1.PodMetrics{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}, Timestamp: metav1.NewTime(day), Window: metav1.Duration{Duration: 15 * time.Second},
		Containers: []metricsv1beta1.ContainerMetrics{use("250m", "3Mi"), use("1", "512Ki")},
	}
	got, ok := measurement(pod)
	want := fleet.Measurement{
		Pod: fleet.PodName{Namespace: "ns", Name: "p"}, Source: fleet.Kubernetes, At: day, From: day.Add(-15 * time.Second),
		Values: map[fleet.Gauge]float64{fleet.CPUUsage: 1250, fleet.MemoryUsage: 3.5},
	}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok := measurement(&metricsv1beta1.PodMetrics{}); ok {
		t.Error("a pod without containers was measured")
	}
}

func container(change func(*corev1.Container)) *corev1.Pod {
	c := corev1.Container{Name: "c", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8000}, {Name: "admin", ContainerPort: 9000}}}
	if change != nil {
		change(&c)
	}
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}
}

// probesOf are the checks of a pod, of which its shape is kept.
func probesOf(pod *corev1.Pod, ports []int32, early bool) ([]fleet.Probe, bool) {
	form, started := shapeOf(pod)
	return form.probes(ports, started, early)
}

func TestProbes(t *testing.T) {
	get := func(change func(*corev1.HTTPGetAction)) *corev1.Probe {
		g := &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromString("web"), HTTPHeaders: []corev1.HTTPHeader{{Name: "host", Value: "h"}, {Name: "X", Value: "y"}}}
		if change != nil {
			change(g)
		}
		return &corev1.Probe{TimeoutSeconds: 3, ProbeHandler: corev1.ProbeHandler{HTTPGet: g}}
	}
	tcp := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(9000)}}}
	http := fleet.Probe{HTTP: true, Port: 8000, Scheme: "HTTP", Host: "h", Path: "/ready", Headers: []fleet.Header{{Name: "X", Value: "y"}}, Timeout: 3 * time.Second}
	tcpProbe := fleet.Probe{Port: 9000, Timeout: time.Second}
	bare := fleet.Probe{Port: 8000, Timeout: time.Second}
	always := corev1.ContainerRestartPolicyAlways
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want []fleet.Probe
		can  bool
	}{
		"HTTP":            {container(func(c *corev1.Container) { c.ReadinessProbe = get(nil) }), []fleet.Probe{http}, true},
		"TCP":             {container(func(c *corev1.Container) { c.ReadinessProbe = tcp }), []fleet.Probe{tcpProbe}, true},
		"none":            {container(nil), []fleet.Probe{bare}, true},
		"startup as well": {container(func(c *corev1.Container) { c.StartupProbe, c.ReadinessProbe = tcp, get(nil) }), []fleet.Probe{tcpProbe, http}, true},
		"startup alone":   {container(func(c *corev1.Container) { c.StartupProbe = tcp }), []fleet.Probe{tcpProbe, bare}, true},
		"command": {container(func(c *corev1.Container) {
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{}}}
		}), nil, false},
		"gRPC": {container(func(c *corev1.Container) {
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1}}}
		}), nil, false},
		"another host": {container(func(c *corev1.Container) {
			c.ReadinessProbe = get(func(g *corev1.HTTPGetAction) { g.Host = "1.2.3.4" })
		}), nil, false},
		"no such port": {container(func(c *corev1.Container) {
			c.ReadinessProbe = get(func(g *corev1.HTTPGetAction) { g.Port = intstr.FromString("x") })
		}), nil, false},
		"readiness gates": {func() *corev1.Pod {
			p := container(nil)
			p.Spec.ReadinessGates = []corev1.PodReadinessGate{{}}
			return p
		}(), nil, false},
		"the node's network": {func() *corev1.Pod { p := container(nil); p.Spec.HostNetwork = true; return p }(), nil, false},
		"a sidecar's too": {func() *corev1.Pod {
			p := container(func(c *corev1.Container) { c.ReadinessProbe = get(nil) })
			p.Spec.InitContainers = []corev1.Container{{Name: "once", ReadinessProbe: nil}, {Name: "side", RestartPolicy: &always, ReadinessProbe: tcp}}
			return p
		}(), []fleet.Probe{tcpProbe, http}, true},
	} {
		got, can := probesOf(c.pod, []int32{8000}, false)
		if diff := cmp.Diff(c.want, got); diff != "" || can != c.can {
			t.Errorf("%s: %v\n%s", name, can, diff)
		}
	}
}

func TestObservePod_WasReadyBefore(t *testing.T) {
	pod := func(ready bool, turned time.Time, started time.Time) *corev1.Pod {
		p := container(nil)
		status := corev1.ConditionFalse
		if ready {
			status = corev1.ConditionTrue
		}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, Reason: "ContainersNotReady", Message: "c", LastTransitionTime: metav1.NewTime(turned)}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}}}}
		return p
	}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"ready now":                        {pod(true, day.Add(time.Minute), day), true},
		"starting: not ready since made":   {pod(false, day, day.Add(2*time.Second)), false},
		"fell back after its start":        {pod(false, day.Add(time.Minute), day), true},
		"its container has just restarted": {pod(false, day, day.Add(time.Minute)), false},
	} {
		p, _ := observePod([]place{{target: contract.Target{Port: contract.Port{Number: 80}}}}, keepPod(c.pod), false, false)
		if p.WasReady != c.want {
			t.Errorf("%s: %v", name, p.WasReady)
		}
	}
}

func TestWhy_SaysTheMostTelling(t *testing.T) {
	p := container(nil)
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available"}}
	if got := why(p); got != "Unschedulable: 0/1 nodes are available" {
		t.Errorf("got %q", got)
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}}}
	if got := why(p); got != "c: ImagePullBackOff: no such image" {
		t.Errorf("got %q", got)
	}
}

func TestProbes_WithTheUsersPatience(t *testing.T) {
	tcp := func(change func(*corev1.Probe)) *corev1.Probe {
		p := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(9000)}}}
		change(p)
		return p
	}
	runs := func(name string, at time.Time) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(at)}}}
	}
	pod := container(func(c *corev1.Container) {
		c.StartupProbe = tcp(func(p *corev1.Probe) { p.InitialDelaySeconds = 5 })
		c.ReadinessProbe = tcp(func(p *corev1.Probe) { p.InitialDelaySeconds, p.SuccessThreshold, p.PeriodSeconds = 15, 3, 2 })
	})
	usual := container(func(c *corev1.Container) { c.ReadinessProbe = tcp(func(p *corev1.Probe) { p.SuccessThreshold = 2 }) })
	check := fleet.Probe{Port: 9000, Timeout: time.Second}
	slow, thrice, twice := check, check, check
	slow.Delay = 5 * time.Second
	thrice.Delay, thrice.Successes, thrice.Period = 15*time.Second, 3, 2*time.Second
	twice.Successes, twice.Period = 2, 10*time.Second
	since := func(p fleet.Probe) fleet.Probe { p.Started = day.Add(time.Second); return p }
	running := pod.DeepCopy()
	running.Status.ContainerStatuses = []corev1.ContainerStatus{runs("other", day.Add(-time.Hour)), runs("c", day)}
	for name, c := range map[string]struct {
		pod   *corev1.Pod
		early bool
		want  []fleet.Probe
	}{
		"its container does not run":   {pod, false, []fleet.Probe{slow, thrice}},
		"it runs":                      {running, false, []fleet.Probe{since(slow), since(thrice)}},
		"early":                        {running, true, []fleet.Probe{check, check}},
		"with the default's period":    {usual, false, []fleet.Probe{twice}},
		"early, with a default period": {usual, true, []fleet.Probe{check}},
	} {
		got, _ := probesOf(c.pod, []int32{8000}, c.early)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for at, want := range map[time.Duration]time.Duration{-time.Second: 17 * time.Second, 0: 16 * time.Second, 15 * time.Second: time.Second, 16 * time.Second: 0, time.Hour: 0} {
		if got := since(thrice).Remaining(day.Add(at)); got != want {
			t.Errorf("%v after its start %v remain, want %v", at, got, want)
		}
	}
	if got := thrice.Remaining(day); got != 15*time.Second {
		t.Errorf("before its start %v remain", got)
	}
}
