package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestRights_AreThoseOfTheCaller(t *testing.T) {
	for _, c := range []struct {
		name, query string
		of          *people
		want        []string
	}{
		{"a viewer", "?namespace=default", mayAll("list/ default", "list/decisions default"), []string{"list customautoscalers/decisions"}},
		{"an editor", "?namespace=default", mayAll("list/ default", "update/ default", "create/request default"), []string{"update customautoscalers", "create customautoscalers/request"}},
		{"an editor, elsewhere", "", mayAll("list/ default", "update/ default"), nil},
		{"an operator", "", mayAll("list/ ", "get/settings ", "update/settings "), []string{"get customautoscalers/settings", "update customautoscalers/settings"}},
	} {
		w := do(guarding(c.of).handler(t), "GET", "/v1/rights"+c.query, "", "Authorization", "Bearer jane")
		var got autoscaler.Rights
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", c.name, w.Code, w.Body)
		}
		fits(t, w, "Rights")
		if got.User != "jane" || !slices.Equal(got.Allowed, c.want) && len(got.Allowed)+len(c.want) > 0 {
			t.Errorf("%s: %+v, want %v", c.name, got, c.want)
		}
	}
	if w := do(newParts().handler(t), "GET", "/v1/rights", ""); w.Code != http.StatusOK || len(w.Body.Bytes()) < 100 {
		t.Errorf("where nobody has to say who it is: %d %s", w.Code, w.Body)
	}
}

func TestRights_SayWhereTracesAreShown(t *testing.T) {
	for _, url := range []string{"", "https://jaeger.example.com/trace/{traceId}"} {
		p := guarding(mayAll("list/ default"))
		p.traceURL = url
		w := do(p.handler(t), "GET", "/v1/rights?namespace=default", "", "Authorization", "Bearer jane")
		var got autoscaler.Rights
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || value(got.TraceUrl, "") != url || (got.TraceUrl == nil) != (url == "") {
			t.Errorf("%q: %v %s", url, err, w.Body)
		}
		fits(t, w, "Rights")
	}
}
