package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

type book struct{ lines []Change }

func (b *book) Changed(_ context.Context, c Change) { b.lines = append(b.lines, c) }

func TestAudit_EachChangeIsALineOfWhoAndWhat(t *testing.T) {
	p, kept := guarding(mayAll("update/settings ", "get/settings ")), &book{}
	p.audit, p.version = kept, 7
	p.kept = &fleet.BalancerSettings{Policy: "random", MaxConnections: 10, Timeout: time.Minute, Version: 7}
	h := p.handler(t)
	jane := []string{"Authorization", "Bearer jane"}
	do(h, "GET", settingsPath, "", jane...)
	do(h, "GET", objectsPath, "", jane...)
	do(h, "PUT", settingsPath, `{"policy":"unknown"}`, jane...) // nothing was asked for that could be
	do(h, "PUT", settingsPath, `{"policy":"round_robin","max_connections":20,"timeout_seconds":30}`, "Authorization", "Bearer "+podToken)
	do(h, "POST", start, `{"balancer":"lb","waiting":1}`, "Authorization", "Bearer "+lbToken)
	status, body := p.status, p.answer
	p.status, p.answer = 401, `{"message":"Unauthorized"}`
	do(h, "DELETE", objectsPath+"/fib", "", "Authorization", "Bearer nonsense")
	p.status, p.answer, p.err = status, body, fault.New(fault.Unauthenticated, "send your Kubernetes token")
	do(h, "DELETE", objectsPath+"/fib", "")
	p.err = nil
	if len(kept.lines) != 0 {
		t.Errorf("what changes nothing, or was not let in, is written down: %+v", kept.lines)
	}
	do(h, "PUT", settingsPath, `{"policy":"round_robin","max_connections":20,"timeout_seconds":30}`, jane...)
	p.keeping = fault.New(fault.Unavailable, "the API server is away")
	do(h, "PUT", settingsPath, `{"policy":"random"}`, jane...)
	do(h, "DELETE", objectsPath+"/fib", "", "Nemesis-Authorization", "Bearer olga")
	p.status, p.answer = 403, `{"message":"olga cannot create"}`
	do(h, "POST", objectsPath, `{}`, "Authorization", "Bearer olga")
	p.err = fault.New(fault.Unavailable, "away").Because(errors.New("refused"))
	do(h, "PUT", objectsPath+"/fib", `{}`, "Authorization", "Bearer silent")
	old, made := asWritten(&fleet.BalancerSettings{Policy: "random", MaxConnections: 10, Timeout: time.Minute, Version: 7}), asWritten(&fleet.BalancerSettings{Policy: "round_robin", MaxConnections: 20, Timeout: 30 * time.Second, Version: 8})
	if diff := cmp.Diff([]Change{
		{Who: "jane", Operation: "putBalancerSettings", Resource: "loadbalancer/settings", Status: 200, Before: old, After: made},
		{Who: "jane", Operation: "putBalancerSettings", Resource: "loadbalancer/settings", Status: 503, Reason: "the API server is away", Before: made},
		{Who: "olga", Operation: "deleteCustomAutoscaler", Namespace: "default", Resource: "customautoscalers/default/fib", Status: 200},
		{Who: "olga", Operation: "createCustomAutoscaler", Namespace: "default", Resource: "customautoscalers/default", Status: 403, Reason: "olga cannot create"},
		{Who: "unknown", Operation: "replaceCustomAutoscaler", Namespace: "default", Resource: "customautoscalers/default/fib", Status: 503, Reason: "away"},
	}, kept.lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// oneObject is an API server with one object.
type oneObject struct {
	generation  int
	spec        string
	look, asked []string
	sent        string // the last body
	away        bool   // for who looks
}

func (o *oneObject) Do(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	shown := func() string {
		return fmt.Sprintf(`{"metadata":{"name":"fib","generation":%d},"spec":%s}`, o.generation, o.spec)
	}
	if r.Method == http.MethodGet {
		o.look = append(o.look, r.URL.RequestURI()+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Content-Type"))
		if o.away {
			return answer(403, `{"message":"jane cannot get"}`)
		}
		return answer(200, shown())
	}
	body, _ := io.ReadAll(r.Body)
	o.asked, o.sent = append(o.asked, r.Method+" "+r.URL.RawQuery), string(body)
	if r.Method == http.MethodDelete {
		return answer(200, `{"kind":"Status","status":"Success"}`)
	}
	o.generation, o.spec = o.generation+1, string(body)
	return answer(200, shown())
}

func (o *oneObject) Watch(*http.Request) (*http.Response, error) { return nil, errors.New("no watch") }

func TestAudit_SaysWhatWasChangedOfAnObject(t *testing.T) {
	p, kept, one := guarding(mayAll()), &book{}, &oneObject{generation: 3, spec: `{"idleTime":90,"mode":"Active"}`}
	p.audit, p.objects = kept, one
	h := p.handler(t)
	jane := []string{"Authorization", "Bearer jane", "Content-Type", "application/merge-patch+json"}
	call := func(method, target, body string) {
		t.Helper()
		if w := do(h, method, target, body, jane...); w.Code != 200 {
			t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
	}
	call("PATCH", objectsPath+"/fib?fieldManager=me", `{"idleTime":60,"mode":"Active"}`)
	if len(one.look) != 1 || one.look[0] != objectsPath+"/fib Bearer jane " {
		t.Errorf("it looked %q", one.look)
	}
	call("PUT", objectsPath+"/fib?dryRun=All", `{"idleTime":1}`) // no change
	one.generation += 5                                          // and then somebody else has changed it
	one.spec = `{"idleTime":60,"mode":"Active"}`
	call("POST", objectsPath, `{"idleTime":60}`)
	one.away = true // who may not look may change all the same
	call("PUT", objectsPath+"/fib", `{"idleTime":30}`)
	one.away = false
	call("DELETE", objectsPath+"/fib", ``)
	line := func(operation, before, after string) Change {
		return Change{Who: "jane", Operation: operation, Namespace: "default", Resource: "customautoscalers/default/fib", Status: 200, Before: side(before), After: side(after)}
	}
	if diff := cmp.Diff([]Change{
		line("patchCustomAutoscaler", `{"idleTime":90}`, `{"idleTime":60}`),
		line("createCustomAutoscaler", ``, `{"idleTime":60}`),
		line("replaceCustomAutoscaler", ``, `{"idleTime":30}`),
		line("deleteCustomAutoscaler", `{"idleTime":30}`, ``),
	}, kept.lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(one.look) != 3 {
		t.Errorf("it looked %q: neither for a dryRun nor before there is something", one.look)
	}
}

// The API server reads the options of a DELETE from its body, if it has one, and then not from the query.
func TestAudit_ADeleteIsADryRunWhereTheAPIServerTakesItForOne(t *testing.T) {
	for _, c := range []struct {
		query, body, media string
		status, lines      int
	}{
		{"?dryRun=All", ``, "", 200, 0},
		{"", `{}`, "application/json", 200, 1},
		{"", `{"dryRun":["All"]}`, "application/json", 200, 0},
		{"", `{"dryRun":["All"]}`, "", 200, 0},
		{"", `{"dryRun":["All"]}`, "application/json; charset=utf-8", 200, 0},
		{"", `{"dryRun":[]}`, "application/json", 200, 1},
		{"", `{"DryRun":["All"]}`, "application/json", 200, 1}, // names are told apart by their case there
		{"", `{"dryRun":["All"]`, "application/json", 200, 1},
		{"", `{"dryRun":["All"]}`, "application/vnd.kubernetes.protobuf", 200, 1},
		{"?dryRun=All", `{}`, "application/json", 400, 0},
		{"?dryRun=All", `{"dryRun":["All"]}`, "application/json", 400, 0},
	} {
		p, kept, one := guarding(mayAll()), &book{}, &oneObject{generation: 3, spec: `{"idleTime":90}`}
		p.audit, p.objects = kept, one
		w := do(p.handler(t), "DELETE", objectsPath+"/fib"+c.query, c.body, "Authorization", "Bearer jane", "Content-Type", c.media)
		if w.Code != c.status || len(kept.lines) != c.lines || (c.status == 200) != (len(one.asked) == 1) {
			t.Errorf("%+v: %d %s, lines %+v, asked %q", c, w.Code, w.Body, kept.lines, one.asked)
		}
		if c.status == 400 && !strings.Contains(w.Body.String(), "in the body alone") {
			t.Errorf("%+v: %s", c, w.Body)
		}
		if c.status == 200 && one.sent != c.body {
			t.Errorf("%+v: %q was passed on", c, one.sent)
		}
	}
}

func side(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// Between the look and the change somebody else may have changed the object: what it was is then not known.
func TestBetween_SaysNothingOfWhatSomebodyElseChanged(t *testing.T) {
	was, is := readObject([]byte(`{"metadata":{"generation":3},"spec":{"a":1,"b":1}}`)), readObject([]byte(`{"metadata":{"generation":5},"spec":{"a":2,"b":1}}`))
	if before, after := between(was, is, "PATCH"); before != nil || string(after) != `{"a":2,"b":1}` {
		t.Errorf("%s to %s", before, after)
	}
	is.Metadata.Generation = 4
	if before, after := between(was, is, "PATCH"); string(before) != `{"a":1}` || string(after) != `{"a":2}` {
		t.Errorf("%s to %s", before, after)
	}
	is.Metadata.Generation = 3 // nothing of the spec
	if before, after := between(was, was, "PATCH"); before != nil || after != nil {
		t.Errorf("%s to %s", before, after)
	}
	if before, after := between(was, nil, "PATCH"); before != nil || after != nil {
		t.Errorf("what came of it is not known: %s to %s", before, after)
	}
	for _, none := range []string{``, `[]`, `{"spec":5`, `{}`} {
		if readObject([]byte(none)) != nil {
			t.Errorf("%q is an object", none)
		}
	}
}
