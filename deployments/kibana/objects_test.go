package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden file")

func TestNemesis_IsWhatTheDescriptionMakes(t *testing.T) {
	got, err := render(everything())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("nemesis.ndjson", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("nemesis.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("(-want +got), make kibana writes it:\n%.4000s", diff)
	}
	again, err := render(everything())
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("the same description gave two files: %v", err)
	}
}

func TestRun_WritesTheSameFileAnywhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.ndjson")
	if err := run([]string{"-out", file}, nil); err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	if err := run([]string{"-out", "-"}, &printed); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(written, printed.Bytes()) || len(written) == 0 {
		t.Errorf("%d bytes in the file, %d printed: %v", len(written), printed.Len(), err)
	}
}

// Kibana refuses objects of a version that it does not know; these are of 8.17 or older.
func TestObjects_AreOfTheOldestKibanaThatIsSupported(t *testing.T) {
	oldest := map[string]string{"dashboard": "10.2.0", "search": "10.2.0", "index-pattern": "8.0.0", "tag": "8.0.0"}
	ids := map[string]bool{}
	for _, o := range saved(t) {
		if o.CoreMigrationVersion != "8.8.0" || o.TypeMigrationVersion != oldest[o.Type] {
			t.Errorf("%s %s is of %s, %s", o.Type, o.ID, o.CoreMigrationVersion, o.TypeMigrationVersion)
		}
		if !regexp.MustCompile(`^nemesis(-[a-z-]+)?$`).MatchString(o.ID) || ids[o.Type+o.ID] {
			t.Errorf("%s %q: not a name of its own", o.Type, o.ID)
		}
		ids[o.Type+o.ID] = true
	}
}

// attributes are the ones that Kibana's schemas of the types have; with others it refuses the import.
// Those with an exclamation mark must be there.
var attributes = map[string]string{
	"dashboard": "title! description kibanaSavedObjectMeta! timeRestore timeFrom timeTo refreshInterval controlGroupInput panelsJSON optionsJSON hits version",
	"search": "title! description columns sort grid rowHeight rowsPerPage hideChart breakdownField kibanaSavedObjectMeta! isTextBasedQuery usesAdHocDataView " +
		"timeRestore timeRange refreshInterval viewMode hideAggregatedPreview hits version sampleSize headerRowHeight",
	"index-pattern": "title! name type timeFieldName sourceFilters fields typeMeta fieldFormatMap fieldAttrs runtimeFieldMap allowHidden allowNoIndex",
	"tag":           "name! description! color!",
}

func TestObjects_HaveTheAttributesOfTheirType(t *testing.T) {
	inControls := strings.Fields("panelsJSON controlStyle chainingSystem ignoreParentSettingsJSON showApplySelections")
	for _, o := range saved(t) {
		allowed := strings.Fields(strings.ReplaceAll(attributes[o.Type], "!", ""))
		for name := range o.Attributes {
			if !slices.Contains(allowed, name) {
				t.Errorf("%s %s: its type has no attribute %s", o.Type, o.ID, name)
			}
		}
		for name := range strings.FieldsSeq(attributes[o.Type]) {
			if want, must := strings.CutSuffix(name, "!"); must && o.Attributes[want] == nil {
				t.Errorf("%s %s has no %s", o.Type, o.ID, want)
			}
		}
		controls, _ := o.Attributes["controlGroupInput"].(map[string]any)
		for name := range controls {
			if !slices.Contains(inControls, name) {
				t.Errorf("%s %s: controls have no attribute %s", o.Type, o.ID, name)
			}
		}
	}
}

func TestObjects_ReferToWhatIsThere(t *testing.T) {
	objects := saved(t)
	there := map[[2]string]bool{}
	for _, o := range objects {
		there[[2]string{o.Type, o.ID}] = true
	}
	for _, o := range objects {
		names := map[string]bool{}
		for _, r := range o.References {
			if !there[[2]string{r.Type, r.ID}] {
				t.Errorf("%s %s refers to the %s %s, which is not there", o.Type, o.ID, r.Type, r.ID)
			}
			if names[r.Name] {
				t.Errorf("%s %s has two references %q", o.Type, o.ID, r.Name)
			}
			names[r.Name] = true
		}
		used := usedReferences(t, o)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(names))); diff != "" {
			t.Errorf("%s %s: (-used in its attributes +given):\n%s", o.Type, o.ID, diff)
		}
	}
}

// usedReferences are the names that the attributes of an object speak of.
func usedReferences(t *testing.T, o savedObject) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	if o.Type == "dashboard" || o.Type == "search" {
		used["tag-ref-nemesis"] = true // tags are in no attribute
	}
	if o.Type == "search" {
		var source struct{ IndexRefName string }
		inner(t, o, &source, "kibanaSavedObjectMeta", "searchSourceJSON")
		used[source.IndexRefName] = true
	}
	if o.Type != "dashboard" {
		return used
	}
	for _, p := range panelsOf(t, o) {
		if p.RefName != "" {
			used[p.PanelIndex+":"+p.RefName] = true
		}
		a := p.Config.Attributes
		for _, l := range a.Links {
			used[p.PanelIndex+":"+l.DestinationRefName] = true
		}
		for id := range a.State.DatasourceStates.FormBased.Layers {
			name := "indexpattern-datasource-layer-" + id
			used[p.PanelIndex+":"+name] = true
			if !slices.ContainsFunc(a.References, func(r savedReference) bool { return r.Name == name }) {
				t.Errorf("%s/%s: the panel has no reference %s", o.ID, p.Title, name)
			}
		}
		for _, r := range a.References {
			if !slices.Contains(o.References, savedReference{r.ID, p.PanelIndex + ":" + r.Name, r.Type}) {
				t.Errorf("%s/%s: the dashboard does not have the panel's reference %v", o.ID, p.Title, r)
			}
		}
	}
	var controls map[string]struct{ Type string }
	inner(t, o, &controls, "controlGroupInput", "panelsJSON")
	for id, c := range controls {
		used["controlGroup_"+id+":"+strings.TrimSuffix(c.Type, "Control")+"DataView"] = true
	}
	return used
}

func TestDashboards_HavePanelsBesideEachOther(t *testing.T) {
	for _, o := range saved(t) {
		if o.Type != "dashboard" {
			continue
		}
		taken := map[[2]int]string{}
		panels := panelsOf(t, o)
		for _, p := range panels {
			g := p.Grid
			if g.I != p.PanelIndex || g.X < 0 || g.Y < 0 || g.W < 4 || g.H < 2 || g.X+g.W > gridWidth {
				t.Errorf("%s/%s stands at %+v", o.ID, p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if other, ok := taken[[2]int{x, y}]; ok {
						t.Fatalf("%s: %q lies on %q", o.ID, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "lens" && (p.Title == "" || len(p.Config.Attributes.State.DatasourceStates.FormBased.Layers) == 0) {
				t.Errorf("%s/%s: a chart without a title or a layer", o.ID, p.PanelIndex)
			}
		}
		bottom := 0
		for at := range taken {
			bottom = max(bottom, at[1]+1)
		}
		if len(taken) != bottom*gridWidth {
			t.Errorf("%s has holes: %d of %d cells are taken", o.ID, len(taken), bottom*gridWidth)
		}
	}
}

func TestDashboards_LeadToEachOther(t *testing.T) {
	var all []string
	for _, o := range saved(t) {
		if o.Type == "dashboard" {
			all = append(all, o.ID)
		}
	}
	if len(all) != 6 {
		t.Errorf("%d dashboards: %v", len(all), all)
	}
	for _, o := range saved(t) {
		if o.Type != "dashboard" {
			continue
		}
		var linked []string
		for _, r := range o.References {
			if r.Type == "dashboard" {
				linked = append(linked, r.ID)
			}
		}
		if diff := cmp.Diff(all, linked); diff != "" {
			t.Errorf("%s (-there +linked):\n%s", o.ID, diff)
		}
	}
}

func TestLayers_AreWhatLensCanRead(t *testing.T) {
	layers := drawnLayers(t)
	if len(layers) < 60 {
		t.Errorf("only %d layers", len(layers))
	}
	for _, l := range layers {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(l.Columns)), slices.Sorted(slices.Values(l.ColumnOrder))); diff != "" {
			t.Errorf("%s (-columns +columnOrder):\n%s", l.name, diff)
		}
		numbers := false
		for _, id := range l.ColumnOrder {
			c := l.Columns[id]
			if c.IsBucketed && numbers {
				t.Errorf("%s: the bucket %s comes after a number", l.name, id)
			}
			numbers = numbers || !c.IsBucketed
			if c.TimeScale != "" && !slices.ContainsFunc(l.ColumnOrder, func(id string) bool { return l.Columns[id].OperationType == "date_histogram" }) {
				t.Errorf("%s: %s is per second, without time", l.name, id)
			}
			checkColumn(t, l, id, c)
		}
	}
}

// sortable are the numbers that Lens orders values by: not arithmetic, and none of one document.
var sortable = []string{"count", "sum", "average", "min", "max", "unique_count"}

func checkColumn(t *testing.T, l drawn, id string, c savedColumn) {
	t.Helper()
	switch c.OperationType {
	case "terms":
		p := c.Params
		by := l.Columns[p.OrderBy.ColumnID]
		byColumn := p.OrderBy.Type == "column" && slices.Contains(sortable, by.OperationType)
		byOwn := p.OrderBy.Type == "custom" && p.OrderAgg != nil && p.OrderAgg.OperationType == "count"
		if p.Size < 1 || p.Size > 1000 || !byColumn && !byOwn {
			t.Errorf("%s: %s has the %d that have most of %+v", l.name, id, p.Size, p.OrderBy)
		}
	case "formula":
		if len(c.References) != 1 || l.Columns[c.References[0]].OperationType != "math" || strings.Count(c.Params.Formula, "'")%2 != 0 {
			t.Errorf("%s: %s = %s refers to %v", l.name, id, c.Params.Formula, c.References)
		}
	case "math":
		if diff := cmp.Diff(c.References, c.Params.TinymathAst.Args); diff != "" || c.Params.TinymathAst.Name != "divide" {
			t.Errorf("%s: %s (-references +arguments of %s):\n%s", l.name, id, c.Params.TinymathAst.Name, diff)
		}
		for _, part := range c.References {
			if l.Columns[part].OperationType == "" || l.Columns[part].IsBucketed {
				t.Errorf("%s: %s has no part %s", l.name, id, part)
			}
		}
	}
	if c.Filter != nil && c.Filter.Language != "kuery" {
		t.Errorf("%s: %s is filtered in %q", l.name, id, c.Filter.Language)
	}
}

// What a chart draws are columns of its layers, each once; arithmetic's parts are none of them.
func TestCharts_DrawTheColumnsOfTheirLayers(t *testing.T) {
	for _, o := range saved(t) {
		if o.Type != "dashboard" {
			continue
		}
		for _, p := range panelsOf(t, o) {
			if p.Type != "lens" {
				continue
			}
			state := p.Config.Attributes.State
			got := map[string]int{}
			countDrawn(got, "", state.Visualization)
			want := map[string]int{}
			for id, l := range state.DatasourceStates.FormBased.Layers {
				want["layer "+id]++
				for name, c := range l.Columns {
					if !strings.HasPrefix(c.Label, "Part of ") {
						want[name]++
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s/%s (-columns +drawn):\n%s", o.ID, p.Title, diff)
			}
		}
	}
}

// countDrawn counts the columns that a visualization names, by where it names them.
func countDrawn(into map[string]int, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, one := range v {
			if key != "yConfig" { // says how, not what
				countDrawn(into, key, one)
			}
		}
	case []any:
		for _, one := range v {
			countDrawn(into, name, one)
		}
	case string:
		switch name {
		case "layerId":
			into["layer "+v]++
		case "columnId", "metricAccessor", "xAccessor", "yAccessor", "valueAccessor", "splitAccessor", "accessors", "primaryGroups", "metrics":
			into[v]++
		}
	}
}
