package page

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// parsed is a page: the samples of each known name, and the names that cannot be read.
type parsed struct {
	samples  map[string][]metric
	declared map[string]bool
	lost     map[string]string
}

// parse has each family parsed by itself. One with a line that cannot be read, that shows the same sample twice
// or a value that is no number is lost, and no other.
func parse(f *families) parsed {
	p := parsed{samples: map[string][]metric{}, declared: f.declared, lost: f.lost}
	for _, name := range slices.Sorted(maps.Keys(f.lines)) {
		metrics, err := family(name, string(f.lines[name]))
		switch {
		case err != nil:
			p.lost[name] = cut("cannot be read: " + err.Error())
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

func numbers(metrics []metric) bool {
	for _, m := range metrics {
		if v := m.value; math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// repeats tells that two samples have the same labels: two registries on one page, say. Neither their sum
// nor one of them is known to be right.
func repeats(metrics []metric) bool {
	if len(metrics) < 2 {
		return false
	}
	seen := make(map[string]bool, len(metrics))
	for _, m := range metrics {
		labels := make([]string, 0, len(m.labels))
		for _, l := range m.labels {
			labels = append(labels, l.name+"="+strconv.Quote(l.value))
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
