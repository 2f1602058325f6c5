package exposition

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestParse_ReadsPrometheusText(t *testing.T) {
	for _, c := range []struct {
		line, name, labels string
		value              float64
		ok                 bool
	}{
		{"go_goroutines 42", "go_goroutines", "", 42, true},
		{`nemesis_decisions_total{result="applied",trigger="Start Call"} 3`, "nemesis_decisions_total", `{result="applied",trigger="Start Call"}`, 3, true},
		{"go_memstats_next_gc_bytes 1.9e+07", "go_memstats_next_gc_bytes", "", 1.9e7, true},
		{"# HELP go_goroutines Number", "", "", 0, false},
		{"", "", "", 0, false},
		{"alone", "", "", 0, false},
		{"x y", "", "", 0, false},
	} {
		name, labels, value, ok := parse(c.line)
		if ok != c.ok || ok && (name != c.name || labels != c.labels || value != c.value) {
			t.Errorf("%q: %q %q %v %v", c.line, name, labels, value, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`a{b="c"} 1`)
	f.Add(" ")
	f.Fuzz(func(t *testing.T, line string) {
		name, labels, _, ok := parse(line)
		if ok && (name == "" || strings.Contains(name, "{") || !strings.HasPrefix(line, name+labels+" ")) {
			t.Errorf("%q: %q %q", line, name, labels)
		}
	})
}

func TestGet_ReadsSamplesWithTheirLabels(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte("# HELP a b\n# TYPE a gauge\na 1.5\nb{x=\"y\"} 2\nc many\n"))
	}))
	defer server.Close()
	got := map[string]float64{}
	each := func(name, labels string, value float64) { got[name+labels] = value }
	if err := Get(t.Context(), http.DefaultClient, server.URL, each); err != nil || !reflect.DeepEqual(got, map[string]float64{"a": 1.5, `b{x="y"}`: 2}) {
		t.Errorf("%v, error %v", got, err)
	}
	status = http.StatusUnauthorized
	if err := Get(t.Context(), http.DefaultClient, server.URL, each); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("refused: %v", err)
	}
	server.Close()
	if err := Get(t.Context(), http.DefaultClient, server.URL, each); err == nil {
		t.Error("nobody answered")
	}
}
