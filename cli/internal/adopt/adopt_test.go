package adopt

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

var update = flag.Bool("update", false, "write the golden files anew")

func read(t *testing.T, manifests string) []Object {
	t.Helper()
	var all []Object
	for one := range strings.SplitSeq(manifests, "\n---\n") {
		var o Object
		if err := yaml.Unmarshal([]byte(one), &o); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

// sorted has what stands beside the first manifest in its place.
func sorted(all []Object) Beside {
	var b Beside
	for _, o := range all {
		switch text(o, "kind") {
		case "Deployment":
			b.Deployments = append(b.Deployments, o)
		case "Service":
			b.Services = append(b.Services, o)
		default:
			b.Routes = append(b.Routes, o)
		}
	}
	return b
}

var contract = sync.OnceValues(autoscaler.GetSpec)

// fits holds the CustomAutoscaler to the contract's schema.
func fits(t *testing.T, o Object) {
	t.Helper()
	spec, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if err := spec.Components.Schemas["CustomAutoscaler"].Value.VisitJSON(v); err != nil {
		t.Errorf("the cluster would refuse it: %v\n%s", err, text)
	}
}

func (a Adoption) said(t *testing.T) string {
	t.Helper()
	out := "# from " + a.From + "\n"
	for _, part := range []struct {
		name string
		of   []Field
	}{{"mapped", a.Mapped}, {"left", a.Left}} {
		for _, f := range part.of {
			out += fmt.Sprintf("# %s: %s -> %s\n", part.name, f.Field, f.Note)
		}
	}
	for _, next := range a.Next {
		out += "# next: " + next + "\n"
	}
	for _, o := range a.Objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out += "---\n" + string(text)
	}
	return out
}

func TestAdopt_WhatBecomesOfEachField(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			manifests, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all := read(t, string(manifests))
			before := fmt.Sprint(all)
			a, err := Adopt(all[0], sorted(all[1:]))
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(all) != before {
				t.Error("what was read was changed")
			}
			fits(t, a.Objects[len(a.Objects)-1])
			golden, got := strings.TrimSuffix(file, ".yaml")+".golden", a.said(t)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

const scaledObject = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: { name: a, namespace: ns }\nspec: { scaleTargetRef: { name: d }, %s }"

func TestAdopt_Refusals(t *testing.T) {
	for said, manifest := range map[string]string{
		"metadata.name is missing":                    "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {}",
		"spec.scaleTargetRef.name is missing":         "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: { name: a }",
		"scales the StatefulSet db":                   "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: { name: a }\nspec: { scaleTargetRef: { kind: StatefulSet, name: db } }",
		"on which port requests are answered":         fmt.Sprintf(scaledObject, "maxReplicaCount: 3"),
		"adopt the ScaledObject":                      "apiVersion: http.keda.sh/v1beta1\nkind: InterceptorRoute\nmetadata: { name: a }",
		"Deployment of apps/v1 is not known here":     "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: a }",
		"Service of v1 is not known here":             "apiVersion: v1\nkind: Service\nmetadata: { name: a }",
		"spec.template.spec.containers is missing":    "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: { name: a }",
		"HorizontalPodAutoscaler of no apiVersion is": "kind: HorizontalPodAutoscaler\nmetadata: { name: a }",
	} {
		if _, err := Adopt(read(t, manifest)[0], Beside{}); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%v, want %q", err, said)
		}
	}
	many := "apiVersion: http.keda.sh/v1alpha1\nkind: HTTPScaledObject\nmetadata: { name: a }\nspec:\n  scaleTargetRef: { name: d, service: s, port: 1 }\n  pathPrefixes: ["
	for i := range 17 {
		many += fmt.Sprintf("/p%d, ", i)
	}
	if _, err := Adopt(read(t, many+"]")[0], Beside{}); err == nil || !strings.Contains(err.Error(), "has 17 prefixes; a CustomAutoscaler has at most 16") {
		t.Errorf("%v", err)
	}
}

// field is what became of something, in short: the value in the CustomAutoscaler, or why there is none.
func TestAdopt_Cases(t *testing.T) {
	port := Beside{Port: "80"}
	for name, c := range map[string]struct {
		manifest string
		beside   Beside
		spec     string // a part of the object, as JSON
		left     string
	}{
		"an HPA without metrics goes by 80% of the CPU requests": {
			"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: { name: a }\nspec: { scaleTargetRef: { kind: Deployment, name: d }, maxReplicas: 3 }",
			port, `"minReplicas":1`, "80% of the CPU requests",
		},
		"an HPA of version 1": {
			"apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: { name: a, namespace: ns }\nspec: { scaleTargetRef: { name: d }, maxReplicas: 3, targetCPUUtilizationPercentage: 70 }",
			Beside{Deployments: read(t, "metadata: { name: d, namespace: ns }\nspec: { template: { spec: { containers: [{ ports: [{ containerPort: 5000 }], resources: { requests: { cpu: 1 } } }] } } }")},
			`"cpuThreshold":700`, "",
		},
		"idle at zero, else at least two":        {fmt.Sprintf(scaledObject, "idleReplicaCount: 0, minReplicaCount: 2"), port, `"minReplicas":0`, ""},
		"paused at a count":                      {strings.Replace(fmt.Sprintf(scaledObject, "maxReplicaCount: 3"), "namespace: ns", `namespace: ns, annotations: { autoscaling.keda.sh/paused-replicas: "1" }`, 1), port, `"pausedReplicas":1`, ""},
		"a trigger of a route that is not there": {fmt.Sprintf(scaledObject, "triggers: [{ type: external-push, metadata: { interceptorRoute: r } }]"), port, `"maxReplicas":100`, "names the InterceptorRoute r, which is not there"},
		"a scaler of others":                     {fmt.Sprintf(scaledObject, "triggers: [{ type: external, metadata: { scalerAddress: a } }]"), port, `"port":"80"`, "scalers of others are not asked"},
		"a cron trigger that is none":            {fmt.Sprintf(scaledObject, "triggers: [{ type: cron, metadata: { start: daily, end: x, desiredReplicas: 2 } }]"), port, `"port":"80"`, "a schedule has a start and an end"},
		"CPU of one container":                   {fmt.Sprintf(scaledObject, "triggers: [{ type: cpu, metadata: { value: \"50\", containerName: c } }]"), port, `"port":"80"`, "by pod, and not by container"},
		"CPU as nonsense":                        {fmt.Sprintf(scaledObject, "triggers: [{ type: cpu, metadata: { value: much } }]"), port, `"port":"80"`, `"much" is no percentage`},
		"no trigger at all":                      {fmt.Sprintf(scaledObject, "triggers: [{}]"), port, `"port":"80"`, "triggers of the kind none"},
		"only hosts with wildcards: not taken for every host": {
			"apiVersion: http.keda.sh/v1alpha1\nkind: HTTPScaledObject\nmetadata: { name: a, namespace: ns }\nspec: { hosts: [\"*.a.example\"], scaleTargetRef: { name: d, service: s, port: 1 } }",
			Beside{}, `"apiPrefix":"/ns/d"`, "without wildcards",
		},
		"a path that no prefix may be": {
			"apiVersion: http.keda.sh/v1alpha1\nkind: HTTPScaledObject\nmetadata: { name: a, namespace: ns }\nspec: { pathPrefixes: [\"/a%20b\", /c], scaleTargetRef: { name: d, service: s, port: 1 } }",
			Beside{}, `"targetDeployments":[{"apiPrefix":"/c","name":"d","port":"1","service":"s","stripPrefix":false}]`, "not a prefix",
		},
		"what people say wins": {
			fmt.Sprintf(scaledObject, "maxReplicaCount: 3"), Beside{Prefix: "/mine", Hosts: []string{"a.example"}, Service: "s", Port: "http"},
			`"targetDeployments":[{"apiPrefix":"/mine","hosts":["a.example"],"name":"d","port":"http","service":"s"}]`, "",
		},
		"several Services": {
			fmt.Sprintf(scaledObject, "maxReplicaCount: 3"),
			Beside{Port: "80", Deployments: read(t, "metadata: { name: d, namespace: ns }\nspec: { template: { metadata: { labels: { app: d } } } }"),
				Services: read(t, "metadata: { name: s1, namespace: ns }\nspec: { selector: { app: d } }\n---\nmetadata: { name: s2, namespace: ns }\nspec: { selector: { app: d } }")},
			`"targetDeployments":[{"apiPrefix":"/ns/d","name":"d","port":"80"}]`, "",
		},
		"Knative by requests a second": {
			"apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: { name: a, namespace: ns }\nspec: { template: { metadata: { annotations: { autoscaling.knative.dev/metric: rps, autoscaling.knative.dev/target-utilization-percentage: \"100\" } }, spec: { containers: [{ image: i }] } } }",
			Beside{}, `"targetRequestRate":200`, "",
		},
		"Knative by nothing that is known": {
			"apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: { name: a, namespace: ns }\nspec: { template: { metadata: { annotations: { autoscaling.knative.dev/metric: queue } }, spec: { containers: [{ image: i }] } } }",
			Beside{}, `"idleTime":60`, "queue is not measured",
		},
		"Knative by its defaults": {
			"apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: { name: a, namespace: ns }\nspec: { template: { spec: { containers: [{ image: i }] } } }",
			Beside{}, `"targetConcurrency":70`, "",
		},
	} {
		a, err := Adopt(read(t, c.manifest)[0], c.beside)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		made := a.Objects[len(a.Objects)-1]
		fits(t, made)
		spec, _ := json.Marshal(made["spec"])
		left := fmt.Sprint(a.Left)
		if !strings.Contains(string(spec), c.spec) || c.left == "" && len(a.Left) > 0 && !strings.Contains(name, "Knative") || !strings.Contains(left, c.left) {
			t.Errorf("%s: %s\nleft %s", name, spec, left)
		}
	}
}

func TestQuantity(t *testing.T) {
	for s, want := range map[any]float64{"500m": 0.5, "2": 2, "1Gi": 1 << 30, "500Mi": 500 << 20, "1k": 1000, int64(3): 3, 0.25: 0.25} {
		if got, ok := quantity(s); !ok || got != want {
			t.Errorf("%v is %v", s, got)
		}
	}
	for _, s := range []any{"", "much", "1Xi", nil, []any{}} {
		if got, ok := quantity(s); ok {
			t.Errorf("%v is %v", s, got)
		}
	}
}

// FuzzAdopt holds that nothing that is written in a manifest makes it panic, and that what comes of it is what the
// cluster takes or an error.
func FuzzAdopt(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, manifests string) {
		var all []Object
		for one := range strings.SplitSeq(manifests, "\n---\n") {
			var o Object
			if yaml.Unmarshal([]byte(one), &o) != nil {
				return
			}
			all = append(all, o)
		}
		b := sorted(all[1:])
		b.Port = "80"
		a, err := Adopt(all[0], b)
		if err == nil && len(a.Objects) == 0 {
			t.Error("nothing came of it, and nobody says why")
		}
	})
}
