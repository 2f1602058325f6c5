//go:build elasticsearch

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// server is a real Elasticsearch that has the known records in streams of their own.
type server struct {
	url, user, password string
	namespace           string
}

func (s server) call(t *testing.T, method, path string, body []byte) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(strings.Split(path, "?")[0], "_bulk") {
		req.Header.Set("Content-Type", "application/x-ndjson")
	}
	if s.user != "" {
		req.SetBasicAuth(s.user, s.password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s: %.2000s", method, path, resp.Status, raw)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s %s: %v: %.200s", method, path, err, raw)
	}
	return out
}

// filled makes the streams from the balancer's own templates and puts the records into them.
func filled(t *testing.T, k known) server {
	t.Helper()
	s := server{url: os.Getenv("NEMESIS_ELASTICSEARCH_URL"), namespace: "kibana" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	if s.url == "" {
		t.Fatal("NEMESIS_ELASTICSEARCH_URL is not set: run make test-elasticsearch")
	}
	s.user, s.password, _ = strings.Cut(os.Getenv("NEMESIS_ELASTICSEARCH_ADMIN"), ":")
	files, err := filepath.Glob(filepath.Join(templates, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, kind := range []string{"_component_template", "_index_template"} {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			if strings.Contains(name, "@") == (kind == "_component_template") {
				s.call(t, http.MethodPut, "/"+kind+"/"+name, template(t, name))
			}
		}
	}
	requests, others := k.streams()
	for stream, documents := range map[string][]fields{"access": requests, "scaling": others} {
		var bulk bytes.Buffer
		for _, d := range documents {
			d["data_stream.namespace"] = s.namespace
			raw, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&bulk, "{\"create\":{}}\n%s\n", raw)
		}
		if answer := s.call(t, http.MethodPost, "/logs-nemesis."+stream+"-"+s.namespace+"/_bulk?refresh=true&require_data_stream=true", bulk.Bytes()); answer["errors"] != false {
			t.Fatalf("%.2000v", answer)
		}
	}
	return s
}

// index is where a data view finds this test's documents.
func (s server) index(view string) string {
	pattern := map[string]string{access.id: access.pattern, scaling.id: scaling.pattern, both.id: both.pattern + "-*"}[view]
	return strings.TrimSuffix(pattern, "*") + s.namespace
}

// ask computes a layer's table as Kibana would.
func (s server) ask(t *testing.T, d drawn) []tableRow {
	t.Helper()
	return d.rows(s.answer(t, d), d.ColumnOrder, "")
}

func (s server) answer(t *testing.T, d drawn) map[string]any {
	t.Helper()
	aggs, err := d.aggregations()
	if err != nil {
		t.Fatal(err)
	}
	where, err := parseKQL(d.where)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(fields{"size": 0, "track_total_hits": true, "aggs": aggs, "query": fields{"bool": fields{"filter": []any{
		where.query(), fields{"range": fields{"@timestamp": fields{"gte": began, "lte": ended, "format": "strict_date_optional_time"}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	answer := s.call(t, http.MethodPost, "/"+s.index(d.view)+"/_search", body)
	found, _ := answer["aggregations"].(map[string]any)
	if found == nil {
		found = map[string]any{}
	}
	found["doc_count"] = answer["hits"].(map[string]any)["total"].(map[string]any)["value"]
	return found
}

// rows reads the answer's buckets, those without documents left out.
func (d drawn) rows(answer map[string]any, order []string, at string) (out []tableRow) {
	if len(order) == 0 || !d.Columns[order[0]].IsBucketed {
		numbers := map[string]any{}
		for _, id := range order {
			numbers[id] = d.answered(answer, id)
		}
		return []tableRow{{at, numbers}}
	}
	each := func(key string, bucket map[string]any) {
		if bucket["doc_count"].(float64) > 0 {
			out = append(out, d.rows(bucket, order[1:], at+"/"+key)...)
		}
	}
	switch buckets := answer[order[0]].(map[string]any)["buckets"].(type) {
	case map[string]any: // of filters: their order is that of the layer
		for _, f := range d.Columns[order[0]].Params.Filters {
			each(f.Label, buckets[f.Label].(map[string]any))
		}
	case []any:
		for _, one := range buckets {
			bucket := one.(map[string]any)
			key := fmt.Sprint(bucket["key"])
			if n, ok := bucket["key"].(float64); ok && n == math.Trunc(n) {
				key = strconv.FormatInt(int64(n), 10)
			}
			each(key, bucket)
		}
	}
	return out
}

// answered is the number of a column in a bucket.
func (d drawn) answered(bucket map[string]any, id string) any {
	c := d.Columns[id]
	switch c.OperationType {
	case "formula":
		return d.answered(bucket, c.References[0])
	case "math":
		a, _ := d.answered(bucket, c.References[0]).(float64)
		b, _ := d.answered(bucket, c.References[1]).(float64)
		return a / b
	}
	value := bucket
	if own, ok := bucket[id].(map[string]any); ok {
		value = own
	}
	if c.OperationType == "count" {
		return value["doc_count"]
	}
	if c.Filter != nil {
		value = value["value"].(map[string]any)
	}
	switch c.OperationType {
	case "percentile", "median":
		for v := range maps.Values(value["values"].(map[string]any)) {
			return v
		}
	case "last_value":
		hits := value["hits"].(map[string]any)["hits"].([]any)
		if len(hits) == 0 {
			return nil
		}
		return hits[0].(map[string]any)["fields"].(map[string]any)[c.SourceField].([]any)[0]
	}
	return value["value"]
}

func TestElasticsearch_ComputesWhatEachLayerShows(t *testing.T) {
	k := knownRecords()
	s := filled(t, k)
	documents := k.documents()
	compared := 0
	for _, l := range drawnLayers(t) {
		t.Run(l.name, func(t *testing.T) {
			want, err := l.expect(documents[l.view])
			if err != nil {
				t.Fatal(err)
			}
			got := s.ask(t, l)
			if len(got) != len(want) || len(got) == 0 {
				t.Fatalf("%d rows, not %d", len(got), len(want))
			}
			compared += compare(t, l, want, got)
		})
	}
	if compared < 2000 {
		t.Errorf("only %d numbers were compared", compared)
	}
	t.Logf("%d numbers of %d layers are as computed apart", compared, len(drawnLayers(t)))
}

// Kibana finds what has other values than the top ones with a request of its own, made of these; here
// it is counted how much that is.
func TestElasticsearch_KnowsHowMuchOtherValuesHave(t *testing.T) {
	k := knownRecords()
	s := filled(t, k)
	documents := k.documents()
	layers, some := 0, 0
	for _, l := range drawnLayers(t) {
		first := l.Columns[l.ColumnOrder[0]]
		if !first.Params.OtherBucket {
			continue
		}
		layers++
		where, err := parseKQL(l.where)
		if err != nil {
			t.Fatal(err)
		}
		all := matching(documents[l.view], where)
		want := 0
		for _, d := range all {
			want += len(d[first.SourceField])
		}
		top, err := l.parts(all, first)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range top {
			want -= len(p.documents)
		}
		if want > 0 {
			some++
		}
		if got := s.answer(t, l)[l.ColumnOrder[0]].(map[string]any)["sum_other_doc_count"]; got != float64(want) {
			t.Errorf("%s: %v of others, not %d", l.name, got, want)
		}
	}
	if layers < 8 || some == 0 {
		t.Errorf("%d layers with others, %d that have some", layers, some)
	}
}

// compare also wants each column to have shown something: what is nothing everywhere proves nothing.
func compare(t *testing.T, l drawn, want, got []tableRow) (compared int) {
	t.Helper()
	something := map[string]bool{}
	// The order of rows within each other is that of the chart, except that times and ranges are sorted.
	sorted := func(rows []tableRow) {
		if slices.ContainsFunc(slices.Collect(maps.Values(l.Columns)), func(c savedColumn) bool {
			return c.OperationType == "date_histogram" || c.OperationType == "range"
		}) {
			slices.SortStableFunc(rows, func(a, b tableRow) int { return strings.Compare(a.buckets, b.buckets) })
		}
	}
	sorted(want)
	sorted(got)
	for i := range want {
		if want[i].buckets != got[i].buckets {
			t.Fatalf("row %d is of %q, not %q", i, got[i].buckets, want[i].buckets)
		}
		for id, number := range want[i].numbers {
			if !agree(number, got[i].numbers[id]) {
				t.Errorf("%s: %s is %v, not %v", want[i].buckets, id, got[i].numbers[id], number)
			}
			compared++
			if v := got[i].numbers[id]; v != nil && (v != 0.0 || l.Columns[id].OperationType == "min") {
				something[id] = true
			}
		}
	}
	for id, c := range l.Columns {
		if !c.IsBucketed && !something[id] {
			t.Errorf("%s (%s) shows nothing in any row", id, c.Label)
		}
	}
	return compared
}
