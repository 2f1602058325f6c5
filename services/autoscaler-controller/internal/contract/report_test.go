package contract

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

// What one shard says another one reads as it was meant: nothing of it is lost but how the waits of a single
// application are spread.
func TestReport_Property_IsReadBackAsItWas(t *testing.T) {
	waits := cmp.Comparer(func(a, b history.Waits) bool {
		return a.Len() == b.Len() && a.Quantile(.5) == b.Quantile(.5) && a.Quantile(.95) == b.Quantile(.95)
	})
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 3))
		b := report.New(report.Asked{From: from, To: from.Add(24 * time.Hour), Namespace: []string{"", "shop"}[seed%2]})
		for i := range random.IntN(120) {
			a := report.Application{Key: fleet.Key{Namespace: "shop", Deployment: string(rune('a' + i))}, Since: from}
			a.Observed, a.Asleep, a.PodSeconds, a.SavedAgainstOne, a.SavedAgainstMaximum = 86400, 80000, 6400, 80000, 160000
			a.Arrivals, a.Failures, a.Rejected, a.Failed, a.Late = random.Int64N(99), random.Int64N(9), random.Int64N(9), random.Int64N(3), random.Int64N(3)
			for range random.IntN(60) {
				a.Waits.Add(time.Duration(random.ExpFloat64() * float64(9*time.Second)))
			}
			if random.IntN(3) == 0 {
				a.Totals.Contested, a.Contest = 60, "somebody"
			}
			a.Rules = []report.Rule{{Name: "CPUThreshold", Since: from.Add(-time.Hour), Last: from.Add(-time.Hour)}, {Name: "Rule:a"}}
			b.Add(a)
		}
		want := b.Report()
		text, err := json.Marshal(Report(want))
		if err != nil {
			t.Fatal(err)
		}
		var read autoscaler.Report
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, ReadReport(read), waits, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func TestReport_OfOneApplicationSaysNotHowItsWaitsAreSpread(t *testing.T) {
	var totals history.Totals
	totals.Waits.Add(time.Second)
	r := report.Report{Totals: totals, Items: []report.Item{{Totals: totals}}}
	out := Report(r)
	if out.Totals.WakeUps.Waits == nil || out.Items[0].Totals.WakeUps.Waits != nil || out.Items[0].Totals.WakeUps.MedianSeconds == nil {
		t.Errorf("%+v", out)
	}
	if none := Report(report.Report{}).Totals.WakeUps; none.MedianSeconds != nil || none.P95Seconds != nil || none.Waits != nil {
		t.Errorf("of no wake-up something is said: %+v", none)
	}
}
