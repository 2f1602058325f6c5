//go:build elasticsearch

package elastic

import (
	"net/http"
	"net/http/httputil"
	"net/url"
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
