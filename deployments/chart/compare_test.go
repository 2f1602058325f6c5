package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func version(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../VERSION")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

const (
	shardingValues = `autoscalerController: {shards: 4, replicas: 3, resources: {requests: {memory: 256Mi}, limits: {memory: 1Gi}}}`
	otlpValues     = `otlp: {endpoint: "http://otel-collector.observability.svc:4318"}`
	elasticValues  = `elasticsearch: {enabled: true, url: "https://elasticsearch.example:9200"}`
)

func TestChart_RendersWhatKustomizeDoes(t *testing.T) {
	base := append([]string{"base/crd"}, bases...)
	prod := []string{"overlays/production"}
	for name, c := range map[string]struct {
		resources, components []string
		values                []string
	}{
		"defaults":                     {resources: base},
		"production":                   {resources: prod, values: []string{production(t)}},
		"servicemonitor":               {base, []string{"servicemonitor"}, []string{`serviceMonitor: {enabled: true}`}},
		"alerts":                       {base, []string{"alerts"}, []string{`alerts: {enabled: true}`}},
		"grafana-dashboards":           {base, []string{"grafana-dashboards"}, []string{`grafanaDashboards: {enabled: true}`}},
		"otlp":                         {base, []string{"otlp"}, []string{otlpValues}},
		"data-tls":                     {base, []string{"data-tls"}, []string{`loadBalancer: {tls: {enabled: true}}`}},
		"webhook":                      {base, []string{"webhook"}, []string{`webhook: {enabled: true}`}},
		"sharding":                     {base, []string{"sharding"}, []string{shardingValues}},
		"collector":                    {prod, []string{"collector"}, []string{production(t), `metricsCollector: {enabled: true}`}},
		"elasticsearch":                {prod, []string{"elasticsearch-existing"}, []string{production(t), elasticValues}},
		"elasticsearch out of cluster": {prod, []string{"elasticsearch-existing", "elasticsearch-egress"}, []string{production(t), elasticValues, `elasticsearch: {egress: true}`}},
		"all of them": {
			prod, []string{"otlp", "data-tls", "sharding", "collector", "elasticsearch-existing", "grafana-dashboards"},
			[]string{production(t), otlpValues, shardingValues, elasticValues, `{loadBalancer: {tls: {enabled: true}}, metricsCollector: {enabled: true}, grafanaDashboards: {enabled: true}}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := overlay{Resources: c.resources}
			for _, component := range c.components {
				o.Components = append(o.Components, "components/"+component)
			}
			for _, program := range []string{"autoscaler-controller", "load-balancer", "metrics-collector"} {
				o.Images = append(o.Images, image{Name: "nemesis/" + program, NewTag: version(t)})
			}
			want, err := render(kustomizeFolder, o)
			if err != nil {
				t.Fatal(err)
			}
			got := helm(t, "nemesis-system", c.values...)
			for _, crd := range load(t).CRDObjects() {
				if err := got.add(crd.File.Data); err != nil {
					t.Fatal(err)
				}
			}
			delete(want, "Namespace/nemesis-system") // Helm's own to make
			want, got = comparable(want), comparable(got)
			if diff := cmp.Diff(want.ids(), got.ids()); diff != "" {
				t.Errorf("kustomize (-) and Helm (+) make other objects:\n%s", diff)
			}
			for id := range want {
				if diff := cmp.Diff(want[id], got[id]); diff != "" && got[id] != nil {
					t.Errorf("kustomize's (-) and Helm's (+) %s:\n%s", id, diff)
				}
			}
		})
	}
}

// comparable leaves out what makes no difference: the order of environment, ports and volumes, whether a value comes out of a
// generated ConfigMap that nothing else uses, and the end of a Job's name.
func comparable(all objects) objects {
	result := objects{}
	generated := map[string]any{}
	for id, o := range all {
		if regexp.MustCompile(`^ConfigMap/nemesis-(otlp|sharding)-`).MatchString(id) {
			name, _ := at(o, "metadata", "name").(string)
			generated[name] = o["data"]
		}
	}
	for id, o := range all {
		if name, _ := at(o, "metadata", "name").(string); generated[name] != nil {
			continue
		}
		if o["kind"] == "Job" {
			id = regexp.MustCompile(`-[0-9a-f]{8}$`).ReplaceAllString(id, "")
			at(o, "metadata").(map[string]any)["name"] = strings.TrimPrefix(id, "Job/")
		}
		if c, ok := container(o).(map[string]any); ok {
			inline(c, generated)
			for _, key := range []string{"env", "ports", "volumeMounts"} {
				sorted(c[key])
			}
			sorted(at(o, "spec", "template", "spec", "volumes"))
		}
		if o["kind"] == "Service" {
			sorted(at(o, "spec", "ports"))
		}
		result[id] = o
	}
	return result
}

func inline(c map[string]any, generated map[string]any) {
	list, _ := c["env"].([]any)
	for i, item := range list {
		ref := at(item, "valueFrom", "configMapKeyRef")
		name, _ := at(ref, "name").(string)
		key, _ := at(ref, "key").(string)
		if value := at(generated[name], key); value != nil {
			list[i] = map[string]any{"name": at(item, "name"), "value": value}
		}
	}
	whole, _ := c["envFrom"].([]any)
	for _, item := range whole {
		name, _ := at(item, "configMapRef", "name").(string)
		data, _ := generated[name].(map[string]any)
		for key, value := range data {
			list = append(list, map[string]any{"name": key, "value": value})
		}
		if data != nil {
			delete(c, "envFrom")
		}
	}
	c["env"] = list
}

func sorted(list any) {
	items, _ := list.([]any)
	slices.SortFunc(items, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

// That the comparison sees what it is there for.
func TestComparable_KeepsWhatMatters(t *testing.T) {
	read := func(text string) objects {
		o := objects{}
		if err := o.add([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return comparable(o)
	}
	deployment := func(env string) objects {
		return read(fmt.Sprintf(`{kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [{env: %s}]}}}}`, env))
	}
	same := deployment(`[{name: A, value: "1"}, {name: B, value: "2"}]`)
	if other := deployment(`[{name: B, value: "2"}, {name: A, value: "1"}]`); !cmp.Equal(same, other) {
		t.Error("another order is no difference")
	}
	for _, other := range []string{`[{name: A, value: "1"}]`, `[{name: A, value: "1"}, {name: B, value: "3"}]`, `[{name: A, value: "1"}, {name: B, valueFrom: {}}]`} {
		if cmp.Equal(same, deployment(other)) {
			t.Errorf("%s is a difference", other)
		}
	}
}

func TestChart_HasTheVersionOfTheProduct(t *testing.T) {
	c := load(t)
	if c.Metadata.Version != version(t) || c.Metadata.AppVersion != version(t) {
		raw, _ := yaml.Marshal(c.Metadata)
		t.Errorf("VERSION is %s; deployments/release writes Chart.yaml too:\n%s", version(t), raw)
	}
}
