package page

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// parsed is a page: the samples of each known name, and the names that cannot be read.
type parsed struct {
	samples  map[string][]*dto.Metric
	declared map[string]bool
	lost     map[string]string
}

// parse has each family parsed by itself. One that the parser refuses, that shows the same sample twice
// or a value that is no number is lost, and no other.
func parse(f *families) parsed {
	p := parsed{samples: map[string][]*dto.Metric{}, declared: f.declared, lost: f.lost}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	for _, name := range slices.Sorted(maps.Keys(f.lines)) {
		found, err := parser.TextToMetricFamilies(bytes.NewReader(f.lines[name]))
		switch metrics := found[name].GetMetric(); {
		case err != nil:
			p.lost[name] = cut("cannot be read: " + err.Error())
		case len(metrics) == 0:
			p.lost[name] = "cannot be read"
		case !numbers(metrics):
			p.lost[name] = "has a value that is no number"
		case repeats(metrics):
			p.lost[name] = "has the same sample twice"
		default:
			p.samples[name] = metrics
		}
	}
	return p
}

// longest is how much of a reason is kept, in bytes: the parser quotes what it finds.
const longest = 200

func cut(s string) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// value is a sample's: without types there is but one kind.
func value(m *dto.Metric) float64 { return m.GetUntyped().GetValue() }

func numbers(metrics []*dto.Metric) bool {
	for _, m := range metrics {
		if v := value(m); math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// repeats tells that two samples have the same labels: two registries on one page, say. Neither their sum
// nor one of them is known to be right.
func repeats(metrics []*dto.Metric) bool {
	if len(metrics) < 2 {
		return false
	}
	seen := make(map[string]bool, len(metrics))
	for _, m := range metrics {
		labels := make([]string, 0, len(m.GetLabel()))
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName()+"="+strconv.Quote(l.GetValue()))
		}
		slices.Sort(labels)
		key := strings.Join(labels, ",")
		if seen[key] {
			return true
		}
		seen[key] = true
	}
	return false
}
