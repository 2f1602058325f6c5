//go:build elasticsearch

package main

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestElasticsearch_FindsWhatTheListsShow(t *testing.T) {
	k := knownRecords()
	s := filled(t, k)
	documents := k.documents()
	lists := 0
	for _, o := range saved(t) {
		if o.Type != "search" {
			continue
		}
		lists++
		var source struct{ Query savedQuery }
		inner(t, o, &source, "kibanaSavedObjectMeta", "searchSourceJSON")
		where, err := parseKQL(source.Query.Query)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(fields{"size": 0, "track_total_hits": true, "query": where.query()})
		if err != nil {
			t.Fatal(err)
		}
		view := o.References[0].ID
		want := len(matching(documents[view], where))
		answer := s.call(t, http.MethodPost, "/"+s.index(view)+"/_search", body)
		if got := answer["hits"].(map[string]any)["total"].(map[string]any)["value"]; got != float64(want) || want == 0 {
			t.Errorf("%s: %v documents, not %d", o.ID, got, want)
		}
	}
	if lists != 3 {
		t.Errorf("%d lists", lists)
	}
}

// The other tests read the templates' files; this one what Elasticsearch makes of them together.
func TestElasticsearch_MapsTheFieldsOfTheTemplates(t *testing.T) {
	s := filled(t, known{requests: knownRecords().requests[:1], wakeUps: knownRecords().wakeUps[:1]})
	for _, v := range []dataView{access, scaling} {
		raw, err := json.Marshal(s.call(t, http.MethodPost, "/_index_template/_simulate_index/"+s.index(v.id), nil))
		if err != nil {
			t.Fatal(err)
		}
		var simulated struct {
			Template struct{ Mappings mapping }
		}
		if err := json.Unmarshal(raw, &simulated); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		simulated.Template.Mappings.flatten("", got)
		want := mappedIn(t)[v.id]
		if diff := cmp.Diff(want, got); diff != "" || len(got) < 30 {
			t.Errorf("%s (-files +simulated):\n%s", v.id, diff)
		}
	}
}
