package cluster

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func object(spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "ca", "namespace": "ns", "generation": int64(3)}, "spec": spec,
	}}
}

func targets(change map[string]any) []any {
	t := map[string]any{"name": "app", "apiPrefix": "/app", "port": "80"}
	maps.Copy(t, change)
	return []any{t}
}

func TestDecode_TakesTheContractsDefaults(t *testing.T) {
	a, err := decode(object(map[string]any{"targetDeployments": targets(nil)}))
	if err != nil {
		t.Fatal(err)
	}
	want := scaling.Spec{
		MaxReplicas: 10, IdleTime: 300 * time.Second, WakeUpTimeout: 120 * time.Second, DownWindow: time.Minute, MaxStarting: 100,
		Behavior: scaling.Behavior{Up: scaling.Pace{Stabilization: -1}, Down: scaling.Pace{Stabilization: -1}},
	}
	if diff := cmp.Diff(want, a.spec); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if a.balancing != (balancing{}) || a.generation != 3 || len(a.targets) != 1 || a.targets[0].port != 80 {
		t.Errorf("got %+v", a)
	}
}

func TestDecode_ReadsRules(t *testing.T) {
	a, err := decode(object(map[string]any{"targetDeployments": targets(nil), "scaleUpWindow": int64(5), "scaleDownWindow": int64(0), "scalingRules": []any{
		map[string]any{"name": "night", "action": "DECREASE_INSTANCES_TO_ZERO", "thresholds": []any{
			map[string]any{"metricType": "CPU_USAGE", "operator": "LESS_THAN", "value": 2.5, "duration": int64(60)},
		}},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	want := []scaling.Rule{{Name: "night", Action: scaling.DecreaseToZero, Thresholds: []scaling.Threshold{{Metric: scaling.CPU, Operator: scaling.LessThan, Value: 2.5, For: time.Minute}}}}
	if diff := cmp.Diff(want, a.spec.Rules); diff != "" || a.spec.UpWindow != 5*time.Second || a.spec.DownWindow != 0 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

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

func TestDecode_NamesWhatIsMalformed(t *testing.T) {
	for name, c := range map[string]struct {
		spec map[string]any
		says string
	}{
		"a list that is none": {map[string]any{"targetDeployments": "x"}, "targetDeployments"},
		"no name":             {map[string]any{"targetDeployments": targets(map[string]any{"name": ""})}, "targetDeployments[0].name"},
		"port too large":      {map[string]any{"targetDeployments": targets(map[string]any{"port": "65536"})}, `targetDeployments[0].port: "65536"`},
		"port zero":           {map[string]any{"targetDeployments": targets(map[string]any{"port": "0"})}, "targetDeployments[0].port"},
		"port of no kind":     {map[string]any{"targetDeployments": targets(map[string]any{"port": "web"})}, "targetDeployments[0].port"},
		"no prefix":           {map[string]any{"targetDeployments": targets(map[string]any{"apiPrefix": "app"})}, "targetDeployments[0].apiPrefix"},
		"min over max":        {map[string]any{"targetDeployments": targets(nil), "minReplicas": int64(4), "maxReplicas": int64(3)}, "spec.maxReplicas: 3"},
		"negative":            {map[string]any{"targetDeployments": targets(nil), "minReplicas": int64(-1)}, "spec.minReplicas: -1"},
		"a rule of an unknown metric": {map[string]any{"targetDeployments": targets(nil), "scalingRules": []any{map[string]any{
			"name": "r", "action": "INCREASE_INSTANCES", "thresholds": []any{map[string]any{"metricType": "LUCK", "operator": "LESS_THAN"}},
		}}}, `spec.scalingRules[r].metricType: "LUCK"`},
		"a rule without thresholds": {map[string]any{"targetDeployments": targets(nil), "scalingRules": []any{map[string]any{"name": "r", "action": "INCREASE_INSTANCES"}}}, "spec.scalingRules[r].thresholds"},
		"idle at once":              {map[string]any{"targetDeployments": targets(nil), "idleTime": int64(0)}, "spec.idleTime"},
	} {
		if _, err := decode(object(c.spec)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", name, err, c.says)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"a"},"spec":{"targetDeployments":[{"name":"x","apiPrefix":"/x","port":"80"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(raw); err != nil {
			t.Skip()
		}
		a, err := decode(u)
		if err == nil && (a.spec.MaxReplicas < 1 || a.spec.MinReplicas > a.spec.MaxReplicas || a.spec.IdleTime < time.Second) {
			t.Errorf("taken: %+v", a)
		}
	})
}

func TestResolve_TheOldestWins(t *testing.T) {
	one := func(namespace, name string, age time.Duration, t ...target) autoscaler {
		return autoscaler{Autoscaler: fleet.Autoscaler{Namespace: namespace, Name: name}, created: day.Add(-age), targets: t}
	}
	claims, refused := resolve([]autoscaler{
		one("ns", "young", time.Hour, target{name: "app", prefix: "/other"}, target{name: "app2", prefix: "/x"}, target{name: "free", prefix: "/free"}),
		one("ns", "old", 2*time.Hour, target{name: "app", prefix: "/app"}),
		one("ns2", "old", 3*time.Hour, target{name: "app", prefix: "/x"}),
		one("ns3", "host-a", time.Hour, target{name: "app", prefix: "/x", hosts: []string{"a"}}),
		one("ns3", "host-b", time.Minute, target{name: "app2", prefix: "/x", hosts: []string{"b", "a"}}),
	})
	got := map[string]string{}
	for k, c := range claims {
		got[k.String()] = c.by.Name
	}
	want := map[string]string{"ns/app": "old", "ns2/app": "old", "ns/free": "young", "ns3/app": "host-a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[fleet.Autoscaler][]string{
		{Namespace: "ns", Name: "young"}: {
			"the Deployment app belongs to the CustomAutoscaler old, which is older",
			"app2: apiPrefix /x belongs to the CustomAutoscaler ns2/old, which is older",
		},
		{Namespace: "ns3", Name: "host-b"}: {"app2: apiPrefix /x belongs to the CustomAutoscaler ns3/host-a, which is older"},
	}, refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func container(change func(*corev1.Container)) *corev1.Pod {
	c := corev1.Container{Name: "c", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8000}, {Name: "admin", ContainerPort: 9000}}}
	if change != nil {
		change(&c)
	}
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}
}

func TestPodPort(t *testing.T) {
	service := func(p ...corev1.ServicePort) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{Ports: p}}
	}
	with, without := target{port: 80, service: "svc"}, target{port: 80}
	for name, c := range map[string]struct {
		target  target
		service *corev1.Service
		port    int32
		problem string
	}{
		"no service":         {without, nil, 80, ""},
		"service is missing": {with, nil, 80, "does not exist"},
		"by number":          {with, service(corev1.ServicePort{Port: 81, TargetPort: intstr.FromInt32(1)}, corev1.ServicePort{Port: 80, TargetPort: intstr.FromInt32(8001)}), 8001, ""},
		"by name":            {with, service(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("web")}), 8000, ""},
		"by no name":         {with, service(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("nothing")}), 0, "no port of that name"},
		"not given":          {with, service(corev1.ServicePort{Port: 80}), 80, ""},
		"no such port":       {with, service(corev1.ServicePort{Port: 81}), 80, "has no port 80"},
	} {
		port, problem := podPort(c.target, c.service, container(nil))
		if port != c.port || (c.problem == "") != (problem == "") || !strings.Contains(problem, c.problem) {
			t.Errorf("%s: %d %q", name, port, problem)
		}
	}
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
		got, can := probes(c.pod, 8000)
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
		p, _ := observePod(target{port: 80}, nil, c.pod, false)
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

func TestStatus_KeepsTheDecisionThatChangedSomething(t *testing.T) {
	record := func(at time.Duration, applied bool, summary string, reasons ...scaling.Reason) *fleet.Record {
		return &fleet.Record{ID: "e-1", Time: day.Add(at), Applied: applied, Decision: scaling.Decision{Summary: summary, Reasons: reasons}}
	}
	write := func(stored map[string]any, last *fleet.Record) map[string]any {
		m, err := plain(status(standing{generation: 1}, []fleet.Target{{Name: "app", State: fleet.Awake, Last: last}}, stored, day))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	stored := write(nil, record(0, false, "stays at 0: nothing waits"))
	for _, step := range []struct {
		last *fleet.Record
		want string
	}{
		{record(time.Second, true, "0 → 1: 1 request waits"), "0 → 1: 1 request waits"},
		{record(2*time.Second, false, "stays at 1: not idle for 90 s"), "0 → 1: 1 request waits"},
		{nil, "0 → 1: 1 request waits"},
		{record(3*time.Second, false, "stays at 1: held", scaling.Reason{Effect: scaling.Hold}), "stays at 1: held"},
		{record(4*time.Second, false, "stays at 1: not idle for 90 s"), "stays at 1: not idle for 90 s"},
	} {
		if stored = write(stored, step.last); stored["message"] != step.want {
			t.Errorf("message %q, want %q", stored["message"], step.want)
		}
	}
}

func TestWritten_AnOldActivityAloneIsNoReason(t *testing.T) {
	at := func(d time.Duration, replicas int32) map[string]any {
		m, err := plain(status(standing{generation: 1}, []fleet.Target{{Name: "app", State: fleet.Awake, Replicas: replicas, LastActivity: day.Add(d)}}, nil, day))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, c := range map[string]struct {
		after map[string]any
		want  bool
	}{
		"the same":          {at(0, 1), true},
		"a little later":    {at(59*time.Second, 1), true},
		"a minute later":    {at(time.Minute, 1), false},
		"another count":     {at(0, 2), false},
		"nothing is stored": {nil, false},
	} {
		before := at(0, 1)
		if name == "nothing is stored" {
			before, c.after = nil, at(0, 1)
		}
		if got := written(before, c.after); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMerge_OneThatIsNotSoMakesTheWholeNotSo(t *testing.T) {
	got := merge([]fleet.Target{
		{Name: "a", Conditions: []fleet.Condition{{Type: "AbleToScale", OK: true, Message: "fine"}, {Type: "Active", Message: "none"}}},
		{Name: "b", Conditions: []fleet.Condition{{Type: "AbleToScale", Reason: "ScaleFailed", Message: "why"}, {Type: "Active", OK: true, Message: "one"}}},
	})
	want := []fleet.Condition{{Type: "AbleToScale", Reason: "ScaleFailed", Message: "b: why"}, {Type: "Active", OK: true, Message: "b: one"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
