package routing

import (
	"testing"
	"time"
)

func TestUncounted_NeedsOneOfEachList(t *testing.T) {
	u := NewUncounted([]UncountedRule{
		{Paths: []string{"/healthz", "/status/*"}, Methods: []string{"GET", "HEAD"}, Status: 200},
		{UserAgents: []string{"ELB-HealthChecker/", "GoogleHC/"}, Status: 503},
		{Methods: []string{"OPTIONS"}, Status: 200},
		{Status: 200}, // fits everything, and so nothing
	})
	for _, test := range []struct {
		method, path, agent string
		status              int
	}{
		{"GET", "/healthz", "", 200},
		{"HEAD", "/healthz", "curl/8", 200},
		{"POST", "/healthz", "", 0},
		{"GET", "/healthz/", "", 0},
		{"GET", "/healthz2", "", 0},
		{"GET", "/status/", "", 200},
		{"GET", "/status/deep/er", "", 200},
		{"GET", "/status", "", 0},
		{"POST", "/", "ELB-HealthChecker/2.0", 503},
		{"GET", "/healthz", "GoogleHC/1.0", 200}, // the first one counts
		{"GET", "/", "my GoogleHC/1.0", 0},
		{"OPTIONS", "/anything", "", 200},
		{"GET", "/", "", 0},
	} {
		if status, ok := u.Match(test.method, test.path, test.agent); status != test.status || ok != (test.status != 0) {
			t.Errorf("%s %s by %q: %d, %v, want %d", test.method, test.path, test.agent, status, ok, test.status)
		}
	}
	if _, ok := (Uncounted{}).Match("GET", "/healthz", ""); ok {
		t.Error("without rules every request counts")
	}
}

func TestUncounted_AllocatesNothing(t *testing.T) {
	u := NewUncounted([]UncountedRule{{Paths: []string{"/healthz", "/status/*"}, UserAgents: []string{"kube-probe/"}}})
	if n := testing.AllocsPerRun(100, func() { u.Match("GET", "/status/x", "kube-probe/1.34") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBudgets(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name                          string
		wakeUp, start, busy, expected time.Duration
		wantStart, wantBusy           time.Duration
	}{
		{"nothing is known", 120 * s, 0, 0, 0, 120 * s, 30 * s},
		{"a start was learned", 120 * s, 0, 0, 12 * s, 42 * s, 30 * s},
		{"a long one", 120 * s, 0, 0, 60 * s, 120 * s, 30 * s},
		{"a short one", 120 * s, 0, 0, s / 10, 15 * s, 30 * s},
		{"little patience", 4 * s, 0, 0, 60 * s, 4 * s, 4 * s},
		{"little patience, a short start", 4 * s, 0, 0, s / 10, 4 * s, 4 * s},
		{"both are given", 120 * s, 90 * s, 7 * s, 12 * s, 90 * s, 7 * s},
		{"more is given than is allowed", 60 * s, 90 * s, 90 * s, 0, 60 * s, 60 * s},
	} {
		r := Route{WakeUpTimeout: test.wakeUp, StartTimeout: test.start, BusyTimeout: test.busy}
		if start, busy := r.StartBudget(test.expected), r.BusyBudget(); start != test.wantStart || busy != test.wantBusy {
			t.Errorf("%s: %v and %v, want %v and %v", test.name, start, busy, test.wantStart, test.wantBusy)
		}
	}
}
