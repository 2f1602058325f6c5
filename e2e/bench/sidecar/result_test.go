package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSummarise_ComparesEachPlaceWithTheApplicationAlone(t *testing.T) {
	r := summarise([][]float64{{100, 300, 200}, {110, 290, 240}, {120, 320, 230}, {130, 350, 250}, {101, 301, 199}})
	if len(r.Places) != len(places) || r.Places[without].WakeUp.Median != 200 || r.Places[without].Added.Median != 0 {
		t.Fatalf("%+v", r.Places)
	}
	if p := r.Places[injected]; p.WakeUp.Median != 240 || p.Added.Median != 40 || p.Paired.Median != 10 || p.WakeUp.N != 3 {
		t.Errorf("%+v", p)
	}
}

func TestPrint_SaysWhichTargetsAreMet(t *testing.T) {
	r := summarise([][]float64{{100}, {121}, {120}, {130}, {101}})
	r.Cost = cost{ResidentBytes: 8 << 20, CoreShare: 0.0005, ImageBytes: 8_000_000, Seconds: 60, Pushes: 12}
	var out bytes.Buffer
	r.print(&out)
	for _, says := range []string{"a native sidecar", "median: missed", "resident: met", "core: met", "8 MB: met"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("%q is not in\n%s", says, &out)
		}
	}
	r.Places[injected].Added.Median = 20
	r.Cost = cost{ResidentBytes: 8<<20 + 1, CoreShare: 0.0006, ImageBytes: 8_000_001}
	out.Reset()
	r.print(&out)
	for _, says := range []string{"median: met", "resident: missed", "core: missed", "8 MB: missed"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("%q is not in\n%s", says, &out)
		}
	}
}

func TestTake_TakesTheSidecarAndLeavesTheRest(t *testing.T) {
	pod := object{"containers": []any{object{"name": "app"}, object{"name": container, "image": "x", "resources": object{}}}}
	got, err := take(pod)
	if err != nil || got["image"] != "x" || len(pod["containers"].([]any)) != 1 {
		t.Fatalf("%v, %v, error %v", got, pod, err)
	}
	if e := ephemeral(got); e["image"] != "x" || e["resources"] != nil || got["resources"] == nil {
		t.Errorf("%v of %v", e, got)
	}
	if _, err := take(pod); err == nil {
		t.Error("it was taken twice")
	}
	places[2].move(pod, got)
	if first, ok := pod["containers"].([]any)[0].(object); !ok || first["name"] != container {
		t.Errorf("%v", pod)
	}
}
