package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestDecode_OfRequestsTakesTheContractsDefaults(t *testing.T) {
	a, err := decode(object(map[string]any{"targetDeployments": targets(nil)}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fleet.Waiting{While: "Hold"}, a.waiting); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if a.uncounted != nil || a.targets[0].keep || a.targets[0].asIs {
		t.Errorf("uncounted %v, target %+v", a.uncounted, a.targets[0])
	}
}

func TestDecode_ReadsWhatBecomesOfRequests(t *testing.T) {
	a, err := decode(object(map[string]any{
		"targetDeployments": targets(map[string]any{"stripPrefix": false, "rewriteAnswers": false}),
		"startTimeout":      int64(90), "busyTimeout": int64(7), "whileWaiting": "Progress", "uncountedRequests": []any{
			map[string]any{"paths": []any{"/healthz", "/status/*", "/*", "/"}, "methods": []any{"GET"}, "statusWhileAsleep": int64(503)},
			map[string]any{"userAgents": []any{"kube-probe/", "Mozilla/5.0 (compatible; checker)"}},
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fleet.Waiting{StartTimeout: 90 * time.Second, BusyTimeout: 7 * time.Second, While: "Progress"}, a.waiting); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]fleet.UncountedRequest{
		{Paths: []string{"/healthz", "/status/*", "/*", "/"}, Methods: []string{"GET"}, StatusWhileAsleep: 503},
		{UserAgents: []string{"kube-probe/", "Mozilla/5.0 (compatible; checker)"}, StatusWhileAsleep: 200},
	}, a.uncounted); diff != "" {
		t.Errorf("uncounted (-want +got):\n%s", diff)
	}
	if !a.targets[0].keep || !a.targets[0].asIs {
		t.Errorf("target %+v", a.targets[0])
	}
}

func TestDecode_OfRequestsNamesWhatIsMalformed(t *testing.T) {
	uncounted := func(entry map[string]any) map[string]any { return map[string]any{"uncountedRequests": []any{entry}} }
	many := func(n int, entry any) []any {
		list := make([]any, n)
		for i := range list {
			list[i] = entry
		}
		return list
	}
	for says, spec := range map[string]map[string]any{
		"spec.startTimeout: 121 is not allowed: must be from 1 to wakeUpTimeout, which is 120":                      {"startTimeout": int64(121)},
		"spec.startTimeout: 0 is not allowed":                                                                       {"startTimeout": int64(0)},
		"spec.busyTimeout: 11 is not allowed: must be from 1 to wakeUpTimeout, which is 10":                         {"busyTimeout": int64(11), "wakeUpTimeout": int64(10)},
		"spec.busyTimeout: -1 is not allowed":                                                                       {"busyTimeout": int64(-1)},
		`spec.whileWaiting: "Sing" is not allowed: must be one of Hold, Progress, Accepted, Unavailable, Page`:      {"whileWaiting": "Sing"},
		"spec.uncountedRequests: 17 entries are not allowed: must be at most 16":                                    {"uncountedRequests": many(17, map[string]any{"methods": []any{"GET"}})},
		"spec.uncountedRequests[0]: at least one of paths, methods and userAgents must be given":                    uncounted(map[string]any{"statusWhileAsleep": int64(200)}),
		`spec.uncountedRequests[0].paths[1]: "healthz" is not allowed: must begin with /`:                           uncounted(map[string]any{"paths": []any{"/x", "healthz"}}),
		`spec.uncountedRequests[0].paths[0]: "/a*b" is not allowed`:                                                 uncounted(map[string]any{"paths": []any{"/a*b"}}),
		`spec.uncountedRequests[0].paths[0]: "/a?b" is not allowed`:                                                 uncounted(map[string]any{"paths": []any{"/a?b"}}),
		"spec.uncountedRequests[0].paths: 17 entries are not allowed: must be at most 16":                           uncounted(map[string]any{"paths": many(17, "/x")}),
		"spec.uncountedRequests[0].paths[0]: \"/xxxx":                                                               uncounted(map[string]any{"paths": []any{"/" + strings.Repeat("x", 256)}}),
		`spec.uncountedRequests[0].methods[0]: "get" is not allowed: must have 1 to 16 letters from A to Z`:         uncounted(map[string]any{"methods": []any{"get"}}),
		"spec.uncountedRequests[0].methods: 9 entries are not allowed: must be at most 8":                           uncounted(map[string]any{"methods": many(9, "GET")}),
		`spec.uncountedRequests[0].userAgents[0]: "" is not allowed: must have 1 to 128 printable ASCII characters`: uncounted(map[string]any{"userAgents": []any{""}}),
		"spec.uncountedRequests[0].userAgents: 17 entries are not allowed: must be at most 16":                      uncounted(map[string]any{"userAgents": many(17, "x")}),
		"spec.uncountedRequests[0].statusWhileAsleep: 404 is not allowed: must be 200 or 503":                       uncounted(map[string]any{"paths": []any{"/"}, "statusWhileAsleep": int64(404)}),
	} {
		spec["targetDeployments"] = targets(nil)
		if _, err := decode(object(spec)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q in it", err, says)
		}
	}
}

func TestSpeaksH2C_ByProtocolElseByName(t *testing.T) {
	with := target{port: 80, service: "svc"}
	for name, c := range map[string]struct {
		target target
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
		"without a Service":                {target{port: 80}, corev1.ServicePort{Port: 80, Name: "grpc"}, false},
	} {
		service := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9, Name: "http2"}, c.port}}}
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
			if p, _ := observePod(target{port: 80}, nil, pod, false); p.Stuck != c.want {
				t.Errorf("%s %s, %d restarts: %q, want %q", where, c.reason, c.restarts, p.Stuck, c.want)
			}
		}
	}
	unschedulable := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}}}}
	if got := stuck(unschedulable); got != "" {
		t.Errorf("a pod without a node may get one: %q", got)
	}
}
