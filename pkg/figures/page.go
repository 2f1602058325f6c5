package figures

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// expected is about how many families a small program has.
const expected = 32

// contentType is that of Prometheus' text format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// Page serves the families of all sources in Prometheus' text format, in the order of their names.
func Page(sources ...Source) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		all := make([]Family, 0, expected)
		for _, source := range sources {
			all = append(all, source()...)
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(Text(all)) // whoever asked has gone away: nothing to do
	})
}

// Text writes families in Prometheus' text format, in the order of their names. Those without samples are left out.
func Text(families []Family) []byte {
	families = slices.Clone(families)
	slices.SortStableFunc(families, func(a, b Family) int { return strings.Compare(a.Name, b.Name) })
	var out []byte
	for _, f := range families {
		if len(f.Samples) == 0 {
			continue
		}
		out = append(out, "# HELP "+f.Name+" "+help.Replace(f.Help)+"\n# TYPE "+f.Name+" "+string(f.Kind)+"\n"...)
		for _, s := range f.Samples {
			out = append(out, f.Name...)
			out = labels(out, f.Labels, s.Values)
			out = append(out, ' ')
			out = strconv.AppendFloat(out, s.Value, 'g', -1, 64) // +Inf, -Inf and NaN as the format has them
			out = append(out, '\n')
		}
	}
	return out
}

// The format's escapes.
var (
	help  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	value = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func labels(out []byte, names, values []string) []byte {
	for i, name := range names[:min(len(names), len(values))] {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		out = append(append(out, separator), name+`="`+value.Replace(values[i])+`"`...)
	}
	if len(names) > 0 {
		out = append(out, '}')
	}
	return out
}
