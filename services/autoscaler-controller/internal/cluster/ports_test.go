package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func numbered(n int32) contract.Port { return contract.Port{Number: n} }

func TestPodPort(t *testing.T) {
	with := func(p ...corev1.ServicePort) *service {
		return keepService(&corev1.Service{Spec: corev1.ServiceSpec{Ports: p}})
	}
	target := func(port contract.Port, service string) contract.Target {
		return contract.Target{Port: port, Service: service}
	}
	web, http, none := contract.Port{Name: "web"}, contract.Port{Name: "http"}, contract.Port{Name: "none"}
	for name, c := range map[string]struct {
		target  contract.Target
		service *service
		port    int32
		problem string
	}{
		"no service":                {target(numbered(80), ""), nil, 80, ""},
		"service is missing":        {target(numbered(80), "svc"), nil, 80, "does not exist"},
		"by number":                 {target(numbered(80), "svc"), with(corev1.ServicePort{Port: 81, TargetPort: intstr.FromInt32(1)}, corev1.ServicePort{Port: 80, TargetPort: intstr.FromInt32(8001)}), 8001, ""},
		"leads to a name":           {target(numbered(80), "svc"), with(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("web")}), 8000, ""},
		"leads to no name":          {target(numbered(80), "svc"), with(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("nothing")}), 0, "no port of that name"},
		"target not given":          {target(numbered(80), "svc"), with(corev1.ServicePort{Port: 80}), 80, ""},
		"no such port":              {target(numbered(80), "svc"), with(corev1.ServicePort{Port: 81}), 80, "has no port 80"},
		"the pod's name":            {target(web, ""), nil, 8000, ""},
		"no name of the pod":        {target(none, ""), nil, 0, "the pod has no port none"},
		"the Service's name":        {target(http, "svc"), with(corev1.ServicePort{Name: "web", Port: 1}, corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8001)}), 8001, ""},
		"by name to a name":         {target(http, "svc"), with(corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromString("admin")}), 9000, ""},
		"no name of the Service":    {target(web, "svc"), with(corev1.ServicePort{Name: "http", Port: 80}), 8000, "has no port web: it is taken as the pod's own"},
		"no name of either":         {target(none, "svc"), with(corev1.ServicePort{Name: "http", Port: 80}), 0, "has no port none"},
		"a name, service missing":   {target(web, "svc"), nil, 8000, "does not exist"},
		"a port is not found by ''": {target(numbered(80), "svc"), with(corev1.ServicePort{Name: "", Port: 79}, corev1.ServicePort{Port: 80, TargetPort: intstr.FromInt32(5)}), 5, ""},
	} {
		port, problem := podPort(c.target, c.service, keepPod(container(nil)).shape)
		if port != c.port || (c.problem == "") != (problem == "") || !strings.Contains(problem, c.problem) {
			t.Errorf("%s: %d %q", name, port, problem)
		}
	}
}

func TestAddress_OfADeploymentAtTwoPorts(t *testing.T) {
	service := keepService(&corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
		{Name: "http", Port: 80, TargetPort: intstr.FromString("web")}, {Name: "grpc", Port: 90, TargetPort: intstr.FromString("admin")},
	}}})
	c := claim{by: &autoscaler{Autoscaler: fleet.Autoscaler{Namespace: "ns"}, Spec: contract.Spec{Concurrency: 3}}, targets: []contract.Target{
		{Name: "app", Prefix: "/api", Port: contract.Port{Name: "http"}, Service: "svc", StripPrefix: true, RewriteAnswers: true, Algorithm: "Random"},
		{Name: "app", Prefix: "/pb.Models", Hosts: []string{"h"}, Port: contract.Port{Name: "grpc"}, Service: "svc"},
		{Name: "app", Prefix: "/raw", Port: numbered(7000), StripPrefix: true},
		{Name: "app", Prefix: "/lost", Port: contract.Port{Name: "lost"}, Service: "gone"},
	}}
	places := []place{{c.targets[0], service}, {c.targets[1], service}, {c.targets[2], nil}, {c.targets[3], nil}}
	want := fleet.Address{
		Prefix: "/api", StripPrefix: true, RewriteAnswers: true, Service: "svc.ns.svc:80", Algorithm: "Random", Concurrency: 3,
		AlsoAt: []fleet.Place{{Prefix: "/pb.Models", Hosts: []string{"h"}, H2C: true, Service: "svc.ns.svc:90"}, {Prefix: "/raw", StripPrefix: true}, {Prefix: "/lost"}},
	}
	if diff := cmp.Diff(want, address(places, c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"svc", "gone"}, c.services()); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	pod := container(nil)
	pod.Status.PodIP = "10.0.0.1"
	p, problem := observePod(places, keepPod(pod), false, false)
	if diff := cmp.Diff([]string{"10.0.0.1:9000", "10.0.0.1:7000", ""}, p.AlsoAt); diff != "" || p.Address != "10.0.0.1:8000" || !strings.Contains(problem, "the Service gone does not exist") {
		t.Errorf("%s %q (-want +got):\n%s", p.Address, problem, diff)
	}
	// A container without a check of its own: every port must take a connection.
	var ports []int32
	for _, probe := range p.Probes {
		ports = append(ports, probe.Port)
	}
	if diff := cmp.Diff([]int32{8000, 9000, 7000}, ports); diff != "" {
		t.Errorf("checked (-want +got):\n%s", diff)
	}
}

func TestSpeaksH2C_ByProtocolElseByName(t *testing.T) {
	with := contract.Target{Port: contract.Port{Number: 80}, Service: "svc"}
	for name, c := range map[string]struct {
		target contract.Target
		port   corev1.ServicePort
		want   bool
	}{
		"nothing is said":                  {with, corev1.ServicePort{Port: 80}, false},
		"h2c":                              {with, corev1.ServicePort{Port: 80, AppProtocol: new("kubernetes.io/h2c")}, true},
		"grpc":                             {with, corev1.ServicePort{Port: 80, AppProtocol: new("grpc")}, true},
		"another protocol, whatever name":  {with, corev1.ServicePort{Port: 80, Name: "grpc", AppProtocol: new("http")}, false},
		"an empty protocol":                {with, corev1.ServicePort{Port: 80, Name: "grpc", AppProtocol: new("")}, true},
		"HTTP/2 over TLS is another thing": {with, corev1.ServicePort{Port: 80, AppProtocol: new("https")}, false},
		"the name grpc":                    {with, corev1.ServicePort{Port: 80, Name: "grpc"}, true},
		"a name of grpc":                   {with, corev1.ServicePort{Port: 80, Name: "grpc-models"}, true},
		"a name of http2":                  {with, corev1.ServicePort{Port: 80, Name: "http2"}, true},
		"gRPC-Web":                         {with, corev1.ServicePort{Port: 80, Name: "grpc-web"}, false},
		"the name http":                    {with, corev1.ServicePort{Port: 80, Name: "http"}, false},
		"another port":                     {with, corev1.ServicePort{Port: 81, Name: "grpc"}, false},
		"without a Service":                {contract.Target{Port: contract.Port{Number: 80}}, corev1.ServicePort{Port: 80, Name: "grpc"}, false},
	} {
		service := keepService(&corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9, Name: "http2"}, c.port}}})
		if got := speaksH2C(c.target, service); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if speaksH2C(with, nil) {
		t.Error("a Service that is not there says nothing")
	}
}

func TestStuck_OnlyWhatNoPatienceWillStart(t *testing.T) {
	for _, c := range []struct {
		reason   string
		restarts int32
		want     string
	}{
		{"ContainerCreating", 0, ""},
		{"PodInitializing", 0, ""},
		{"ErrImagePull", 0, "ErrImagePull"},
		{"ImagePullBackOff", 0, "ImagePullBackOff"},
		{"InvalidImageName", 0, "InvalidImageName"},
		{"CreateContainerConfigError", 0, "CreateContainerConfigError"},
		{"CrashLoopBackOff", 2, ""},
		{"CrashLoopBackOff", 3, "CrashLoopBackOff"},
	} {
		status := corev1.ContainerStatus{Name: "c", RestartCount: c.restarts, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: c.reason}}}
		running := corev1.ContainerStatus{Name: "d", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
		for where, pod := range map[string]*corev1.Pod{
			"container": {Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{running, status}}},
			"init":      {Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{status}, ContainerStatuses: []corev1.ContainerStatus{running}}},
		} {
			if p, _ := observePod([]place{{target: contract.Target{Port: contract.Port{Number: 80}}}}, keepPod(pod), false, false); p.Stuck != c.want {
				t.Errorf("%s %s, %d restarts: %q, want %q", where, c.reason, c.restarts, p.Stuck, c.want)
			}
		}
	}
	unschedulable := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}}}}
	if got := stuck(unschedulable); got != "" {
		t.Errorf("a pod without a node may get one: %q", got)
	}
}
