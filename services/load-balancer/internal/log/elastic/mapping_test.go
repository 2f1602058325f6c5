package elastic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/scalinglog"
)

// full are entries with every field there is, one stream each.
func full(t *testing.T, namespace string) map[string][]byte {
	t.Helper()
	now := time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)
	header := []accesslog.Header{{Name: "x-team", Values: []string{"a", "b"}}}
	app := accesslog.Application{Namespace: "default", Deployment: "shop"}
	record := accesslog.Record{
		ArrivedAt: now, Took: time.Second, Waited: time.Millisecond, FirstByte: 2 * time.Millisecond, Upstream: 3 * time.Millisecond,
		Method: "POST", Scheme: "https", Host: "shop.example:8443", Path: "/chat", Query: "page=1", Version: "1.1", RequestID: "r-1", UserAgent: "curl", Referrer: "https://a.example/",
		RequestType: "application/json", RequestHeaders: header, Client: "192.0.2.1", Peer: "10.0.0.9", PeerPort: 4711, Application: app, Pod: "shop-1", Address: "10.1.2.3:8080",
		PodPath: "/", Policy: "its turn", Tries: 1, WakeUp: "4bf9", Uncounted: true, Status: 503, ResponseType: "text/plain", ResponseHeaders: header, RequestBytes: 10, ResponseBytes: 20,
		GenAI: genai.Facts{Model: "m", InputTokens: 1, OutputTokens: 2}, TraceID: [16]byte{1}, SpanID: [8]byte{1}, Error: "cut off", SampleRate: 0.5,
	}
	refused := record
	refused.Refusal = "waiting-room-full"
	options := accesslog.NewOptions(accesslog.Origin{Namespace: namespace, Balancer: "lb-1", Version: "1"}, []string{"page"})
	age := 1.0
	origin := scalinglog.Origin{Balancer: "lb-1", Version: "1", Namespace: namespace}
	decision, err := origin.Decision(scalinglog.Decision{
		ID: "d-1", Time: now, Application: app, From: 1, To: 2, Trigger: "Rule", Applied: true, Result: "applied", Error: "e", TraceID: "4bf9", Summary: "s",
		Reasons: []scalinglog.Reason{{Rule: "CPU", Effect: "Wish", Replicas: 2, Message: "m", Inputs: []scalinglog.Input{{Name: "cpu", Value: 1, Unit: "m", AgeSeconds: &age}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	wake, err := origin.WakeUp(scalinglog.WakeUp{
		Application: app, ID: "4bf9", ArrivedAt: now, StartCalledAt: now, StartAnsweredAt: now, FirstProbeAt: now, FirstByteAt: now, Pod: "shop-1", Waited: 1, Answered: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	change, err := origin.Change(scalinglog.Change{
		ID: "c-1", Time: now, Who: "jane", Operation: "patchCustomAutoscaler", Namespace: "default", Resource: "customautoscalers/default/shop", Status: 403, Reason: "r",
		Before: map[string]any{"idleTime": 90}, After: map[string]any{"idleTime": 60},
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"logs-nemesis.access":  accesslog.AppendEntry(accesslog.AppendEntry(nil, "a.1", &record, options), "a.2", &refused, options),
		"logs-nemesis.scaling": slices.Concat(decision, wake, change),
	}
}

// documents are the second lines of entries.
func documents(t *testing.T, entries []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	for i, line := range bytes.Split(bytes.TrimSpace(entries), []byte("\n")) {
		if i%2 == 0 {
			continue
		}
		var d map[string]any
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// mapped are the fields that an index template knows, by path, with their types.
func mapped(t *testing.T, name string) map[string]string {
	t.Helper()
	index, err := template(name, "")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, part := range index["composed_of"].([]any) {
		if part == "logs-nemesis@custom" {
			continue
		}
		component, err := template(part.(string), "")
		if err != nil {
			t.Fatal(err)
		}
		properties, _ := dig(component, "template", "mappings", "properties").(map[string]any)
		collect("", properties, types)
	}
	return types
}

func collect(path string, properties map[string]any, types map[string]string) {
	for name, v := range properties {
		field := v.(map[string]any)
		if inner, ok := field["properties"].(map[string]any); ok {
			collect(path+name+".", inner, types)
			continue
		}
		types[path+name] = field["type"].(string)
	}
}

// fits tells whether a value can be found and counted as the type has it.
func fits(v any, as string) bool {
	switch v := v.(type) {
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !fits(e, as) })
	case string:
		if as == "date" || as == "date_nanos" {
			_, err := time.Parse(time.RFC3339Nano, v)
			return err == nil
		}
		return as == "keyword" || as == "text" || as == "ip"
	case float64:
		return as == "double" || as == "long" && v == float64(int64(v))
	case bool:
		return as == "boolean"
	}
	return false
}

func TestTemplates_KnowEveryFieldThatIsWritten(t *testing.T) {
	for name, entries := range full(t, "default") {
		types := mapped(t, name)
		unused := maps.Clone(types)
		for _, d := range documents(t, entries) {
			var walk func(path string, v any)
			walk = func(path string, v any) {
				if as, ok := types[path]; ok {
					delete(unused, path)
					if as != "flattened" && as != "object" && !fits(v, as) {
						t.Errorf("%s: %s = %v does not fit the type %s", name, path, v, as)
					}
					return
				}
				inner, ok := v.(map[string]any)
				if !ok {
					t.Errorf("%s: %s is not mapped", name, path)
				}
				for key, v := range inner {
					walk(strings.TrimPrefix(path+"."+key, "."), v)
				}
			}
			walk("", d)
		}
		// What nobody writes is there for the teams whose dashboards expect it of any such stream.
		allowed := map[string]bool{
			"tags": true, "kubernetes.node.name": true, "event.reason": true, "event.start": true, "event.end": true, "event.duration": true, "error.type": true, "span.id": true,
			"http.request.bytes": true, "http.response.bytes": true, "url.port": true, "client.port": true, "source.ip": true, "gen_ai.request.model": true,
		}
		for path := range unused {
			if !allowed[path] {
				t.Errorf("%s: nobody writes %s", name, path)
			}
		}
	}
}

func TestTemplates_UseOnlyTypesThatTheTestsCanTry(t *testing.T) {
	tried := []string{"keyword", "text", "long", "double", "date", "date_nanos", "ip", "boolean", "flattened", "object"}
	for _, name := range indexTemplates {
		for path, as := range mapped(t, name) {
			if !slices.Contains(tried, as) {
				t.Errorf("%s: %s is a %s", name, path, as)
			}
		}
	}
	if n := len(fmt.Sprint(mapped(t, indexTemplates[0]))); n < 1000 {
		t.Errorf("only %d characters of fields: are they read?", n)
	}
}
