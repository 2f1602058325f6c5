package testmetrics

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func registry(t *testing.T, collectors ...prometheus.Collector) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(collectors...)
	return r
}

func TestPage_ListsWhatHasNoSeriesYet(t *testing.T) {
	calls := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nemesis_call_seconds", Help: "Calls, by \"verb\" | path."}, []string{"verb"})
	calls.WithLabelValues("GET")
	page, err := Page(Program{Name: "one", Types: map[string]string{"nemesis_depth": "gauge"}, Registry: registry(
		t, calls,
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nemesis_faults_total", Help: "Faults.", ConstLabels: prometheus.Labels{"shard": "a,b"}}, []string{"why", "kind"}),
		prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nemesis_depth", Help: "Depth."}, []string{"queue"}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "go_things", Help: "Not ours."}),
	)})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n## one\n",
		"| `nemesis_call_seconds` | histogram | verb | Calls, by \"verb\" \\| path. |\n",
		"| `nemesis_depth` | gauge | queue | Depth. |\n",
		"| `nemesis_faults_total` | counter | kind, shard, why | Faults. |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, "go_things") {
		t.Error(page)
	}
}

func TestPage_RefusesWhatItCannotTell(t *testing.T) {
	for _, c := range []struct {
		metric prometheus.Collector
		want   string
	}{
		{prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nemesis_depth", Help: "Depth."}, []string{"queue"}), "nemesis_depth has no series"},
		{prometheus.NewGauge(prometheus.GaugeOpts{Name: "nemesis_silent"}), "nemesis_silent says nothing"},
	} {
		if _, err := Page(Program{Name: "one", Registry: registry(t, c.metric)}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// failures takes what a test says in place of failing.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Helper()      {}
func (f *failures) Failed() bool { return len(f.said) > 0 }
func (f *failures) Errorf(format string, args ...any) {
	f.said = append(f.said, format)
	for _, a := range args {
		if s, ok := a.(string); ok {
			f.said = append(f.said, s)
		}
	}
}

func TestCheck_NamesTheLinesThatDiffer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "METRICS.md")
	gauge := func(name string) Program {
		return Program{Name: "one", Registry: registry(t, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "Help."}))}
	}
	Check(t, file, true, gauge("nemesis_old"))
	Check(t, file, false, gauge("nemesis_old"))
	f := &failures{TB: t}
	Check(f, file, false, gauge("nemesis_new"))
	if got := strings.Join(f.said, " "); !strings.Contains(got, "not true") || !strings.Contains(got, "nemesis_old") || !strings.Contains(got, "nemesis_new") {
		t.Error(got)
	}
	raw, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(raw), "nemesis_old") {
		t.Errorf("the file was changed: %v", err)
	}
}
