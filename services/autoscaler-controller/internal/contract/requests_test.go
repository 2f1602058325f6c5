package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestDecode_OfRequestsTakesTheContractsDefaults(t *testing.T) {
	a, err := read(map[string]any{"targetDeployments": targets(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fleet.Waiting{While: "Hold"}, a.Waiting); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if a.Uncounted != nil || !a.Targets[0].StripPrefix || !a.Targets[0].RewriteAnswers {
		t.Errorf("uncounted %v, target %+v", a.Uncounted, a.Targets[0])
	}
}

func TestDecode_ReadsWhatBecomesOfRequests(t *testing.T) {
	a, err := read(map[string]any{
		"targetDeployments": targets(map[string]any{"stripPrefix": false, "rewriteAnswers": false}),
		"startTimeout":      int64(90), "busyTimeout": int64(7), "whileWaiting": "Progress", "uncountedRequests": []any{
			map[string]any{"paths": []any{"/healthz", "/status/*", "/*", "/"}, "methods": []any{"GET"}, "statusWhileAsleep": int64(503)},
			map[string]any{"userAgents": []any{"kube-probe/", "Mozilla/5.0 (compatible; checker)"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fleet.Waiting{StartTimeout: 90 * time.Second, BusyTimeout: 7 * time.Second, While: "Progress"}, a.Waiting); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]fleet.UncountedRequest{
		{Paths: []string{"/healthz", "/status/*", "/*", "/"}, Methods: []string{"GET"}, StatusWhileAsleep: 503},
		{UserAgents: []string{"kube-probe/", "Mozilla/5.0 (compatible; checker)"}, StatusWhileAsleep: 200},
	}, a.Uncounted); diff != "" {
		t.Errorf("uncounted (-want +got):\n%s", diff)
	}
	if a.Targets[0].StripPrefix || a.Targets[0].RewriteAnswers {
		t.Errorf("target %+v", a.Targets[0])
	}
}

func TestDecode_OfRequestsNamesWhatIsMalformed(t *testing.T) {
	uncounted := func(entry map[string]any) map[string]any { return map[string]any{"uncountedRequests": []any{entry}} }
	many := func(n int, entry any) []any {
		list := make([]any, n)
		for i := range list {
			list[i] = entry
		}
		return list
	}
	for says, spec := range map[string]map[string]any{
		"spec.startTimeout: 121 is not allowed: must be from 1 to wakeUpTimeout, which is 120":                      {"startTimeout": int64(121)},
		"spec.startTimeout: 0 is not allowed":                                                                       {"startTimeout": int64(0)},
		"spec.busyTimeout: 11 is not allowed: must be from 1 to wakeUpTimeout, which is 10":                         {"busyTimeout": int64(11), "wakeUpTimeout": int64(10)},
		"spec.busyTimeout: -1 is not allowed":                                                                       {"busyTimeout": int64(-1)},
		`spec.whileWaiting: "Sing" is not allowed: must be one of Hold, Progress, Accepted, Unavailable, Page`:      {"whileWaiting": "Sing"},
		"spec.uncountedRequests: 17 entries are not allowed: must be at most 16":                                    {"uncountedRequests": many(17, map[string]any{"methods": []any{"GET"}})},
		"spec.uncountedRequests[0]: at least one of paths, methods and userAgents must be given":                    uncounted(map[string]any{"statusWhileAsleep": int64(200)}),
		`spec.uncountedRequests[0].paths[1]: "healthz" is not allowed: must begin with /`:                           uncounted(map[string]any{"paths": []any{"/x", "healthz"}}),
		`spec.uncountedRequests[0].paths[0]: "/a*b" is not allowed`:                                                 uncounted(map[string]any{"paths": []any{"/a*b"}}),
		`spec.uncountedRequests[0].paths[0]: "/a?b" is not allowed`:                                                 uncounted(map[string]any{"paths": []any{"/a?b"}}),
		"spec.uncountedRequests[0].paths: 17 entries are not allowed: must be at most 16":                           uncounted(map[string]any{"paths": many(17, "/x")}),
		"spec.uncountedRequests[0].paths[0]: \"/xxxx":                                                               uncounted(map[string]any{"paths": []any{"/" + strings.Repeat("x", 256)}}),
		`spec.uncountedRequests[0].methods[0]: "get" is not allowed: must have 1 to 16 letters from A to Z`:         uncounted(map[string]any{"methods": []any{"get"}}),
		"spec.uncountedRequests[0].methods: 9 entries are not allowed: must be at most 8":                           uncounted(map[string]any{"methods": many(9, "GET")}),
		`spec.uncountedRequests[0].userAgents[0]: "" is not allowed: must have 1 to 128 printable ASCII characters`: uncounted(map[string]any{"userAgents": []any{""}}),
		"spec.uncountedRequests[0].userAgents: 17 entries are not allowed: must be at most 16":                      uncounted(map[string]any{"userAgents": many(17, "x")}),
		"spec.uncountedRequests[0].statusWhileAsleep: 404 is not allowed: must be 200 or 503":                       uncounted(map[string]any{"paths": []any{"/"}, "statusWhileAsleep": int64(404)}),
	} {
		spec["targetDeployments"] = targets(nil)
		if _, err := read(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q in it", err, says)
		}
	}
}
