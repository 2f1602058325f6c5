package figures

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestText_IsReadByPrometheusAsItWasMeant(t *testing.T) {
	const odd = "a \"quoted\" \\ back\nslash"
	text := string(Text([]Family{
		By(Counter, "pushes_total", "By result: "+odd, "result", At("taken", 3), At(odd, 1e21), At("", 0)),
		Of(Gauge, "age", "Seconds.", 0.25),
		By(Gauge, "none", "Has no series now.", "x"),
		Of(Gauge, "odd", "", math.Inf(-1)),
		{Name: "two", Help: "Has two labels.", Kind: Gauge, Labels: []string{"a", "b"}, Samples: []Sample{{Values: []string{"1", "2"}, Value: -4}}},
	}))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if len(found) != 4 || found["none"] != nil {
		t.Errorf("%d families in\n%s", len(found), text)
	}
	pushes := found["pushes_total"]
	if pushes.GetType().String() != "COUNTER" || pushes.GetHelp() != "By result: "+odd || len(pushes.GetMetric()) != 3 {
		t.Errorf("%v", pushes)
	}
	for i, want := range []struct {
		label string
		value float64
	}{{"taken", 3}, {odd, 1e21}, {"", 0}} {
		m := pushes.GetMetric()[i]
		if m.GetLabel()[0].GetName() != "result" || m.GetLabel()[0].GetValue() != want.label || m.GetCounter().GetValue() != want.value {
			t.Errorf("%v, want %v", m, want)
		}
	}
	if v := found["age"].GetMetric()[0].GetGauge().GetValue(); v != 0.25 {
		t.Errorf("age is %v", v)
	}
	if v := found["odd"].GetMetric()[0].GetGauge().GetValue(); !math.IsInf(v, -1) {
		t.Errorf("odd is %v", v)
	}
	if l := found["two"].GetMetric()[0].GetLabel(); len(l) != 2 || l[1].GetName() != "b" || l[1].GetValue() != "2" {
		t.Errorf("two has %v", l)
	}
	if strings.Index(text, "# HELP age") > strings.Index(text, "# HELP pushes_total") {
		t.Errorf("not in order:\n%s", text)
	}
}

func TestPage_ShowsAllSourcesAsTheyAreNow(t *testing.T) {
	n := 1.0
	page := Page(func() []Family { return []Family{Of(Counter, "b_total", "B.", n)} }, Process, func() []Family { return []Family{Build("sample")} })
	n = 2
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, says := range []string{"b_total 2\n", "\ngo_goroutines ", "\nprocess_cpu_seconds_total ", `service="sample"`} {
		if !strings.Contains(w.Body.String(), says) {
			t.Errorf("%q is not in\n%s", says, w.Body)
		}
	}
	if media := w.Header().Get("Content-Type"); !strings.HasPrefix(media, "text/plain; version=0.0.4") {
		t.Errorf("Content-Type %q", media)
	}
}

// The values are of this process: it has memory, and has used the processor.
func TestProcess_IsThisOne(t *testing.T) {
	seen := map[string]float64{}
	for _, f := range Process() {
		seen[f.Name] = f.Samples[0].Value
	}
	if m := seen["process_resident_memory_bytes"]; m < 1<<20 || m > 1<<40 {
		t.Errorf("resident: %v", m)
	}
	if seen["process_cpu_seconds_total"] <= 0 || seen["go_memstats_alloc_bytes"] <= 0 || seen["go_memstats_sys_bytes"] < seen["go_memstats_alloc_bytes"] {
		t.Errorf("%v", seen)
	}
}
