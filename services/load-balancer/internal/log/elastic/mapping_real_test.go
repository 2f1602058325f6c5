//go:build elasticsearch

package elastic

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-cmp/cmp"
)

// asked is the answer to a question to the real server.
func asked(t *testing.T, c *Client, path, body string) any {
	t.Helper()
	status, answer, err := c.ask(t.Context(), plain{method: http.MethodPost, path: path, body: body})
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s %v", path, status, answer, err)
	}
	var v any
	if err := json.Unmarshal(answer, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestElasticsearch_EveryDocumentIsTakenOnceAndWhole(t *testing.T) {
	ns := namespace(t)
	admin, writer := connect(t, asAdmin), connect(t, asWriter)
	for name, entries := range full(t, ns) {
		index(t, writer, entries)
		wanted := documents(t, entries)
		// Other load balancers tell the same decision, and what was sent may be sent again.
		must := true
		status, body, err := writer.ask(t.Context(), esapi.BulkRequest{Body: strings.NewReader(string(entries)), RequireDataStream: &must})
		if err != nil || status != http.StatusOK || strings.Count(string(body), `"status":409`) != len(wanted) {
			t.Errorf("%s again: %d %s %v", name, status, body, err)
		}
		stream := name + "-" + ns
		asked(t, admin, "/"+stream+"/_refresh", "")
		found, _ := dig(asked(t, admin, "/"+stream+"/_search", `{"size":10,"sort":["event.id"]}`), "hits", "hits").([]any)
		slices.SortFunc(wanted, func(a, b map[string]any) int {
			return strings.Compare(dig(a, "event", "id").(string), dig(b, "event", "id").(string)) //nolint:forcetypeassert // each has one
		})
		if len(found) != len(wanted) {
			t.Fatalf("%s: %d documents, want %d", name, len(found), len(wanted))
		}
		for i, hit := range found {
			if diff := cmp.Diff(any(wanted[i]), dig(hit, "_source")); diff != "" {
				t.Errorf("%s: what comes back differs (-written +read):\n%s", name, diff)
			}
		}
		if hits, _ := dig(asked(t, admin, "/"+stream+"/_search", `{"query":{"exists":{"field":"_ignored"}}}`), "hits", "hits").([]any); len(hits) > 0 {
			t.Errorf("%s: fields were ignored in %v", name, hits)
		}
	}
}

func TestElasticsearch_TheTemplatesOfTheStreamsAreOurs(t *testing.T) {
	ns := namespace(t)
	admin := connect(t, asAdmin)
	for _, name := range indexTemplates {
		simulated := asked(t, admin, "/_index_template/_simulate_index/"+name+"-"+ns, "")
		if mode := dig(simulated, "template", "settings", "index", "mode"); mode != "logsdb" {
			t.Errorf("%s: index.mode is %v", name, mode)
		}
		if retention := dig(simulated, "template", "lifecycle", "data_retention"); retention != "30d" {
			t.Errorf("%s: retention is %v", name, retention)
		}
		types := map[string]string{}
		properties, _ := dig(simulated, "template", "mappings", "properties").(map[string]any)
		collect("", properties, types)
		want := mapped(t, name)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(types))); diff != "" {
			t.Errorf("%s: fields differ (-ours +simulated):\n%s", name, diff)
		}
	}
}
