package report

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func run(build string, applications int, figures map[string]float64) *Run {
	return &Run{Build: build, Applications: applications, Figures: figures}
}

// book is a run in which an event costs 200 times less than before, and the same at every size.
func book() *Book {
	b := &Book{}
	b.Add(run(Released, 1000, map[string]float64{Event("annotation"): 227}))
	b.Add(run(Ours, 10000, map[string]float64{Event("annotation"): 0.31, RestCPU: 1.5, AppRSS: 61}))
	b.Add(run(Ours, 1000, map[string]float64{Event("annotation"): 0.3}))
	b.Add(run(Ours, 100, map[string]float64{Event("annotation"): 0.29}))
	return b
}

func find(t *testing.T, b *Book, what string) Target {
	t.Helper()
	for _, target := range b.targets() {
		if strings.HasPrefix(target.What, what) {
			return target
		}
	}
	t.Fatalf("no target %q", what)
	return Target{}
}

func TestTargets_AreJudgedAtTheLargestSize(t *testing.T) {
	b := book()
	if got := find(t, b, "at rest"); !got.Met || got.Applications != 10000 || got.Value != 1.5 {
		t.Errorf("%+v", got)
	}
	if got := find(t, b, "memory per application"); got.Met {
		t.Errorf("%+v", got)
	}
	if got := find(t, b, "an annotation, ms more"); !got.Met || math.Abs(got.Value) > 0.01 {
		t.Errorf("%+v", got)
	}
	if got := find(t, b, "an annotation, times"); !got.Met || got.Applications != 1000 || math.Abs(got.Value-227/0.3) > 0.1 {
		t.Errorf("%+v", got)
	}
	for _, target := range b.targets() {
		if math.IsNaN(target.Value) {
			t.Errorf("judged without a figure: %+v", target)
		}
	}
}

func TestTargets_NeedTheSameSizeOfBoth(t *testing.T) {
	b := &Book{}
	b.Add(run(Released, 300, map[string]float64{Event("annotation"): 33}))
	b.Add(run(Ours, 100, map[string]float64{Event("annotation"): 0.3}))
	for _, target := range b.targets() {
		if strings.Contains(target.What, "times cheaper") || strings.Contains(target.What, "more per") {
			t.Errorf("%+v", target)
		}
	}
	if (&Book{}).targets() != nil {
		t.Error("an empty book has targets")
	}
}

func TestLine_IsTheLeastSquares(t *testing.T) {
	slope, intercept := Line([]float64{0, 1, 2, 3}, []float64{1, 3, 5, 7})
	if math.Abs(slope-2) > 1e-9 || math.Abs(intercept-1) > 1e-9 {
		t.Errorf("%v, %v", slope, intercept)
	}
}

func TestDoubt_IsNoneOnTheLineAndGrowsBesideIt(t *testing.T) {
	x := []float64{0, 1, 2, 3}
	if got := Doubt(x, []float64{1, 3, 5, 7}); math.Abs(got) > 1e-9 {
		t.Errorf("on the line: %v", got)
	}
	if got := Doubt(x, []float64{1, 4, 4, 7}); math.Abs(got-math.Sqrt(0.18)) > 1e-9 {
		t.Errorf("beside it: %v", got)
	}
}

func TestTable_ShowsWhatWasMeasuredAndNothingElse(t *testing.T) {
	b := book()
	b.Runs[0].Note("it was busy")
	var out strings.Builder
	b.Table(&out)
	b.Judge(&out)
	shown := out.String()
	for _, want := range []string{"released 1000", "now 10000", "227.00", "it was busy", "  met\n", "  missed\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing in\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "failover") || strings.Contains(shown, "NaN") {
		t.Errorf("shows what was not measured:\n%s", shown)
	}
	if strings.Index(shown, "now 100 ") > strings.Index(shown, "now 10000") {
		t.Error("sizes are not in order")
	}
}

func TestWrite_LeavesOutWhatIsNoNumber(t *testing.T) {
	b := book()
	r := run(Ours, 20000, map[string]float64{})
	r.Set(DecisionP99, math.NaN())
	r.Set(StartP99, math.Inf(1))
	b.Add(r)
	path := filepath.Join(t.TempDir(), "folder", "book.json")
	if err := b.Write(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var read Book
	if err := json.Unmarshal(raw, &read); err != nil || len(read.Runs) != 5 || len(read.Builds) != 2 || len(read.Runs[4].Figures) != 0 {
		t.Errorf("%v: %s", err, raw)
	}
}
