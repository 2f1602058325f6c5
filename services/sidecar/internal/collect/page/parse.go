package page

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// What is read of a page. A busy model server shows some hundred KiB, nearly all of it buckets.
const (
	maxPage = 16 << 20
	maxLine = 16 << 10 // longer ones are skipped
	maxKept = 1 << 20  // of lines that matter
)

var (
	errPageTooLong = fmt.Errorf("the page is longer than %d MiB", maxPage>>20)
	errKeptTooLong = fmt.Errorf("the page has more than %d MiB of lines that matter", maxKept>>20)
)

// series is what all samples of one name say together.
type series struct {
	total float64
	n     int
}

// parse reads a page in Prometheus' text format: of each known name the sum over its samples. Lines
// of other names are not even parsed, which keeps a large page from costing memory.
func parse(in io.Reader) (map[string]series, error) {
	kept, err := sieve(in)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(kept))
	if err != nil {
		return nil, fmt.Errorf("the page is not in Prometheus' text format: %w", err)
	}
	out := map[string]series{}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			if !ofProbe(metric) {
				add(out, name, metric)
			}
		}
	}
	return out, nil
}

// add takes one sample. That of a histogram or a summary is two: its sum and its count.
func add(out map[string]series, name string, m *dto.Metric) {
	put := func(name string, value float64) {
		if !known[name] || math.IsNaN(value) || math.IsInf(value, 0) {
			return
		}
		s := out[name]
		out[name] = series{s.total + value, s.n + 1}
	}
	switch {
	case m.GetHistogram() != nil:
		put(name+"_sum", m.GetHistogram().GetSampleSum())
		put(name+"_count", float64(m.GetHistogram().GetSampleCount()))
	case m.GetSummary() != nil:
		put(name+"_sum", m.GetSummary().GetSampleSum())
		put(name+"_count", float64(m.GetSummary().GetSampleCount()))
	case m.GetGauge() != nil:
		put(name, m.GetGauge().GetValue())
	case m.GetCounter() != nil:
		put(name, m.GetCounter().GetValue())
	case m.GetUntyped() != nil:
		put(name, m.GetUntyped().GetValue())
	}
}

// ofProbe tells the samples of requests that no client made: those of the kubelet, of Prometheus and
// of this program. They are quick and steady, and would hide both slow answers and idleness.
func ofProbe(m *dto.Metric) bool {
	for _, label := range m.GetLabel() {
		switch label.GetName() {
		case "handler", "path", "route", "uri", "url", "endpoint", "http_route", "http_target", "url_path":
		default:
			continue
		}
		switch strings.Trim(label.GetValue(), "/") {
		case "metrics", "health", "healthz", "ready", "readyz", "live", "livez", "ping", "actuator/prometheus", "actuator/health", "v2/health/live", "v2/health/ready":
			return true
		}
	}
	return false
}

// sieve keeps the lines of known names, without the buckets of histograms, and the types of these
// names.
func sieve(in io.Reader) ([]byte, error) {
	limited := &io.LimitedReader{R: in, N: maxPage + 1}
	lines := bufio.NewReaderSize(limited, maxLine)
	var kept []byte
	for {
		line, err := lines.ReadSlice('\n')
		whole := err == nil || errors.Is(err, io.EOF)
		for errors.Is(err, bufio.ErrBufferFull) { // too long to matter
			_, err = lines.ReadSlice('\n')
		}
		if whole && matters(line) {
			kept = append(append(kept, bytes.TrimRight(line, "\r\n")...), '\n')
		}
		switch {
		case limited.N <= 0:
			return nil, errPageTooLong
		case len(kept) > maxKept:
			return nil, errKeptTooLong
		case errors.Is(err, io.EOF):
			return kept, nil
		case err != nil:
			return nil, err
		}
	}
}

func matters(line []byte) bool {
	if comment, ok := bytes.CutPrefix(line, []byte("# TYPE ")); ok {
		name := string(comment[:ending(comment)])
		return known[name] || known[name+"_count"]
	}
	return known[string(line[:ending(line)])]
}

// ending is where a name ends.
func ending(line []byte) int {
	if i := bytes.IndexAny(line, "{ \t\r\n"); i >= 0 {
		return i
	}
	return len(line)
}
