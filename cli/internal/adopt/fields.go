package adopt

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Manifests come from YAML and JSON: numbers are int64 or float64, and nothing is as it should be for sure.

func at(o Object, path ...string) any {
	var v any = o
	for _, name := range path {
		v = asObject(v)[name]
	}
	return v
}

func asObject(v any) Object {
	o, _ := v.(Object)
	return o
}

func object(o Object, path ...string) Object { return asObject(at(o, path...)) }

func list(o Object, path ...string) []any {
	l, _ := at(o, path...).([]any)
	return l
}

func text(o Object, path ...string) string {
	s, _ := at(o, path...).(string)
	return s
}

// number is a whole number; 0 where there is none.
func number(o Object, path ...string) int64 {
	n, _ := whole(at(o, path...))
	return n
}

func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case float64:
		return int64(n), n == math.Trunc(n)
	case string:
		parsed, err := strconv.ParseInt(n, 10, 64)
		return parsed, err == nil
	}
	return 0, false
}

// float is a number, also one that is written as a text.
func float(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case string:
		parsed, err := strconv.ParseFloat(n, 64)
		return parsed, err == nil && !math.IsNaN(parsed) && !math.IsInf(parsed, 0)
	}
	n, ok := whole(v)
	return float64(n), ok
}

// tidy is a number as YAML should have it: whole ones without a point.
func tidy(v float64) any {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return int64(v)
	}
	return v
}

// span is a Go duration as Kubernetes writes it; 0 is none.
func span(o Object, path ...string) (time.Duration, bool) {
	s := text(o, path...)
	d, err := time.ParseDuration(s)
	return d, err == nil && s != ""
}

// units of Kubernetes' quantities; the longer ones first.
var units = []struct {
	suffix string
	factor float64
}{
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"Pi", 1 << 50},
	{"m", 1e-3}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15}, {"", 1},
}

// quantity reads one of Kubernetes' quantities.
func quantity(v any) (float64, bool) {
	s, ok := v.(string)
	if !ok {
		return float(v)
	}
	for _, u := range units {
		if n, found := strings.CutSuffix(s, u.suffix); found {
			parsed, err := strconv.ParseFloat(n, 64)
			return parsed * u.factor, err == nil
		}
	}
	return 0, false
}

func matches(selector, labels Object) bool {
	for name, v := range selector {
		if labels[name] != v {
			return false
		}
	}
	return len(labels) > 0
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
