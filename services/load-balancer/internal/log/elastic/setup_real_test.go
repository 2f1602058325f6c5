//go:build elasticsearch

package elastic

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

func TestElasticsearch_SetupIsTakenAndLeftAloneAfter(t *testing.T) {
	o := as(t, asAdmin)
	contract, address := newContract(t, real(t, o.URLs[0]))
	o.URLs = []string{address}
	for _, retention := range []string{"30d", "12h", "30d"} {
		s := SetupOptions{Namespace: "whole", Retention: retention}
		steps, err := runSetup(t, o, s)
		if err != nil {
			t.Fatal(err)
		}
		for what, step := range steps {
			if step.Outcome == Refused || step.Outcome == Failed {
				t.Errorf("%s: %s", what, step.Note)
			}
		}
		contract.changes()
		steps, err = runSetup(t, o, s)
		if err != nil {
			t.Fatal(err)
		}
		all(t, steps, Same, nil)
		if changes := contract.changes(); len(changes) > 0 {
			t.Errorf("the second run asked for %v", changes)
		}
	}
}

func TestElasticsearch_SetupGoesOnWithoutWhatTheServerDoesNotDo(t *testing.T) {
	ns := namespace(t)
	steps, err := runSetup(t, as(t, asAdmin), SetupOptions{Namespace: ns, Retention: "30d"})
	if err != nil {
		t.Fatal(err)
	}
	for what, step := range steps {
		if step.Outcome != Same && step.Outcome != Refused || step.Outcome == Refused && step.Note == "" {
			t.Errorf("%s: %s %s", what, step.Outcome, step.Note)
		}
	}
}

// A whole server has a template of its own for all logs: a stream that was begun before the set-up
// is of that one.
func TestElasticsearch_SetupHasAStreamThatWasThereBeforeTakeUpTheTemplates(t *testing.T) {
	o, ns := as(t, asAdmin), namespace(t)
	client, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string) string {
		t.Helper()
		status, said, err := client.ask(t.Context(), plain{method: method, path: path, body: body})
		if err != nil || status/100 != 2 {
			t.Fatalf("%s %s: %d %s %v", method, path, status, said, err)
		}
		return string(said)
	}
	stream := Stream(AccessDataset, ns)
	// It is for this stream alone, for others are tested beside it.
	ask(http.MethodPut, "/_index_template/"+ns, `{"index_patterns":["`+stream+`"],"priority":300,"data_stream":{}}`)
	document := `{"@timestamp":"2026-01-01T00:00:00Z","event":{"dataset":"nemesis.access"}}`
	write := func(id string) {
		t.Helper()
		index(t, client, []byte(`{"create":{"_index":"`+stream+`","_id":"`+id+`"}}`+"\n"+document+"\n"))
	}
	write("1")
	if winner, err := client.Overruled(t.Context(), ns); err != nil || !strings.Contains(winner, "the template "+ns) || !strings.Contains(winner, stream) {
		t.Errorf("overruled by %q: %v", winner, err)
	}
	ask(http.MethodDelete, "/_index_template/"+ns, "")

	setup := func(dry bool) Step {
		t.Helper()
		steps, err := runSetup(t, o, SetupOptions{Namespace: ns, Retention: "30d", DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		return steps["data stream "+stream]
	}
	for _, dry := range []bool{true, false} {
		if step := setup(dry); step.Outcome != Changed {
			t.Errorf("dry %v: %+v", dry, step)
		}
	}
	write("2")
	if !strings.Contains(ask(http.MethodGet, "/"+stream+"/_mapping", ""), "-000002") {
		// The tests' server of 8.19 lacks the module by whose word a write rolls over.
		ask(http.MethodPost, "/"+stream+"/_rollover", "")
		write("2")
	}
	if winner, err := client.Overruled(t.Context(), ns); err != nil || winner != "" {
		t.Errorf("overruled by %q: %v", winner, err)
	}
	if step := setup(false); step.Outcome != Same {
		t.Errorf("the second time: %+v", step)
	}
	// A keyword: the templates' field. In what was there before it is a text.
	found := ask(http.MethodPost, "/"+stream+"/_search", `{"query":{"term":{"event.dataset":"nemesis.access"}}}`)
	if !strings.Contains(found, `"_id":"2"`) {
		t.Error(found)
	}
}

func TestElasticsearch_SetupNeedsRights(t *testing.T) {
	o := as(t, asWriter)
	if o.Username == "" {
		t.Skip("this server has no users")
	}
	steps, err := runSetup(t, o, SetupOptions{Namespace: "default", Retention: "30d"})
	if err == nil || len(steps) != 1 || steps["version"].Outcome != Failed {
		t.Errorf("a writer set it up: %+v %v", steps, err)
	}
	o.PasswordFile = file(t, "password", "wrong")
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, err := c.ask(t.Context(), plain{method: http.MethodGet, path: "/_cluster/health"}); err != nil || status != http.StatusUnauthorized {
		t.Errorf("with a wrong password: %d %v", status, err)
	}
}

// real passes on to a real server.
func real(t *testing.T, address string) http.Handler {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Del("X-Elastic-Product") // said already
		return nil
	}
	return proxy
}
