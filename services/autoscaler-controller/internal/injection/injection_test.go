package injection

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var set = Settings{Image: "registry.example/nemesis/sidecar:1"}

// pod is one of the Deployment shop; change is applied to it as YAML over it, level by level.
func pod(t *testing.T, changes ...string) map[string]any {
	t.Helper()
	p := tree(t, `
metadata:
  generateName: shop-7d9c5b8f6d-
  labels: {app: shop, pod-template-hash: 7d9c5b8f6d}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: shop-7d9c5b8f6d, controller: true}]
spec:
  containers: [{name: shop, image: shop}]
`)
	for _, text := range changes {
		over(p, tree(t, text))
	}
	return p
}

func tree(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func over(base, change map[string]any) {
	for k, v := range change {
		inner, ok := v.(map[string]any)
		was, there := base[k].(map[string]any)
		if ok && there {
			over(was, inner)
		} else {
			base[k] = v
		}
	}
}

func raw(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// applied is a pod after a patch, which has nothing but add.
func applied(t *testing.T, p map[string]any, patch []Operation) map[string]any {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(raw(t, p), &root); err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Op, Path string
		Value    any
	}
	if err := json.Unmarshal(raw(t, patch), &list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		parts := strings.Split(o.Path, "/")[1:]
		at := root
		for len(parts) > 2 || len(parts) == 2 && parts[1] != "-" {
			inner, ok := at[parts[0]].(map[string]any)
			if !ok {
				t.Fatalf("%s: there is no %s", o.Path, parts[0])
			}
			at, parts = inner, parts[1:]
		}
		key := strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[0])
		if len(parts) == 1 {
			at[key] = o.Value
			continue
		}
		there, ok := at[key].([]any)
		if !ok {
			t.Fatalf("%s: %s is no list", o.Path, key)
		}
		at[key] = append(there, o.Value)
	}
	return root
}

func injected(t *testing.T, p map[string]any, s Sidecar, set Settings) (map[string]any, Outcome, string) {
	t.Helper()
	read, err := Read(raw(t, p))
	if err != nil {
		t.Fatal(err)
	}
	patch, outcome, why := Inject(read, s, set)
	if (outcome == Injected) != (len(patch) > 0) {
		t.Fatalf("%s, with the patch %v", outcome, patch)
	}
	return applied(t, p, patch), outcome, why
}

// dig is a place in a tree; nil where there is none.
func dig(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s < 0 {
				s += len(l)
			}
			if s < 0 || s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}

func TestInject_TheLastContainerIsThatOfTheComponent(t *testing.T) {
	content, err := os.ReadFile("../../../../kustomize/components/sidecar/container.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var operations []struct {
		Path  string
		Value any
	}
	if err := yaml.Unmarshal(content, &operations); err != nil {
		t.Fatal(err)
	}
	byPath := map[string]any{}
	for _, o := range operations {
		byPath[o.Path] = o.Value
	}
	got, outcome, why := injected(t, pod(t, "metadata: {annotations: {nemesis/metrics-url: 'http://localhost:8000/metrics'}}"), Sidecar{ShareProcesses: true}, set)
	if outcome != Injected || why != "" {
		t.Fatalf("%s: %s", outcome, why)
	}
	want, ok := byPath["/spec/template/spec/containers/-"].(map[string]any)
	if !ok {
		t.Fatalf("the component adds %v", byPath)
	}
	// It mounts no folder of the application, and so measures none.
	want["env"] = without(want["env"], "NEMESIS_DISK_PATHS")
	want["image"] = set.Image
	want["volumeMounts"] = []any{map[string]any{"name": "nemesis-identity", "mountPath": "/var/run/secrets/nemesis", "readOnly": true}}
	if diff := cmp.Diff(want, dig(got, "spec", "containers", -1)); diff != "" {
		t.Errorf("the component's container (-) and the injected one (+):\n%s", diff)
	}
	if dig(got, "spec", "shareProcessNamespace") != byPath["/spec/template/spec/shareProcessNamespace"] ||
		dig(got, "metadata", "labels", "nemesis/sidecar") != byPath["/spec/template/metadata/labels/nemesis~1sidecar"] {
		t.Errorf("the component has %v, the pod is %v", byPath, got)
	}
	if _, port := dig(got, "spec", "containers", -1).(map[string]any)["ports"]; port {
		t.Error("it has a port")
	}
}

func without(list any, name string) []any {
	var out []any
	items, _ := list.([]any)
	for _, item := range items {
		if dig(item, "name") != name {
			out = append(out, item)
		}
	}
	return out
}

func TestInject_TheTokenIsOfOurAudienceAndTheCertificateNeedNotBeThere(t *testing.T) {
	got, _, _ := injected(t, pod(t), Sidecar{}, set)
	want := tree(t, `
name: nemesis-identity
projected:
  sources:
    - serviceAccountToken: {audience: nemesis, expirationSeconds: 3600, path: token}
    - configMap: {name: nemesis-ca, optional: true, items: [{key: ca.crt, path: ca.crt}]}
`)
	if diff := cmp.Diff(any(want), dig(got, "spec", "volumes", 0)); diff != "" {
		t.Error(diff)
	}
}

func TestInject_KeepsAllThatThePodHas(t *testing.T) {
	before := pod(t, `
metadata: {annotations: {a: b}}
spec:
  volumes: [{name: data, emptyDir: {}}]
  initContainers: [{name: migrate}]
  containers: [{name: shop}, {name: istio-proxy}]
  securityContext: {fsGroup: 7}
`)
	after, _, _ := injected(t, before, Sidecar{ShareProcesses: true}, set)
	for _, c := range []struct {
		path []any
		want any
	}{
		{[]any{"spec", "volumes", 0, "name"}, "data"},
		{[]any{"spec", "volumes", 1, "name"}, "nemesis-identity"},
		{[]any{"spec", "containers", 0, "name"}, "shop"},
		{[]any{"spec", "containers", 1, "name"}, "istio-proxy"},
		{[]any{"spec", "containers", 2, "name"}, "nemesis-sidecar"},
		{[]any{"spec", "containers", 3}, nil},
		{[]any{"spec", "initContainers"}, dig(before, "spec", "initContainers")},
		{[]any{"spec", "securityContext", "fsGroup"}, 7.0},
		{[]any{"metadata", "labels", "app"}, "shop"},
		{[]any{"metadata", "annotations"}, map[string]any{"a": "b"}},
	} {
		if got := dig(after, c.path...); !cmp.Equal(got, c.want) {
			t.Errorf("%v is %v, want %v", c.path, got, c.want)
		}
	}
}

func TestInject_ThePageComesFromTheAnnotationElseFromTheSpec(t *testing.T) {
	url := func(change string, s Sidecar) any {
		got, _, _ := injected(t, pod(t, change), s, set)
		env, _ := dig(got, "spec", "containers", -1, "env").([]any)
		for _, e := range env {
			if dig(e, "name") == "NEMESIS_APP_METRICS_URL" {
				if v := dig(e, "value"); v != nil {
					return v
				}
				return dig(e, "valueFrom", "fieldRef", "fieldPath")
			}
		}
		return nil
	}
	const annotated = "metadata: {annotations: {nemesis/metrics-url: 'http://localhost:1/x'}}"
	for _, c := range []struct {
		change string
		s      Sidecar
		want   any
	}{
		{"{}", Sidecar{}, nil},
		{"{}", Sidecar{MetricsPort: 8000, MetricsPath: "/metrics"}, "http://localhost:8000/metrics"},
		{annotated, Sidecar{}, "metadata.annotations['nemesis/metrics-url']"},
		{annotated, Sidecar{MetricsPort: 8000, MetricsPath: "/metrics"}, "metadata.annotations['nemesis/metrics-url']"},
		{"metadata: {annotations: {nemesis/metrics-url: ''}}", Sidecar{MetricsPort: 8000, MetricsPath: "/stats/p"}, "http://localhost:8000/stats/p"},
	} {
		if got := url(c.change, c.s); got != c.want {
			t.Errorf("%s, %+v: %v, want %v", c.change, c.s, got, c.want)
		}
	}
}

func TestInject_SharesProcessesUnlessSomebodySaysOtherwise(t *testing.T) {
	for _, c := range []struct {
		change string
		asked  bool
		want   any
	}{
		{"{}", true, true},
		{"{}", false, nil},
		{"spec: {shareProcessNamespace: false}", true, false},
		{"spec: {shareProcessNamespace: true}", false, true},
		{"spec: {hostPID: true}", true, nil}, // it sees all there are; Kubernetes refuses both
	} {
		got, outcome, _ := injected(t, pod(t, c.change), Sidecar{ShareProcesses: c.asked}, set)
		if v := dig(got, "spec", "shareProcessNamespace"); v != c.want || outcome != Injected {
			t.Errorf("%s, asked %v: %v (%s), want %v", c.change, c.asked, v, outcome, c.want)
		}
	}
}

func TestInject_TheControllerIsNamedWhereItIsNotWhereTheSidecarLooks(t *testing.T) {
	for url, want := range map[string]bool{"": false, "http://metrics-collector.scaling.svc:8080": true} {
		got, _, _ := injected(t, pod(t), Sidecar{}, Settings{Image: "i", Controller: url})
		text := string(raw(t, got))
		if strings.Contains(text, "NEMESIS_CONTROLLER_URL") != want || !strings.Contains(text, url) {
			t.Errorf("%q: %s", url, text)
		}
	}
}

// What the containers of such a pod ask for must not be more than the pod has: Kubernetes would refuse it.
func TestInject_AsksForNothingInAPodThatSaysWhatAllHaveTogether(t *testing.T) {
	for change, asks := range map[string]bool{
		"{}":                    true,
		"spec: {resources: {}}": true,
		"spec: {resources: {limits: {memory: 32Mi}}}":                 false,
		"spec: {resources: {requests: {cpu: 1}}}":                     false,
		"spec: {resources: {requests: {cpu: 5m}, limits: {cpu: 5m}}}": false,
	} {
		got, outcome, why := injected(t, pod(t, change), Sidecar{}, set)
		if of := dig(got, "spec", "containers", -1, "resources"); outcome != Injected || why != "" || (of != nil) != asks {
			t.Errorf("%s: %s %q, with the resources %v", change, outcome, why, of)
		}
	}
}

func TestInject_ThePodsThatAskForGPUsHaveAnImageOfTheirOwnIfThereIsOne(t *testing.T) {
	gpus := Settings{Image: "i", GPUImage: "g"}
	for name, c := range map[string]struct {
		containers string
		set        Settings
		image      string
		gpus       any // NEMESIS_GPUS; nil: it is not there
		memory     string
	}{
		"none":                          {"[{name: shop}]", gpus, "i", nil, "48Mi"},
		"one":                           {"[{name: shop, resources: {limits: {nvidia.com/gpu: '1'}}}]", gpus, "g", "1", "128Mi"},
		"as a number":                   {"[{name: shop, resources: {limits: {nvidia.com/gpu: 8}}}]", gpus, "g", "8", "128Mi"},
		"a slice":                       {"[{name: shop, resources: {limits: {nvidia.com/mig-1g.5gb: 1}}}]", gpus, "g", "1", "128Mi"},
		"one that others have too":      {"[{name: shop, resources: {limits: {nvidia.com/gpu.shared: 1}}}]", gpus, "g", "1", "128Mi"},
		"two of one, one of another":    {"[{name: shop, resources: {limits: {nvidia.com/gpu: 2}}}, {name: other, resources: {limits: {nvidia.com/gpu: 1, cpu: 1}}}]", gpus, "g", "3", "128Mi"},
		"zero":                          {"[{name: shop, resources: {limits: {nvidia.com/gpu: 0, memory: 1Gi}}}]", gpus, "i", nil, "48Mi"},
		"of somebody else":              {"[{name: shop, resources: {limits: {amd.com/gpu: 1}}}]", gpus, "i", nil, "48Mi"},
		"while there is no other image": {"[{name: shop, resources: {limits: {nvidia.com/gpu: 1}}}]", Settings{Image: "i"}, "i", nil, "48Mi"},
	} {
		got, outcome, _ := injected(t, pod(t, "spec: {containers: "+c.containers+"}"), Sidecar{}, c.set)
		var said any
		env, _ := dig(got, "spec", "containers", -1, "env").([]any)
		for _, e := range env {
			if dig(e, "name") == "NEMESIS_GPUS" {
				said = dig(e, "value")
			}
		}
		image, memory := dig(got, "spec", "containers", -1, "image"), dig(got, "spec", "containers", -1, "resources", "limits", "memory")
		if outcome != Injected || image != c.image || said != c.gpus || memory != c.memory {
			t.Errorf("%s: %s, image %v, %v GPUs, memory %v", name, outcome, image, said, memory)
		}
	}
}

func TestInject_LeavesAlone(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		set    Settings
		want   Outcome
		why    string
	}{
		"who opted out":                       {"metadata: {annotations: {nemesis/inject: 'false'}}", set, OptedOut, ""},
		"who has it by the component":         {"spec: {containers: [{name: shop}, {name: nemesis-sidecar}]}", set, Present, ""},
		"who has it as a native sidecar":      {"spec: {initContainers: [{name: nemesis-sidecar}]}", set, Present, ""},
		"who opted out, without an image":     {"metadata: {annotations: {nemesis/inject: 'false'}}", Settings{}, OptedOut, ""},
		"a pod for Windows":                   {"spec: {os: {name: windows}}", set, Unfit, "for Windows"},
		"a pod for nodes with Windows":        {"spec: {nodeSelector: {kubernetes.io/os: windows}}", set, Unfit, "for Windows"},
		"a pod with a volume of our name":     {"spec: {volumes: [{name: nemesis-identity}]}", set, Unfit, "a volume of the name nemesis-identity"},
		"all while no image is known":         {"{}", Settings{}, Unfit, "no setting sidecar-image"},
		"nobody for another annotation value": {"metadata: {annotations: {nemesis/inject: 'no'}}", set, Injected, ""},
		"nobody for Linux":                    {"spec: {os: {name: linux}, nodeSelector: {kubernetes.io/os: linux}}", set, Injected, ""},
	} {
		p := pod(t, c.change)
		got, outcome, why := injected(t, p, Sidecar{ShareProcesses: true}, c.set)
		if outcome != c.want || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%s: %s %q, want %s %q", name, outcome, why, c.want, c.why)
		}
		if outcome != Injected && !cmp.Equal(string(raw(t, got)), string(raw(t, p))) {
			t.Errorf("%s: it is changed", name)
		}
	}
}

func TestDeployment_IsThatOfTheReplicaSet(t *testing.T) {
	for name, c := range map[string]struct{ change, want string }{
		"of a Deployment":         {"{}", "shop"},
		"hyphens in the name":     {"metadata: {ownerReferences: [{kind: ReplicaSet, name: a-b-7d9c5b8f6d, controller: true}]}", "a-b"},
		"of another ReplicaSet":   {"metadata: {ownerReferences: [{kind: ReplicaSet, name: shop, controller: true}]}", ""},
		"nothing before the hash": {"metadata: {ownerReferences: [{kind: ReplicaSet, name: -7d9c5b8f6d, controller: true}]}", ""},
		"not its controller":      {"metadata: {ownerReferences: [{kind: ReplicaSet, name: shop-7d9c5b8f6d}]}", ""},
		"of a Job":                {"metadata: {ownerReferences: [{kind: Job, name: shop-7d9c5b8f6d, controller: true}]}", ""},
		"of nobody":               {"metadata: {ownerReferences: []}", ""},
		"without a hash":          {"metadata: {labels: {pod-template-hash: ''}, ownerReferences: [{kind: ReplicaSet, name: shop-, controller: true}]}", ""},
		"of the second owner":     {"metadata: {ownerReferences: [{kind: Other, name: x}, {kind: ReplicaSet, name: shop-7d9c5b8f6d, controller: true}]}", "shop"},
	} {
		p, err := Read(raw(t, pod(t, c.change)))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Deployment(); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s: %q %v, want %q", name, got, ok, c.want)
		}
	}
}

func TestRead_RefusesWhatIsNoPod(t *testing.T) {
	for text, want := range map[string]string{
		"": "cannot be read", "[]": "cannot be read", "{}": "no containers", `{"spec":{"containers":[]}}`: "no containers",
		`{"spec":{"containers":"x"}}`: "cannot be read", `{"metadata":{"labels":{"a":1}},"spec":{"containers":[{}]}}`: "cannot be read",
	} {
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Whatever the pod is: it has the sidecar once, as the last of its containers, all else is as it was, and a
// second time changes nothing.
func FuzzInject(f *testing.F) {
	for _, text := range []string{
		`{"spec":{"containers":[{"name":"a"}]}}`,
		`{"metadata":{"labels":{}},"spec":{"containers":[{"name":"a"}],"volumes":[]}}`,
		`{"metadata":{"labels":{"a":"b"},"annotations":{"nemesis/metrics-url":"x"}},"spec":{"containers":[{"name":"a"}],"volumes":[{"name":"v"}],"hostPID":true}}`,
		`{"metadata":{"annotations":{"nemesis/inject":"false"}},"spec":{"containers":[{"name":"nemesis-sidecar"}]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Read(text)
		var given map[string]any
		if err != nil || json.Unmarshal(text, &given) != nil || !exact(given) {
			return
		}
		after, outcome, _ := injected(t, given, Sidecar{ShareProcesses: true, MetricsPort: 1, MetricsPath: "/"}, set)
		if outcome != Injected {
			return
		}
		containers, _ := dig(after, "spec", "containers").([]any)
		if len(containers) != len(p.Spec.Containers)+1 || dig(containers, -1, "name") != Container {
			t.Errorf("containers: %v", containers)
		}
		if again, outcome, _ := injected(t, after, Sidecar{}, set); outcome != Present || !cmp.Equal(again, after) {
			t.Errorf("a second time: %s", outcome)
		}
	})
}

// exact tells whether the names that are read are spelled as the API server spells them: Go takes them in any case.
func exact(p map[string]any) bool {
	if dig(p, "metadata") == nil {
		return false // the API server always says it
	}
	for key, v := range p {
		if lower := strings.ToLower(key); lower == "metadata" || lower == "spec" {
			inner, ok := v.(map[string]any)
			if !ok || key != lower {
				return false
			}
			for k := range inner {
				for _, name := range []string{"labels", "annotations", "containers", "initContainers", "volumes", "shareProcessNamespace", "hostPID"} {
					if strings.EqualFold(k, name) && k != name {
						return false
					}
				}
			}
		}
	}
	return true
}
