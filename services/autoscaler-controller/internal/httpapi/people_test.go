package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

const (
	wake      = "/v1/namespaces/default/deployments/fib/wake"
	sleep     = "/v1/namespaces/default/deployments/fib/sleep"
	preview   = "/v1/namespaces/default/deployments/fib/preview"
	previewed = `{"spec":{"targetDeployments":[{"name":"fib","apiPrefix":"/fib","port":"80"}],"minReplicas":2,"idleTime":7}}`
)

func TestPeople_AreNamedInWhatTheyAskFor(t *testing.T) {
	p, kept := guarding(mayAll("create/request default", "update/ default")), &book{}
	p.audit = kept
	h := p.handler(t)
	long := strings.Repeat("j", 500)
	for _, target := range []string{wake, sleep} {
		if w := do(h, "POST", target, "", "Authorization", "Bearer jane"); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	p.err = fault.New(fault.Conflict, "it is in use")
	if w := do(h, "POST", sleep, "", "Authorization", "Bearer "+long); w.Code != http.StatusConflict {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]scaling.Call{{By: "jane"}, {By: "jane"}, {By: long[:maxBy]}}, p.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]fleet.Key{{Namespace: "default", Deployment: "fib"}, {Namespace: "default", Deployment: "fib"}}, p.rested); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Change{
		{Who: "jane", Operation: "wakeApplication", Namespace: "default", Resource: "deployments/default/fib", Status: 200},
		{Who: "jane", Operation: "sleepApplication", Namespace: "default", Resource: "deployments/default/fib", Status: 200},
		{Who: long, Operation: "sleepApplication", Namespace: "default", Resource: "deployments/default/fib", Status: 409, Reason: "it is in use"},
	}, kept.lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPreview_IsOfTheSpecThatIsSent(t *testing.T) {
	p := guarding(mayAll("get/decisions default"))
	h := p.handler(t)
	w := do(h, "POST", preview, previewed, "Authorization", "Bearer jane")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"summary":"1 → 2: minReplicas is 2"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	fits(t, w, "Decision")
	if len(p.previewed) != 1 || p.previewed[0].MinReplicas != 2 || p.previewed[0].MaxReplicas != 10 || p.previewed[0].IdleTime != 7*time.Second {
		t.Errorf("asked %+v", p.previewed)
	}
	for body, said := range map[string]string{
		`{}`:               "spec",
		`{"spec":{"a":1}}`: "a",
		`{"spec":{"targetDeployments":[{"name":"fib","apiPrefix":"/fib","port":"80"}],"idleTime":0}}`:                                     "idleTime",
		`{"spec":{"targetDeployments":[{"name":"fib","apiPrefix":"/fib","port":"80"}],"minReplicas":5,"maxReplicas":2}}`:                  "spec.maxReplicas: 2 is not allowed",
		`{"spec":{"targetDeployments":[{"name":"fib","apiPrefix":"/fib","port":"80"}],"schedules":[{"name":"a","start":"x","end":"y"}]}}`: "start",
	} {
		w := do(h, "POST", preview, body, "Authorization", "Bearer jane")
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), said) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
		fits(t, w, "Problem")
	}
	if len(p.previewed) != 1 {
		t.Error("what does not fit was decided on")
	}
}
