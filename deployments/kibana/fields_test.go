package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// templates is where the balancer has the index templates that it makes; they are read, not
// imported: it is another module's business how they get into Elasticsearch.
var templates = filepath.Join("..", "..", "services", "load-balancer", "internal", "log", "elastic", "templates")

// template reads one of the JSON files.
func template(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(templates, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type mapping struct {
	Type       string
	Properties map[string]mapping
	Fields     map[string]mapping
}

func (m mapping) flatten(name string, into map[string]string) {
	if m.Type != "" {
		into[name] = m.Type
	}
	for _, of := range []map[string]mapping{m.Properties, m.Fields} {
		for key, one := range of {
			one.flatten(strings.TrimPrefix(name+"."+key, "."), into)
		}
	}
}

// mapped are the types of the fields of component templates together.
func mapped(t *testing.T, names ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range names {
		var file struct {
			Template struct{ Mappings mapping }
		}
		if err := json.Unmarshal(template(t, name), &file); err != nil {
			t.Fatal(name, err)
		}
		file.Template.Mappings.flatten("", out)
	}
	return out
}

// mappedIn are the fields of the documents that each data view shows. Of the view of both streams
// they are the ones that both have, so that no panel of it shows half the truth.
func mappedIn(t *testing.T) map[string]map[string]string {
	t.Helper()
	const common = "logs-nemesis@mappings"
	return map[string]map[string]string{
		access.id: mapped(t, common, "logs-nemesis.access@mappings"), scaling.id: mapped(t, common, "logs-nemesis.scaling@mappings"), both.id: mapped(t, common),
	}
}

// fitting are the types that Elasticsearch can compute each of Lens's operations of.
var fitting = map[string][]string{
	"terms": {"keyword", "long", "double", "ip", "boolean"}, "date_histogram": {"date"}, "range": {"long", "double"},
	"sum": {"long", "double"}, "average": {"long", "double"}, "median": {"long", "double"}, "percentile": {"long", "double"},
	"min": {"long", "double", "date"}, "max": {"long", "double", "date"},
	"unique_count": {"keyword", "long", "double", "ip", "date", "boolean"}, "last_value": {"keyword", "long", "double", "ip", "date", "boolean"},
}

// shown is what Lens takes a value of each type for.
var shown = map[string]string{"keyword": "string", "long": "number", "double": "number", "date": "date", "ip": "ip", "boolean": "boolean"}

func TestDataViews_ShowTheStreamsOfTheTemplates(t *testing.T) {
	for _, v := range []dataView{access, scaling} {
		var index struct {
			Patterns []string `json:"index_patterns"`
		}
		name := strings.TrimSuffix(v.pattern, "-*")
		if err := json.Unmarshal(template(t, name), &index); err != nil || !slices.Contains(index.Patterns, v.pattern) {
			t.Errorf("%s shows %s; the template is of %v: %v", v.name, v.pattern, index.Patterns, err)
		}
		if ok, err := filepath.Match(both.pattern, v.pattern); !ok || err != nil {
			t.Errorf("%s is not in %s: %v", v.pattern, both.pattern, err)
		}
	}
	known := mappedIn(t)
	for _, o := range saved(t) {
		if o.Type != "index-pattern" {
			continue
		}
		var formats map[string]struct{ ID string }
		inner(t, o, &formats, "fieldFormatMap")
		for field, f := range formats {
			kind := known[o.ID][field]
			want := map[string][]string{"url": {"keyword"}, "duration": {"double"}, "number": {"long"}, "bytes": {"long"}}[f.ID]
			if !slices.Contains(want, kind) {
				t.Errorf("%s: %s is shown as %s; it is %q", o.ID, field, f.ID, kind)
			}
		}
	}
}

func TestLayers_ReadFieldsThatAreMapped(t *testing.T) {
	known := mappedIn(t)
	for _, l := range drawnLayers(t) {
		have, ok := known[l.view]
		if !ok {
			t.Errorf("%s reads the data view %q", l.name, l.view)
		}
		for id, c := range l.Columns {
			if c.SourceField == records && c.OperationType == "count" || c.OperationType == "filters" || c.OperationType == "formula" || c.OperationType == "math" {
				continue
			}
			kind := have[c.SourceField]
			if !slices.Contains(fitting[c.OperationType], kind) {
				t.Errorf("%s: %s is the %s of %s, which is %q", l.name, id, c.OperationType, c.SourceField, kind)
			}
			if want := shown[kind]; c.DataType != want && (c.OperationType == "terms" || c.OperationType == "last_value") {
				t.Errorf("%s: %s is shown as %s; %s is %s", l.name, id, c.DataType, c.SourceField, want)
			}
			if c.OperationType == "last_value" && have[c.Params.SortField] != "date" {
				t.Errorf("%s: %s is the last by %q", l.name, id, c.Params.SortField)
			}
		}
	}
}

func TestQueries_CompareFieldsThatAreMapped(t *testing.T) {
	known := mappedIn(t)
	check := func(where, view, query string) {
		c, err := parseKQL(query)
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		c.each(func(one condition) {
			kind := known[view][one.field]
			switch {
			case kind == "" || kind == "text":
				t.Errorf("%s: %s asks %s, which is %q", where, query, one.field, kind)
			case one.operator != ":" && kind != "long" && kind != "double":
				t.Errorf("%s: %s compares %s, which is %q", where, query, one.field, kind)
			case one.operator == ":" && kind == "boolean" && !slices.Contains([]string{"true", "false", "*"}, one.value):
				t.Errorf("%s: %s: %s is true or false", where, query, one.field)
			}
		})
	}
	asked := 0
	for _, l := range drawnLayers(t) {
		for _, q := range l.queries() {
			check(l.name, l.view, q)
			asked++
		}
	}
	for _, o := range saved(t) {
		if o.Type != "search" {
			continue
		}
		var source struct{ Query savedQuery }
		inner(t, o, &source, "kibanaSavedObjectMeta", "searchSourceJSON")
		check(o.ID, o.References[0].ID, source.Query.Query)
		for _, column := range o.Attributes["columns"].([]any) {
			if known[o.References[0].ID][column.(string)] == "" {
				t.Errorf("%s has the column %s, which is not mapped", o.ID, column)
			}
		}
	}
	if asked < 100 {
		t.Errorf("only %d queries", asked)
	}
}

// A control filters all panels of its dashboard, so all that they read must have the field.
func TestControls_AreOfFieldsThatAllPanelsHave(t *testing.T) {
	known := mappedIn(t)
	for _, o := range saved(t) {
		if o.Type != "dashboard" {
			continue
		}
		views := map[string]bool{}
		for _, l := range drawnLayers(t) {
			if strings.HasPrefix(l.name, o.ID+"/") {
				views[l.view] = true
			}
		}
		var controls map[string]struct {
			Type          string
			ExplicitInput struct{ FieldName string }
		}
		inner(t, o, &controls, "controlGroupInput", "panelsJSON")
		if len(controls) == 0 || len(views) == 0 {
			t.Errorf("%s: %d controls, %d views", o.ID, len(controls), len(views))
		}
		for _, c := range controls {
			want := map[string]string{"optionsListControl": "keyword", "rangeSliderControl": "long"}[c.Type]
			for view := range maps.Keys(views) {
				if got := known[view][c.ExplicitInput.FieldName]; got != want {
					t.Errorf("%s: a %s of %s, which is %q in %s", o.ID, c.Type, c.ExplicitInput.FieldName, got, view)
				}
			}
		}
	}
}
