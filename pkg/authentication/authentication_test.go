package authentication

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestAccounts_ReadsWhatKubernetesAllows(t *testing.T) {
	got, err := Accounts(" nemesis-system/load-balancer, ,edge/lb.eu-1 ")
	if diff := cmp.Diff([]Account{{"nemesis-system", "load-balancer"}, {"edge", "lb.eu-1"}}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := Accounts(""); got != nil || err != nil {
		t.Errorf("of nothing: %v %v", got, err)
	}
	for _, bad := range []string{"lb", "/lb", "ns/", "ns/a/b", "NS/lb", "ns/LB", "a.b/lb", "ns/lb-", "ns/l b", "ns/lb;x/y", strings.Repeat("n", 64) + "/lb", "good/one,bad"} {
		if got, err := Accounts(bad); got != nil || err == nil || !strings.Contains(err.Error(), AccountList) {
			t.Errorf("%s: %v %v", bad, got, err)
		}
	}
	if text := (Account{"a", "b"}).String(); text != "a/b" {
		t.Error(text)
	}
}

func TestMeasure_SaysWhetherTokensAreRequiredAndCountsWhoHasNone(t *testing.T) {
	for optional, want := range map[bool]string{true: "0", false: "1"} {
		registry := prometheus.NewRegistry()
		Measure(registry, optional).WithoutToken()
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP nemesis_authentication_required 1 where every caller needs a token, 0 where one without is let in.
# TYPE nemesis_authentication_required gauge
nemesis_authentication_required `+want+`
# HELP nemesis_calls_without_token_total Calls of operations that want a token, which were let in without one because authentication is optional.
# TYPE nemesis_calls_without_token_total counter
nemesis_calls_without_token_total 1
`)); err != nil {
			t.Error(err)
		}
	}
}
