package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const adoptedHPA = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: cart, namespace: shop }
spec:
  scaleTargetRef: { kind: Deployment, name: cart }
  maxReplicas: 4
  metrics: [{ type: Resource, resource: { name: cpu, target: { type: AverageValue, averageValue: 250m } } }, { type: Pods }]
---
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec: { selector: { app: cart }, ports: [{ port: 80 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: cart, namespace: shop }
spec: { template: { metadata: { labels: { app: cart } } } }
`

func TestAdopt_FromAFileAndTheStandardInput(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte(adoptedHPA), 0o600); err != nil {
		t.Fatal(err)
	}
	got := w.run(t, "adopt", "-f", file).ok(t)
	golden(t, "adopt.yaml", got)
	if stdin := w.runWith(t, func(s *Streams) { s.In = strings.NewReader(adoptedHPA) }, "adopt", "-f", "-").ok(t); stdin != got {
		t.Error(stdin)
	}
	_, manifest, _ := strings.Cut(got, "---\n")
	var o map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &o); err != nil || o["kind"] != "CustomAutoscaler" {
		t.Errorf("%v %v", o, err)
	}
	var all struct {
		Left []struct{ Field, Note string }
	}
	if err := json.Unmarshal([]byte(w.run(t, "adopt", "-f", file, "-o", "json").ok(t)), &all); err != nil || len(all.Left) != 1 || all.Left[0].Field != "spec.metrics[1]" {
		t.Errorf("%+v %v", all, err)
	}
	w.run(t, "adopt").fails(t, misused, "say what is adopted")
	w.run(t, "adopt", "hpa/a", "-f", file).fails(t, misused, "say what is adopted")
	w.run(t, "adopt", "-f", file+"-not").fails(t, misused, "no such file")
	w.run(t, "adopt", "pod/a").fails(t, misused, `"pod/a" cannot be adopted`)
	for text, said := range map[string]string{"kind: Pod": "no HorizontalPodAutoscaler", "{": "is no YAML", "kind: HorizontalPodAutoscaler\napiVersion: autoscaling/v2": "metadata.name is missing"} {
		if got := w.runWith(t, func(s *Streams) { s.In = strings.NewReader(text) }, "adopt", "-f", "-"); got.code == done || !strings.Contains(got.err, said) {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestAdopt_FromTheCluster(t *testing.T) {
	objects := map[string]string{}
	for one := range strings.SplitSeq(adoptedHPA, "---\n") {
		text, err := yaml.YAMLToJSON([]byte(one))
		if err != nil {
			t.Fatal(err)
		}
		objects[[]string{"hpa", "services", "deployments"}[len(objects)]] = string(text)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		switch {
		case strings.HasSuffix(r.URL.Path, "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/cart"):
			fmt.Fprint(w, objects["hpa"])
		case last == "services" || last == "deployments":
			fmt.Fprintf(w, `{"kind":"List","apiVersion":"v1","items":[%s]}`, objects[last])
		case last == "interceptorroutes":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"it is not there","code":404}`)
		}
	}))
	t.Cleanup(server.Close)
	w := newWorld(t)
	config := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"k","cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],"users":[{"name":"u","user":{"token":"t"}}]}`, server.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := w.run(t, "adopt", "hpa/cart", "--kubeconfig", config).ok(t)
	golden(t, "adopt.yaml", got)
	w.run(t, "adopt", "ksvc/cart", "--kubeconfig", config).fails(t, missing, "ksvc/cart in shop")
}
