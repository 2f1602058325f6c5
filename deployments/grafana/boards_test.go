package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// kept is where the dashboards are committed.
var kept = filepath.Join("..", "..", "kustomize", "components", "grafana-dashboards")

// What a panel and a query have is known to those who make them.
func TestMain(m *testing.M) {
	known := cog.NewRuntime()
	known.RegisterDataqueryVariant(prometheus.VariantConfig())
	for _, panel := range []variants.PanelcfgConfig{bargauge.VariantConfig(), stat.VariantConfig(), timeseries.VariantConfig()} {
		known.RegisterPanelcfgVariant(panel)
	}
	m.Run()
}

// committed reads a dashboard's file by the types of Grafana's schema. What these do not know is a fault: it
// would be lost on the way through them. (Their own strict reading takes a list of no faults for one.)
func committed(t *testing.T, name string) built {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(kept, name))
	if err != nil {
		t.Fatal(err)
	}
	var d built
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatalf("%s is not of the schema: %v", name, err)
	}
	if err := d.Validate(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	again, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var is, known any
	if err := errors.Join(json.Unmarshal(raw, &is), json.Unmarshal(again, &known)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(is, known); diff != "" {
		t.Fatalf("%s has what the schema does not know: %s", name, diff)
	}
	return d
}

// asked is a query of a panel.
type asked struct {
	board, panel, kind, expr, legend string
	instant                          bool
}

// queries are those of all dashboards.
func queries(t *testing.T) []asked {
	t.Helper()
	var all []asked
	for name := range boards() {
		for _, p := range committed(t, name).Panels {
			if p.Panel == nil {
				continue
			}
			if len(p.Panel.Targets) == 0 {
				t.Errorf("%s: %s asks for nothing", name, *p.Panel.Title)
			}
			for _, target := range p.Panel.Targets {
				q, ok := target.(*prometheus.Dataquery)
				if !ok {
					t.Fatalf("%s: %s asks with %T", name, *p.Panel.Title, target)
				}
				one := asked{board: name, panel: *p.Panel.Title, kind: p.Panel.Type, expr: q.Expr}
				if q.LegendFormat != nil {
					one.legend = *q.LegendFormat
				}
				one.instant = q.Instant != nil && *q.Instant
				all = append(all, one)
			}
		}
	}
	return all
}

func TestDashboards_AreThoseThatAreCommitted(t *testing.T) {
	out := t.TempDir()
	if err := run([]string{"-out", out}); err != nil {
		t.Fatal(err)
	}
	for name := range boards() {
		made, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		is, err := os.ReadFile(filepath.Join(kept, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, is) {
			t.Errorf("%s is stale: make grafana writes it", name)
		}
	}
	files, err := filepath.Glob(filepath.Join(kept, "*.json"))
	if err != nil || len(files) != len(boards()) {
		t.Errorf("%v, %v", files, err)
	}
	list, err := os.ReadFile(filepath.Join(kept, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range boards() {
		if !strings.Contains(string(list), name) {
			t.Errorf("no ConfigMap has %s", name)
		}
	}
}

func TestDashboards_FillTheGridWithoutAnOverlap(t *testing.T) {
	uids := map[string]bool{}
	for name := range boards() {
		d := committed(t, name)
		if d.Uid == nil || uids[*d.Uid] {
			t.Errorf("%s has no uid of its own", name)
		}
		uids[*d.Uid] = true
		type place struct{ x, y uint32 }
		taken := map[place]string{}
		for _, p := range d.Panels {
			var at *dashboard.GridPos
			var title string
			if p.Panel != nil {
				at, title = p.Panel.GridPos, *p.Panel.Title
				if p.Panel.Datasource == nil || *p.Panel.Datasource.Uid != "${datasource}" {
					t.Errorf("%s: %s asks a source of its own", name, title)
				}
			} else {
				at, title = p.RowPanel.GridPos, *p.RowPanel.Title
			}
			if at.X+at.W > 24 {
				t.Errorf("%s: %s is out of the grid", name, title)
			}
			for x := at.X; x < at.X+at.W; x++ {
				for y := at.Y; y < at.Y+at.H; y++ {
					if other := taken[place{x, y}]; other != "" {
						t.Fatalf("%s: %s is over %s", name, title, other)
					}
					taken[place{x, y}] = title
				}
			}
		}
	}
}

// There may be ten thousand applications, and a collector on each of a thousand nodes.
func TestDashboards_NameOnlyTheFewOfWhichThereIsMost(t *testing.T) {
	for _, q := range queries(t) {
		each := []string{"deployment"}
		if q.board == "nemesis-collectors.json" {
			each = append(each, "instance")
		}
		named := slices.ContainsFunc(each, func(l string) bool {
			return strings.Contains(q.legend, "{{"+l+"}}") || slices.Contains(groupings(t, q.expr), l)
		})
		few := strings.Contains(q.expr, "topk("+most+",") && q.instant && q.kind == "bargauge"
		if (named || strings.Contains(q.legend, "{{application}}")) && !few {
			t.Errorf("%s: %s has a series for each of many: %s", q.board, q.panel, q.expr)
		}
	}
}
