package page

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

func TestSplit_ALargePageCostsOnlyWhatMatters(t *testing.T) {
	var page strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&page, "vllm:e2e_request_latency_seconds_bucket{le=\"%d\"} 1\n", i)
	}
	page.WriteString("other{x=\"" + strings.Repeat("y", 3*maxLine) + "\"} 1\n")
	page.WriteString("vllm:num_requests_waiting{x=\"" + strings.Repeat("y", 3*maxLine) + "\"} 1\n")
	page.WriteString("vllm:num_requests_running 4") // and no end of line
	f := newFamilies()
	if err := f.add(strings.NewReader(page.String())); err != nil || f.kept != len("vllm:num_requests_running 4\n") {
		t.Errorf("%d bytes kept", f.kept)
	}
	r := read(parse(f))
	if _, ok := r.Gauges[pod.Queued]; ok || r.Gauges[pod.InFlight] != 4 || !strings.Contains(r.Withheld[pod.Queued], "longer than 16 KiB") {
		t.Errorf("%+v", r)
	}
}

// endless is a page without an end.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.line[e.at:])
	e.at = (e.at + n) % len(e.line)
	return n, nil
}

func TestSplit_RefusesAPageWithoutAnEnd(t *testing.T) {
	for _, line := range []string{"x 1\n", "vllm:num_requests_running 1\n", "x", "vllm:num_requests_running{"} {
		if err := newFamilies().add(&endless{line: line + strings.Repeat(" ", 1000) + strings.Repeat(line, 5)}); err != errPageTooLong { //nolint:errorlint // it is that very one
			t.Errorf("%q: error is %v", line, err)
		}
	}
}

func TestSplit_WhatIsKeptIsBounded(t *testing.T) {
	var page strings.Builder
	page.WriteString("tgi_queue_size 4\n")
	for i := range 2 * maxKept / 100 {
		fmt.Fprintf(&page, "nv_inference_request_success{model=\"%060d\"} 1\n", i)
	}
	page.WriteString("tgi_batch_current_size 5\n")
	f := newFamilies()
	if err := f.add(strings.NewReader(page.String())); err != nil || f.kept > 100 {
		t.Fatalf("%d bytes kept", f.kept)
	}
	r := read(parse(f))
	if r.Gauges[pod.Queued] != 4 || r.Gauges[pod.InFlight] != 5 || len(r.Counts) != 0 || r.Withheld[pod.RequestRate] == "" || len(r.Server.Unread) != 1 {
		t.Errorf("%+v", r)
	}
}

// What is wrong with one family, in many ways, costs no other one.
func TestRead_AFaultCostsOneFamily(t *testing.T) {
	for line, why := range map[string]string{
		"vllm:num_requests_waiting 3\n": "twice",
		"vllm:num_requests_waiting{model_name=\"a\",engine=\"1\"} 1\nvllm:num_requests_waiting{engine=\"1\",model_name=\"a\"} 2\n": "twice",
		"vllm:num_requests_waiting{engine=\"7\"} NaN\n":                                "no number",
		"vllm:num_requests_waiting{engine=\"7\"} +Inf\n":                               "no number",
		"vllm:num_requests_waiting{engine=\"7\"\n":                                     "not in Prometheus' text format",
		"vllm:num_requests_waiting{engine=\"7\"}\n":                                    "not in Prometheus' text format",
		"vllm:num_requests_waiting{engine=7} 1\n":                                      "cannot be read",
		"vllm:num_requests_waiting{engine=\"7\"} 1_000\n":                              "cannot be read",
		"vllm:num_requests_waiting{engine=\"7\"} many\n":                               "cannot be read",
		"vllm:num_requests_waiting{\"other\"} 1\n":                                     "cannot be read",
		"vllm:num_requests_waiting{engine=\"" + strings.Repeat("\\q", 300) + "\"} 1\n": "cannot be read",
	} {
		r := readText(t, "vllm:num_requests_running 2\nvllm:num_requests_waiting 3\n"+line+"vllm:kv_cache_usage_perc 0.5\n")
		if r.Gauges[pod.InFlight] != 2 || r.Gauges[pod.CacheUsage] != 0.5 {
			t.Errorf("%q: others are lost: %+v", line, r)
		}
		if v, ok := r.Gauges[pod.Queued]; ok || !strings.Contains(r.Withheld[pod.Queued], why) {
			t.Errorf("%q: %v wait, withheld because %q, want %q", line, v, r.Withheld[pod.Queued], why)
		}
		if len(r.Server.Unread) != 1 || len(r.Server.Unread[0]) > 300 || !strings.HasPrefix(r.Server.Unread[0], "vllm:num_requests_waiting ") {
			t.Errorf("%q: unread is %q", line, r.Server.Unread)
		}
	}
}

// The same page in other words says the same.
func TestRead_IsTheSame(t *testing.T) {
	types := strings.NewReplacer("# TYPE", "# NOTE")
	for file := range pages {
		text := testdata(t, file)
		as := readText(t, text)
		for what, other := range map[string]string{
			"without types":           types.Replace(text),
			"with types twice":        text + lines(text, typeLine),
			"with contrary types":     strings.NewReplacer(" gauge\n", " counter\n", " counter\n", " gauge\n", " histogram\n", " summary\n").Replace(text),
			"with HELP twice":         lines(text, func(l string) string { return strings.ReplaceAll(typeLine(l), "TYPE", "HELP") + l }),
			"with exemplars":          lines(text, func(l string) string { return sampleLine(l, ` # {trace_id="a}b#c\"d"} 0.67 1520879607.789`) }) + "# EOF\n",
			"with times in seconds":   lines(text, func(l string) string { return sampleLine(l, " 1520879607.789") }),
			"with times":              lines(text, func(l string) string { return sampleLine(l, " 1520879607789") }),
			"with blanks in front":    lines(text, func(l string) string { return strings.Replace("\t "+l, "\t #", "#", 1) }),
			"with ends of Windows":    strings.ReplaceAll(text, "\n", "\r\n"),
			"with a repeated comment": strings.Repeat("# what the family is for\n", 3) + text,
		} {
			if diff := cmp.Diff(as, readText(t, other), closely); diff != "" {
				t.Errorf("%s %s (-as it is +so):\n%s", file, what, diff)
			}
		}
	}
}

func lines(text string, change func(string) string) string {
	var out strings.Builder
	for l := range strings.Lines(text) {
		out.WriteString(change(l))
	}
	return out.String()
}

func typeLine(l string) string {
	if strings.HasPrefix(l, "# TYPE") {
		return l
	}
	return ""
}

func sampleLine(l, more string) string {
	if strings.HasPrefix(l, "#") {
		return l
	}
	return strings.TrimSuffix(l, "\n") + more + "\n"
}

func TestPlain(t *testing.T) {
	for line, want := range map[string][2]string{
		"a 1\n":                        {"a", "1"},
		"a\t 1":                        {"a", "1"},
		"a{} 1 2\r\n":                  {"a{}", "1"},
		"a {x=\"}\"} 1":                {"a {x=\"}\"}", "1"},
		"a{x=\"\\\"} 7\",y=\"\"} 1#{}": {"a{x=\"\\\"} 7\",y=\"\"}", "1"},
		"a{b=\"c\"}1":                  {"a{b=\"c\"}", "1"},
	} {
		got, ok := plain([]byte(line))
		if !ok || string(got.head) != want[0] || string(got.value) != want[1] {
			t.Errorf("%q: %q %q %t", line, got.head, got.value, ok)
		}
	}
	for _, line := range []string{"a", "a ", "a{", "a{x=\"} 1", "a{x=\"\\", "a{} ", "a # {} 1"} {
		if got, ok := plain([]byte(line)); ok {
			t.Errorf("%q: %q %q", line, got.head, got.value)
		}
	}
}

func addPages(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add("tgi_queue_size NaN\n# TYPE tgi_request_duration summary\ntgi_request_duration_sum +Inf\ntgi_queue_size -Inf")
	f.Add("http_requests_total{code=\"200\",path=\"/\\\"}\"} 17 # {trace_id=\"x\"} 0.67 1520879607.789\n# EOF\n")
}

// Whatever the page is, what is read of it is a number, bounded and of a name that is known, and what is
// lost has a reason.
func FuzzParse(f *testing.F) {
	addPages(f)
	f.Fuzz(func(t *testing.T, page string) {
		families := newFamilies()
		if err := families.add(strings.NewReader(page)); err != nil {
			return
		}
		if families.kept > min(maxKept, len(page)+1) {
			t.Errorf("%d bytes kept", families.kept)
		}
		p := parse(families)
		for name, metrics := range p.samples {
			if known[name] == "" || len(metrics) == 0 || p.lost[name] != "" {
				t.Errorf("%s: %v, lost %q", name, metrics, p.lost[name])
			}
			if sum := total(metrics); math.IsNaN(sum) {
				t.Errorf("%s is no number", name)
			}
		}
		r := read(p)
		if len(r.Server.Models) > maxModels || len(r.Server.Unread) != len(p.lost) {
			t.Errorf("%+v", r.Server)
		}
		for kind, why := range r.Withheld {
			if why == "" || r.Gauges[kind] != 0 {
				t.Errorf("%s is %v and withheld because %q", kind, r.Gauges[kind], why)
			}
		}
	})
}

// named is a name among the labels, as only names have it that none of ours is.
var named = regexp.MustCompile(`\{\s*"`)

// A page that Prometheus' own parser takes as a whole says the same here, but for families that show the
// same sample twice and values that are no numbers.
func FuzzParse_AgreesWithThePageReadAsAWhole(f *testing.F) {
	addPages(f)
	f.Fuzz(func(t *testing.T, page string) {
		untyped := lines(page, func(l string) string {
			if strings.HasPrefix(strings.TrimLeft(l, " \t"), "#") {
				return ""
			}
			return l
		})
		parser := expfmt.NewTextParser(model.UTF8Validation)
		whole, err := parser.TextToMetricFamilies(strings.NewReader(untyped + "\n"))
		if err != nil {
			return
		}
		families := newFamilies()
		if err := families.add(strings.NewReader(untyped)); err != nil {
			return
		}
		p := parse(families)
		for name := range whole {
			if known[name] != "" && p.samples[name] == nil && p.lost[name] == "" && !named.MatchString(page) {
				t.Errorf("%s is not read: %v", name, whole[name])
			}
		}
		for name, metrics := range p.samples {
			if got := ours(whole[name]); !equal(got, metrics) {
				t.Errorf("%s is %v, as a whole %v", name, metrics, got)
			}
		}
		for name, why := range p.lost {
			if metrics := ours(whole[name]); numbers(metrics) && !repeats(metrics) && len(page) < maxLine {
				t.Errorf("%s is lost because it %s, as a whole it is %v", name, why, metrics)
			}
		}
	})
}

// ours is a family of the other parser.
func ours(f *dto.MetricFamily) []metric {
	var out []metric
	for _, m := range f.GetMetric() {
		one := metric{value: m.GetUntyped().GetValue()}
		for _, l := range m.GetLabel() {
			one.labels = append(one.labels, pair{l.GetName(), l.GetValue()})
		}
		out = append(out, one)
	}
	return out
}

func equal(a, b []metric) bool {
	return slices.EqualFunc(a, b, func(x, y metric) bool { return x.value == y.value && slices.Equal(x.labels, y.labels) })
}
