package report

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// book has two rounds in which the second was on a machine twice as slow.
func book() *Book {
	b := NewBook([]string{"post-32", "half"}, []string{"ours", "baseline", "nginx-log", "haproxy-log", "bare"})
	for _, slow := range []float64{1, 2} {
		b.Add("post-32", "ours", Sample{CPU: 30 * slow, Requests: 30000 / slow, Allocations: 4})
		b.Add("post-32", "baseline", Sample{CPU: 100 * slow, Requests: 10000 / slow, Allocations: 60})
		b.Add("post-32", "nginx-log", Sample{CPU: 25 * slow, Requests: 40000 / slow})
		b.Add("half", "ours", Sample{Added99: 110 * slow})
		b.Add("half", "haproxy-log", Sample{Added99: 100 * slow})
	}
	b.Fail("post-32", "bare", "it broke\noff")
	b.Note("post-32", "baseline", "it made 90 connections")
	b.Note("post-32", "baseline", "")
	return b
}

func TestQuantile_Interpolates(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{7}, 0.99, 7},
		{[]float64{10, 0}, 0.5, 5},
		{[]float64{20, 0, 10}, 1, 20},
		{[]float64{0, 10, 20, 30, 40}, 0.95, 38},
	} {
		if got := Quantile(c.values, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("Quantile(%v, %v) = %v, want %v", c.values, c.q, got, c.want)
		}
	}
	if !math.IsNaN(Quantile(nil, 0.5)) {
		t.Error("no values have no quantile")
	}
}

func TestRatio_IsTakenWithinEachRound(t *testing.T) {
	b := book()
	if got := b.Ratio("post-32", "ours", Peer, CPU); math.Abs(got-1.2) > 1e-9 {
		t.Errorf("ours to nginx: %v, want 1.2 however slow a round was", got)
	}
	if got := b.Ratio("post-32", "bare", Peer, CPU); !math.IsNaN(got) {
		t.Errorf("a proxy without samples has the ratio %v", got)
	}
	b.Add("half", "ours", Sample{Added99: -3})
	b.Add("half", "haproxy-log", Sample{Added99: 5})
	if got := b.Ratio("half", "ours", "haproxy-log", Added99); math.Abs(got-1.1) > 1e-9 {
		t.Errorf("a round that is lost in noise counts: %v, want 1.1", got)
	}
}

func TestTargets_AreThoseThatThereAreFiguresFor(t *testing.T) {
	met := map[string]bool{}
	for _, target := range book().targets() {
		met[target.What] = target.Met
	}
	want := map[string]bool{
		"CPU a request, ratio to nginx, both with their logs (at most)": false,
		"CPU a request, ratio to the baseline (at most)":                true,
		"allocations a request (at most)":                               true,
		"added p99 at half load, ratio to HAProxy (at most)":            true,
	}
	if len(met) != len(want) {
		t.Errorf("targets %v, want %v", met, want)
	}
	for what, is := range want {
		if got, ok := met[what]; !ok || got != is {
			t.Errorf("%s: met %v (there: %v), want %v", what, got, ok, is)
		}
	}
}

func TestTable_HasMediansRatiosFailuresAndNotes(t *testing.T) {
	var out strings.Builder
	b := book()
	b.Table(&out, "post-32", "what it is")
	b.Targets(&out)
	for _, want := range []string{"post-32: what it is", "CPU us", "45.0", "1.20", "0.30", "it broke off", "baseline: it made 90 connections", "missed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "KB each") {
		t.Errorf("a column without figures in\n%s", out.String())
	}
}

func TestWrite_IsReadByPrograms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench", "proxy.json")
	if err := book().Write(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	ours := d.Scenarios["post-32"]["ours"].Metrics[CPU]
	if ours.Median != 45 || ours.Min != 30 || ours.Max != 60 || ours.Rounds != 2 || ours.ToBaseline == nil || *ours.ToBaseline != 0.3 {
		t.Errorf("%+v", ours)
	}
	if bare := d.Scenarios["post-32"]["bare"]; bare.Failure == "" || len(bare.Metrics) != 0 {
		t.Errorf("a failure is lost: %+v", bare)
	}
	if len(d.Targets) != 4 {
		t.Errorf("targets: %+v", d.Targets)
	}
}
