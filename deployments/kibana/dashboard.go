package main

import "fmt"

// gridWidth is how wide Kibana's grid is.
const gridWidth = 48

// panel is one thing on a dashboard.
type panel struct {
	title, description string
	width              int
	kind               string // of Kibana's embeddables
	config             fields
	references         []reference // as its config names them
	saved              string      // the id of a search that is shown
}

// shows is a chart under a title that says what it shows.
func shows(width int, title string, c chart) panel {
	return panel{title: title, width: width, kind: "lens", config: fields{"attributes": c.attributes()}, references: c.references()}
}

// because says what the title cannot.
func (p panel) because(description string) panel {
	p.description = description
	return p
}

func lists(width int, s search) panel {
	return panel{title: s.title, description: s.description, width: width, kind: "search", saved: s.id, config: fields{}}
}

func says(width int, markdown string) panel {
	return panel{width: width, kind: "visualization", config: fields{"savedVis": fields{
		"id": "", "title": "", "description": "", "type": "markdown", "uiState": fields{},
		"params": fields{"fontSize": 12, "openLinksInNewTab": false, "markdown": markdown},
		"data":   fields{"aggs": []any{}, "searchSource": fields{"query": kql(""), "filter": []any{}}},
	}}}
}

// page is where a dashboard stands, for the links of the others.
type page struct{ id, name string }

var pages = []page{
	{"nemesis-traffic", "Traffic"}, {"nemesis-wake-ups", "Wake-ups"}, {"nemesis-scaling", "Scaling"},
	{"nemesis-clients", "Clients and paths"}, {"nemesis-errors", "Errors"}, {"nemesis-pipeline", "Log pipeline"},
}

// links lead to the other dashboards, with the time and the filters that are set.
func links() panel {
	list := make([]any, len(pages))
	refs := make([]reference, len(pages))
	for i, p := range pages {
		name := "link_" + p.id + "_dashboard"
		list[i] = fields{"type": "dashboardLink", "id": p.id, "label": p.name, "order": i, "destinationRefName": name,
			"options": fields{"openInNewTab": false, "useCurrentFilters": true, "useCurrentDateRange": true}}
		refs[i] = reference{ID: p.id, Name: name, Type: "dashboard"}
	}
	return panel{width: gridWidth, kind: "links", references: refs, config: fields{"attributes": fields{"layout": "horizontal", "links": list}}}
}

// control is a filter that readers set above the panels.
type control struct {
	id, field, title string
	step             int // of a slider, for numbers; 0: a list of values
}

var (
	byApplication = control{id: "application", field: "nemesis.application", title: "Application"}
	byNamespace   = control{id: "namespace", field: "kubernetes.namespace", title: "Namespace"}
	byHost        = control{id: "host", field: "host.name", title: "Load balancer"}
	byStatus      = control{id: "status", field: "http.response.status_code", title: "Status from, to", step: 100}
)

// row is panels beside each other, as high as each other.
type row struct {
	height int
	panels []panel
}

func across(height int, panels ...panel) row { return row{height, panels} }

// dashboard is rows under each other, below the links to the other dashboards.
type dashboard struct {
	page               page
	title, description string
	view               dataView // whose fields the controls have
	controls           []control
	rows               []row
}

func (d dashboard) object() object {
	refs := []reference{tagged()}
	var panels []any
	y := 0
	for _, r := range append([]row{across(4, links())}, d.rows...) {
		x := 0
		for _, p := range r.panels {
			id := fmt.Sprintf("panel%02d", len(panels))
			config := with(p.config, fields{"enhancements": fields{}})
			placed := fields{"type": p.kind, "panelIndex": id, "embeddableConfig": config, "gridData": fields{"x": x, "y": y, "w": p.width, "h": r.height, "i": id}}
			if p.title != "" {
				placed["title"] = p.title
			} else {
				config["hidePanelTitles"] = true
			}
			if p.description != "" {
				config["description"] = p.description
			}
			if p.saved != "" {
				placed["panelRefName"] = "panel_" + id
				refs = append(refs, reference{ID: p.saved, Name: id + ":panel_" + id, Type: p.kind})
			}
			for _, of := range p.references {
				of.Name = id + ":" + of.Name
				refs = append(refs, of)
			}
			panels = append(panels, placed)
			x += p.width
		}
		y += r.height
	}
	controls, of := d.controlGroup()
	return object{
		Type: "dashboard", ID: d.page.id, CoreMigrationVersion: core, TypeMigrationVersion: asOfDashboard, References: append(refs, of...),
		Attributes: fields{
			"title": d.title, "description": d.description, "version": 3, "panelsJSON": embedded(panels), "controlGroupInput": controls,
			"optionsJSON":           embedded(fields{"useMargins": true, "syncColors": true, "syncCursor": true, "syncTooltips": false, "hidePanelTitles": false}),
			"kibanaSavedObjectMeta": fields{"searchSourceJSON": embedded(fields{"query": kql(""), "filter": []any{}})},
			"timeRestore":           true, "timeFrom": "now-1h", "timeTo": "now", "refreshInterval": fields{"pause": false, "value": 30000},
		},
	}
}

func (d dashboard) controlGroup() (fields, []reference) {
	panels := fields{}
	refs := make([]reference, len(d.controls))
	for i, c := range d.controls {
		kind, view := "optionsListControl", "optionsListDataView"
		input := fields{"id": c.id, "fieldName": c.field, "title": c.title, "enhancements": fields{}}
		if c.step > 0 {
			kind, view = "rangeSliderControl", "rangeSliderDataView"
			input["step"] = c.step
		} else {
			input = with(input, fields{"selectedOptions": []any{}, "searchTechnique": "wildcard", "sort": fields{"by": "_count", "direction": "desc"}})
		}
		panels[c.id] = fields{"type": kind, "order": i, "grow": true, "width": "medium", "explicitInput": input}
		refs[i] = d.view.reference("controlGroup_" + c.id + ":" + view)
	}
	return fields{
		"chainingSystem": "HIERARCHICAL", "controlStyle": "oneLine", "showApplySelections": false, "panelsJSON": embedded(panels),
		"ignoreParentSettingsJSON": embedded(fields{"ignoreFilters": false, "ignoreQuery": false, "ignoreTimerange": false, "ignoreValidations": false}),
	}, refs
}
