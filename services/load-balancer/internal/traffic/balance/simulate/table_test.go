package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

func TestMeasure_HasEveryPolicyOnceTheBestFirst(t *testing.T) {
	s := Failing(1)
	s.Requests = 3000
	rows := Measure(s, 2)
	if len(rows) != len(balance.Names()) {
		t.Fatalf("%d rows", len(rows))
	}
	for i, r := range rows {
		if i > 0 && r.P99 < rows[i-1].P99 || r.Avoided < 0 || r.Avoided > 1 || r.Requests != 3000 {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	var text strings.Builder
	if err := Print(&text, rows); err != nil {
		t.Fatal(err)
	}
	for _, name := range balance.Names() {
		if !strings.Contains(text.String(), name) {
			t.Errorf("%s is not shown:\n%s", name, text.String())
		}
	}
}

func TestMeasure_SaysWhenNothingFails(t *testing.T) {
	s := Typical(2, 1, Fixed(time.Millisecond))
	s.Requests = 500
	for _, r := range Measure(s, 1) {
		if r.Avoided != -1 || r.Failures != 0 {
			t.Errorf("%+v", r)
		}
	}
}

func TestCatalogue_HasWhatIsPromised(t *testing.T) {
	balancers, pods, newcomers := map[int]bool{}, map[int]bool{}, 0
	for _, s := range Catalogue() {
		balancers[s.Balancers], pods[len(s.Pods)] = true, true
		for _, p := range s.Pods {
			if p.Joins > 0 {
				newcomers++
			}
		}
	}
	if !balancers[1] || !balancers[4] || !pods[2] || !pods[16] || !pods[100] || newcomers == 0 {
		t.Errorf("balancers %v, pods %v, newcomers %d", balancers, pods, newcomers)
	}
}
