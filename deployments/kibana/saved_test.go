package main

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// These are what the tests read of nemesis.ndjson: as Kibana would, from the file, not from the
// description that it comes of.

type savedObject struct {
	Type                 string           `json:"type"`
	ID                   string           `json:"id"`
	Attributes           map[string]any   `json:"attributes"`
	References           []savedReference `json:"references"`
	CoreMigrationVersion string           `json:"coreMigrationVersion"`
	TypeMigrationVersion string           `json:"typeMigrationVersion"`
}

type savedReference struct{ ID, Name, Type string }

type savedPanel struct {
	Type       string `json:"type"`
	PanelIndex string `json:"panelIndex"`
	RefName    string `json:"panelRefName"`
	Title      string `json:"title"`
	Grid       struct {
		X, Y, W, H int
		I          string
	} `json:"gridData"`
	Config struct {
		Attributes struct {
			VisualizationType string
			References        []savedReference
			State             savedState
			Links             []struct{ Type, Label, DestinationRefName string }
		} `json:"attributes"`
	} `json:"embeddableConfig"`
}

type savedState struct {
	Query            savedQuery
	Visualization    any
	DatasourceStates struct {
		FormBased struct {
			Layers map[string]savedLayer
		}
	}
}

type savedQuery struct{ Query, Language string }

type savedLayer struct {
	Columns     map[string]savedColumn
	ColumnOrder []string
}

type savedColumn struct {
	Label, OperationType, SourceField, DataType, Scale, TimeScale string
	IsBucketed                                                    bool
	Filter                                                        *savedQuery
	References                                                    []string
	Params                                                        struct {
		Size        int
		OtherBucket bool
		Percentile  float64
		OrderBy     struct{ Type, ColumnID string }
		OrderAgg    *savedColumn
		SortField   string
		Formula     string
		Filters     []struct {
			Label string
			Input savedQuery
		}
		Ranges []struct {
			From float64
			To   *float64
		}
		TinymathAst struct {
			Name string
			Args []string
			Text string
		}
	}
}

// saved reads the file that is imported.
func saved(t *testing.T) []savedObject {
	t.Helper()
	file, err := os.Open("nemesis.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []savedObject
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var o savedObject
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&o); err != nil {
			t.Fatalf("%v: %.100s", err, lines.Text())
		}
		out = append(out, o)
	}
	if lines.Err() != nil || len(out) == 0 {
		t.Fatal(len(out), lines.Err())
	}
	return out
}

// inner decodes an attribute that is a string which holds JSON.
func inner(t *testing.T, o savedObject, into any, path ...string) {
	t.Helper()
	var v any = o.Attributes
	for _, name := range path {
		v = v.(map[string]any)[name]
	}
	text, ok := v.(string)
	if !ok {
		t.Fatalf("%s %s: %v is %T, not a string", o.Type, o.ID, path, v)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s %s: %v: %v", o.Type, o.ID, path, err)
	}
}

func panelsOf(t *testing.T, o savedObject) []savedPanel {
	t.Helper()
	var panels []savedPanel
	inner(t, o, &panels, "panelsJSON")
	return panels
}

// drawn is a layer with where it stands and which data view it reads.
type drawn struct {
	name  string // dashboard/panel/layer
	view  string
	where string
	savedLayer
}

// drawnLayers are the layers of all charts of all dashboards.
func drawnLayers(t *testing.T) []drawn {
	t.Helper()
	var out []drawn
	for _, o := range saved(t) {
		if o.Type != "dashboard" {
			continue
		}
		for _, p := range panelsOf(t, o) {
			a := p.Config.Attributes
			for _, id := range slices.Sorted(maps.Keys(a.State.DatasourceStates.FormBased.Layers)) {
				d := drawn{name: o.ID + "/" + p.Title + "/" + id, where: a.State.Query.Query, savedLayer: a.State.DatasourceStates.FormBased.Layers[id]}
				for _, r := range a.References {
					if r.Name == "indexpattern-datasource-layer-"+id {
						d.view = r.ID
					}
				}
				out = append(out, d)
			}
		}
	}
	return out
}

// queries are all that a layer asks in KQL.
func (d drawn) queries() []string {
	out := []string{d.where}
	for _, c := range d.Columns {
		if c.Filter != nil {
			out = append(out, c.Filter.Query)
		}
		for _, f := range c.Params.Filters {
			out = append(out, f.Input.Query)
		}
	}
	return out
}
