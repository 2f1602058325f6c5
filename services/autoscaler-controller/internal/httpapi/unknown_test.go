package httpapi

import (
	"strings"
	"testing"
)

// A machine of a later version says more than this controller understands. People, who may have
// mistyped a field, are told (TestRefusalsAreProblemDocuments).
func TestMachinesMaySayMoreThanIsUnderstood(t *testing.T) {
	more := `"later":{"x":[1]},`
	for name, c := range map[string]struct{ target, body string }{
		"a start call":         {"/v1/namespaces/default/deployments/fib/start", `{MORE"balancer":"a","waiting":1}`},
		"a report":             {"/v1/traffic", strings.Replace(quiet(`"later":1`), "{", "{MORE", 1)},
		"a sketch":             {"/v1/traffic", quiet(`"latency":{MORE"count":1,"sumMs":1,"buckets":[{MORE"index":1,"count":1}]}`)},
		"a wake-up":            {"/v1/traffic", quiet(`"wakeUps":[{MORE"id":"t","outcome":"Pending","arrivedAt":"2026-01-02T03:04:05Z"}]`)},
		"a pod's requests":     {"/v1/traffic", quiet(`"pods":[{MORE"pod":"a","inFlight":1}]`)},
		"a sidecar's push":     {"/metrics", `{MORE"podName":"p","namespace":"default","metrics":{}}`},
		"a sidecar's measures": {"/metrics", `{"podName":"p","namespace":"default","metrics":{MORE"cpuUsage":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newParts().handler(t)
			if w := do(h, "POST", c.target, strings.ReplaceAll(c.body, "MORE", more)); w.Code != 200 {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
}
