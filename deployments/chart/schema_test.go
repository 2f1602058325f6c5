package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// open are the maps whose keys are the user's own, and what Kubernetes or Helm describes.
var open = []string{"global", "rollingUpdate", "nodeAffinity", "podAffinity", "podAntiAffinity", "strings", "settings", "quantities", "items"}

func schema(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(chartFolder, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(raw))
}

func TestSchema_ClosesWhatHasItsOwnKeys(t *testing.T) {
	closed := 0
	var walk func(path string, value any)
	walk = func(path string, value any) {
		node, ok := value.(map[string]any)
		if !ok {
			return
		}
		if node["type"] == "object" {
			if node["additionalProperties"] == false {
				closed++
			} else if !slices.Contains(open, path[strings.LastIndex(path, ".")+1:]) {
				t.Errorf("%s takes any key", path)
			}
		}
		for key, below := range node {
			walk(path+"."+key, below)
		}
	}
	walk("", schema(t))
	if closed < 20 {
		t.Errorf("only %d objects are closed", closed)
	}
}

// Whatever the schema has stands in values.yaml, and so in the README. The other way round a value that the schema does not have is
// refused when the chart is rendered.
func TestSchema_HasNothingThatValuesDoNotShow(t *testing.T) {
	whole := schema(t)
	var walk func(path string, schema, values any)
	walk = func(path string, node, values any) {
		if ref, ok := at(node, "$ref").(string); ok {
			node = at(whole, "$defs", strings.TrimPrefix(ref, "#/$defs/"))
		}
		properties, _ := at(node, "properties").(map[string]any)
		set, _ := values.(map[string]any)
		if len(properties) > 0 && len(set) == 0 && values != nil {
			return // described by Kubernetes: empty by default
		}
		for key, below := range properties {
			if _, there := set[key]; !there && !slices.Contains([]string{"global", "requests", "limits", "claims"}, key) {
				t.Errorf("%s%s is not in values.yaml", path, key)
			}
			walk(path+key+".", below, set[key])
		}
	}
	values := load(t).Values
	if len(slices.Collect(maps.Keys(values))) < 10 {
		t.Fatalf("only %v are there", values)
	}
	walk("", whole, values)
}

func TestSchema_RefusesWhatIsMistaken(t *testing.T) {
	for values, want := range map[string]string{
		`replicas: 2`:                                               "replicas",
		`loadbalancer: {replicas: 2}`:                               "loadbalancer",
		`loadBalancer: {replica: 2}`:                                "replica",
		`loadBalancer: {replicas: "2"}`:                             "/loadBalancer/replicas",
		`loadBalancer: {replicas: -1}`:                              "/loadBalancer/replicas",
		`loadBalancer: {settings: {log-level: debug}}`:              "log-level",
		`loadBalancer: {settings: {NEMESIS_LOG_LEVEL: [debug]}}`:    "/loadBalancer/settings/NEMESIS_LOG_LEVEL",
		`loadBalancer: {resources: {limit: {memory: 1Gi}}}`:         "limit",
		`loadBalancer: {resources: {limits: {memory: 1 Gi}}}`:       "/loadBalancer/resources/limits/memory",
		`loadBalancer: {image: {digest: latest}}`:                   "/loadBalancer/image/digest",
		`loadBalancer: {public: {type: ClusterIP}}`:                 "/loadBalancer/public/type",
		`loadBalancer: {tls: {secretName: ""}}`:                     "/loadBalancer/tls/secretName",
		`loadBalancer: {affinity: {nodeAfinity: {}}}`:               "nodeAfinity",
		`loadBalancer: {podLabels: {a: 1}}`:                         "/loadBalancer/podLabels/a",
		`images: {pullPolicy: always}`:                              "/images/pullPolicy",
		`images: {tag: "a b"}`:                                      "/images/tag",
		`images: {registry: ""}`:                                    "/images/registry",
		`images: {pullSecrets: [registry]}`:                         "/images/pullSecrets/0",
		`autoscalerController: {shards: 65}`:                        "/autoscalerController/shards",
		`autoscalerController: {shards: 0}`:                         "/autoscalerController/shards",
		`watchNamespace: [a, b]`:                                    "/watchNamespace",
		`watchNamespace: Team_A`:                                    "/watchNamespace",
		`rbac: {namespaced: "true"}`:                                "/rbac/namespaced",
		`networkPolicy: {apiServer: {port: 6443}}`:                  "port",
		`networkPolicy: {apiServer: {ports: []}}`:                   "/networkPolicy/apiServer/ports",
		`networkPolicy: {apiServer: {ports: [70000]}}`:              "/networkPolicy/apiServer/ports/0",
		`networkPolicy: {apiServer: {cidrs: [10.0.0.1]}}`:           "/networkPolicy/apiServer/cidrs/0",
		`otlp: {endpoint: "collector:4318"}`:                        "/otlp/endpoint",
		`elasticsearch: {url: "elasticsearch:9200"}`:                "/elasticsearch/url",
		`elasticsearch: {enabled: true}`:                            "elasticsearch.url",
		`elasticsearch: {retention: 30 days}`:                       "/elasticsearch/retention",
		`metricsCollector: {replicas: 2}`:                           "replicas",
		`alerts: true`:                                              "/alerts",
		`loadBalancer: {resources: {limits: {memory: 1e9}}}`:        "resources.limits.memory", // by the template, which says what is allowed
		`loadBalancer: {podLabels: {app.kubernetes.io/name: mine}}`: "app.kubernetes.io/name",
	} {
		t.Run(values, func(t *testing.T) {
			if _, err := template(t, "nemesis-system", values); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not named: %v", want, err)
			}
		})
	}
}
