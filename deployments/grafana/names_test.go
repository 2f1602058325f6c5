package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// exported is a metric as a program's page has it; the programs' own tests keep the pages true.
type exported struct {
	kind   string
	labels []string
}

// Every Go program exports these; the test of pkg/telemetry and the client see to it.
var everyone = map[string]exported{
	"process_cpu_seconds_total": {kind: "counter"}, "process_resident_memory_bytes": {kind: "gauge"}, "go_sync_mutex_wait_total_seconds_total": {kind: "counter"},
}

// Prometheus adds these to whatever it scrapes.
var ofTheTarget = []string{"job", "instance", "namespace", "pod", "exported_namespace", "le"}

var listed = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| ([^|]*) \\|")

// page are the metrics of a service's programs.
func page(t *testing.T, service string) map[string]exported {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "services", service, "METRICS.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]exported{}
	for _, m := range listed.FindAllStringSubmatch(string(raw), -1) {
		one := exported{kind: m[2]}
		if m[3] != "" {
			one.labels = strings.Split(m[3], ", ")
		}
		found[m[1]] = one
	}
	if len(found) < 5 {
		t.Fatalf("%s lists %d metrics", service, len(found))
	}
	maps.Copy(found, everyone)
	return found
}

// words are the string literals of a service: the values of its labels are among them.
func words(t *testing.T, service string) string {
	t.Helper()
	var b strings.Builder
	root := filepath.Join("..", "..", "services", service)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		b.Write(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// resolved puts values in place of Grafana's variables.
var resolved = strings.NewReplacer("$__rate_interval", "5m", "$job", "nemesis")

func parse(t *testing.T, expr string) parser.Expr {
	t.Helper()
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(resolved.Replace(expr))
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return tree
}

// groupings are the labels by which something is summed up in it, at the outside.
func groupings(t *testing.T, expr string) (all []string) {
	t.Helper()
	parser.Inspect(parse(t, expr), func(n parser.Node, path []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok && !slices.ContainsFunc(path, func(n parser.Node) bool {
			outer, ok := n.(*parser.AggregateExpr)
			return ok && outer.Op != parser.TOPK
		}) {
			all = append(all, a.Grouping...)
		}
		return nil
	})
	return all
}

// faults are what is wrong with an expression about a program.
func faults(t *testing.T, expr string, known map[string]exported, words string) (all []string) {
	t.Helper()
	var reach []string // labels that something in it has
	tree := parse(t, expr)
	parser.Inspect(tree, func(n parser.Node, path []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		one, name := known[v.Name], v.Name
		for _, part := range []string{"_bucket", "_count", "_sum"} {
			if base, cut := strings.CutSuffix(v.Name, part); cut && known[base].kind == "histogram" {
				one, name = exported{kind: "counter", labels: known[base].labels}, base
			}
		}
		if one.kind == "" || one.kind == "histogram" {
			all = append(all, v.Name+" is not exported")
			return nil
		}
		reach = append(reach, one.labels...)
		for _, m := range v.LabelMatchers {
			own := slices.Contains(one.labels, m.Name)
			switch {
			case m.Name == model.MetricNameLabel:
			case !own && !slices.Contains(ofTheTarget, m.Name):
				all = append(all, name+" has no label "+m.Name)
			case own && (m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual) && !strings.Contains(words, `"`+m.Value+`"`):
				all = append(all, name+" has never "+m.String())
			}
		}
		rated := slices.ContainsFunc(path, func(n parser.Node) bool {
			c, ok := n.(*parser.Call)
			return ok && (c.Func.Name == "rate" || c.Func.Name == "increase")
		})
		if rated && one.kind != "counter" {
			all = append(all, name+" is no counter, and has no rate")
		}
		return nil
	})
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, l := range a.Grouping {
				if !slices.Contains(reach, l) && !slices.Contains(ofTheTarget, l) {
					all = append(all, "nothing in it has the label "+l)
				}
			}
		}
		return nil
	})
	return all
}

// ofFile is the service whose metrics a file is about.
var ofFile = map[string]string{
	"nemesis-controller.json": "autoscaler-controller", "nemesis-load-balancer.json": "load-balancer", "nemesis-collectors.json": "sidecar",
	"autoscaler-controller.yaml": "autoscaler-controller", "load-balancer.yaml": "load-balancer", "metrics-collector.yaml": "sidecar",
}

func TestDashboards_AskForWhatIsExported(t *testing.T) {
	known, said := map[string]map[string]exported{}, map[string]string{}
	for file, service := range ofFile {
		known[file], said[file] = page(t, service), words(t, service)
	}
	for _, q := range queries(t) {
		for _, fault := range faults(t, q.expr, known[q.board], said[q.board]) {
			t.Errorf("%s: %s: %s (%s)", q.board, q.panel, fault, q.expr)
		}
		for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.legend, -1) {
			if !strings.Contains(q.expr, m[1]) && m[1] != "instance" {
				t.Errorf("%s: %s is called by %s, which it has not (%s)", q.board, q.panel, m[1], q.expr)
			}
		}
	}
}

// Whoever exports something has somebody look at it.
func TestDashboards_ShowWhatTheControllerExports(t *testing.T) {
	var all strings.Builder
	for _, q := range queries(t) {
		all.WriteString(q.expr + "\n")
	}
	for name := range page(t, "autoscaler-controller") {
		if name == "nemesis_leader" { // as nemesis_shard_leader and nemesis_shards_led say
			continue
		}
		if !strings.Contains(all.String(), name) {
			t.Errorf("no dashboard shows %s", name)
		}
	}
}

// alert is one of a PrometheusRule.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type group struct {
	Name  string  `json:"name"`
	Rules []alert `json:"rules"`
}

type rules struct {
	Groups []group `json:"groups"`
}

// alerts are those of the component, by file.
func alerts(t *testing.T) map[string]rules {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "kustomize", "components", "alerts", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]rules{}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var object struct {
			Kind string `json:"kind"`
			Spec rules  `json:"spec"`
		}
		if err := yaml.Unmarshal(raw, &object); err != nil || object.Kind != "PrometheusRule" {
			t.Fatalf("%s: %s, %v", file, object.Kind, err)
		}
		found[filepath.Base(file)] = object.Spec
	}
	if len(found) != 3 {
		t.Fatalf("%d files of alerts", len(found))
	}
	return found
}

func TestAlerts_AskForWhatIsExported(t *testing.T) {
	names, anywhere := map[string]bool{}, map[string]exported{}
	for _, service := range ofFile {
		maps.Copy(anywhere, page(t, service))
	}
	for file, r := range alerts(t) {
		service := ofFile[file]
		known, words := page(t, service), words(t, service)
		for _, g := range r.Groups {
			for _, a := range g.Rules {
				for _, fault := range faults(t, a.Expr, known, words) {
					t.Errorf("%s: %s", a.Alert, fault)
				}
				if names[a.Alert] {
					t.Errorf("%s is there twice", a.Alert)
				}
				names[a.Alert] = true
				if s := a.Labels["severity"]; s != "warning" && s != "critical" {
					t.Errorf("%s: severity %q", a.Alert, s)
				}
				for _, text := range []string{"summary", "description"} {
					if a.Annotations[text] == "" {
						t.Errorf("%s has no %s", a.Alert, text)
					}
					for _, name := range regexp.MustCompile(`nemesis_\w+`).FindAllString(a.Annotations[text], -1) {
						if anywhere[name].kind == "" {
							t.Errorf("%s speaks of %s, which is not exported", a.Alert, name)
						}
					}
				}
			}
		}
	}
}

func TestFaults_AreSeen(t *testing.T) {
	known := map[string]exported{"nemesis_a_total": {"counter", []string{"result"}}, "nemesis_b": {"gauge", nil}, "nemesis_c_seconds": {"histogram", []string{"verb"}}}
	for expr, want := range map[string]string{
		`sum by (result) (rate(nemesis_a_total{job=~"$job",result="ok"}[$__rate_interval]))`: "",
		`histogram_quantile(0.9, sum by (le, verb) (rate(nemesis_c_seconds_bucket[5m])))`:    "",
		`rate(nemesis_c_seconds_count{pod="a"}[5m]) > on (pod) nemesis_b`:                    "",
		`nemesis_d`:                                 "nemesis_d is not exported",
		`nemesis_c_seconds`:                         "nemesis_c_seconds is not exported",
		`nemesis_b_bucket`:                          "nemesis_b_bucket is not exported",
		`nemesis_b{result="ok"}`:                    "nemesis_b has no label result",
		`nemesis_a_total{result="okay"}`:            `nemesis_a_total has never result="okay"`,
		`rate(nemesis_b[5m])`:                       "nemesis_b is no counter, and has no rate",
		`sum by (verb) (rate(nemesis_a_total[5m]))`: "nothing in it has the label verb",
	} {
		if got := strings.Join(faults(t, expr, known, `"ok"`), "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
