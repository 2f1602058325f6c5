package main

import (
	"bytes"
	"encoding/json"
	"maps"
)

// fields are attributes of Kibana's, by their names there.
type fields = map[string]any

// reference points from one saved object to another, under a name that its attributes use.
type reference struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

// object is a saved object as an export has it.
type object struct {
	Type                 string      `json:"type"`
	ID                   string      `json:"id"`
	Attributes           fields      `json:"attributes"`
	References           []reference `json:"references"`
	CoreMigrationVersion string      `json:"coreMigrationVersion"`
	TypeMigrationVersion string      `json:"typeMigrationVersion"`
}

// What Kibana 8.17 writes for each type, or older. Kibana refuses what is newer than itself.
const (
	core            = "8.8.0"
	asOfDashboard   = "10.2.0"
	asOfSearch      = "10.2.0"
	asOfIndexPatten = "8.0.0"
	asOfTag         = "8.0.0"
)

// embedded is JSON within JSON: many attributes of Kibana's are strings that hold it.
func embedded(v any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // maps, lists, words and numbers can always be written
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
}

func kql(query string) fields { return fields{"language": "kuery", "query": query} }

const tagID = "nemesis"

func tag() object {
	return object{
		Type: "tag", ID: tagID, References: []reference{}, CoreMigrationVersion: core, TypeMigrationVersion: asOfTag,
		Attributes: fields{"name": "Nemesis", "description": "Traffic, wake-ups and scaling as Nemesis sees them", "color": "#6092C0"},
	}
}

func tagged() reference { return reference{ID: tagID, Name: "tag-ref-" + tagID, Type: "tag"} }

// dataView is what Kibana calls a set of indices with a time field and the forms of their fields.
type dataView struct {
	id, name, pattern string
	formats           map[string]fields
}

// traces is where a trace id leads: the page of Kibana itself that shows it when traces are sent to
// Elastic APM. The script import puts another in its place; a test holds the two together.
const traces = "../app/apm/link-to/trace/{{rawValue}}"

func milliseconds() fields {
	return fields{"id": "duration", "params": fields{
		"inputFormat": "milliseconds", "outputFormat": "humanizePrecise", "outputPrecision": 1, "useShortSuffix": true, "includeSpaceWithSuffix": true,
	}}
}

var (
	linked = fields{"id": "url", "params": fields{"type": "a", "urlTemplate": traces, "labelTemplate": "{{value}}", "openLinkInCurrentTab": false}}
	plain  = fields{"id": "number", "params": fields{"pattern": "0"}} // 503, not 5.03 hundred or 503.000
	bytesF = fields{"id": "bytes"}

	access = dataView{"nemesis-access", "Nemesis: requests", "logs-nemesis.access-*", map[string]fields{
		"trace.id": linked, "nemesis.wakeup.id": linked,
		"http.response.status_code": plain, "client.port": plain, "destination.port": plain, "source.port": plain, "url.port": plain,
		"http.request.body.bytes": bytesF, "http.response.body.bytes": bytesF, "http.request.bytes": bytesF, "http.response.bytes": bytesF,
		"nemesis.latency.ms": milliseconds(), "nemesis.wait.ms": milliseconds(), "nemesis.upstream.ms": milliseconds(), "nemesis.time_to_first_byte.ms": milliseconds(),
	}}
	scaling = dataView{"nemesis-scaling", "Nemesis: decisions and wake-ups", "logs-nemesis.scaling-*", map[string]fields{
		"trace.id": linked, "nemesis.wakeup.id": linked,
		"nemesis.wakeup.start_called.ms": milliseconds(), "nemesis.wakeup.start_answered.ms": milliseconds(),
		"nemesis.wakeup.first_good_probe.ms": milliseconds(), "nemesis.wakeup.first_byte.ms": milliseconds(),
	}}
	both = dataView{"nemesis-logs", "Nemesis: all", "logs-nemesis.*", map[string]fields{"trace.id": linked}}
)

func (v dataView) object() object {
	return object{
		Type: "index-pattern", ID: v.id, References: []reference{}, CoreMigrationVersion: core, TypeMigrationVersion: asOfIndexPatten,
		Attributes: fields{
			"title": v.pattern, "name": v.name, "timeFieldName": "@timestamp", "allowHidden": false,
			"fields": "[]", "fieldAttrs": "{}", "sourceFilters": "[]", "runtimeFieldMap": "{}", "fieldFormatMap": embedded(v.formats),
		},
	}
}

func (v dataView) reference(name string) reference {
	return reference{ID: v.id, Name: name, Type: "index-pattern"}
}

// search is a list of documents, newest first, that dashboards show and that opens in Discover.
type search struct {
	id, title, description string
	view                   dataView
	where                  string
	columns                []string
}

func (s search) object() object {
	const index = "kibanaSavedObjectMeta.searchSourceJSON.index"
	return object{
		Type: "search", ID: s.id, CoreMigrationVersion: core, TypeMigrationVersion: asOfSearch,
		References: []reference{s.view.reference(index), tagged()},
		Attributes: fields{
			"title": s.title, "description": s.description, "columns": s.columns, "sort": [][]string{{"@timestamp", "desc"}},
			"grid": fields{}, "hideChart": false, "isTextBasedQuery": false, "timeRestore": false, "usesAdHocDataView": false,
			"kibanaSavedObjectMeta": fields{"searchSourceJSON": embedded(fields{
				"query": kql(s.where), "filter": []any{}, "highlightAll": true, "version": true, "indexRefName": index,
			})},
		},
	}
}

// with is a with what is in b.
func with(a, b fields) fields {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
