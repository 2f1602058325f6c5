package page

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// families of one name, for both parsers.
var lineCases = map[string]bool{
	"":       true,
	"a 1\n":  true,
	"a 1e3":  true,
	"a +Inf": true, "a -Inf": true, "a NaN": true, "a 1e999": false, "a 0x1p4": false, "a 1_000": false, "a 0x1": false, "a one": false,
	"a{} 1": true, "a{ } 1": true, "a {x=\"y\"} 1": true, "a\t{\tx\t=\t\"y\"\t,\t} 1": true, "a{,} 1": false, "a{x=\"y\",,} 1": false,
	`a{x="1",y="2"} 3`: true, `a{x="1" y="2"} 3`: false, `a{x="1",x="2"} 3`: false, `a{x="1"}{y="2"} 3`: false,
	`a{x="\\\"\n"} 1`: true, `a{x="\t"} 1`: false, `a{x="é\\"} 1`: true, "a{x=\"\xff\"} 1": false, `a{x=""} 1`: true,
	`a{"x.y"="z"} 1`: true, `a{"x\"y"="z"} 1`: true, `a{"b"} 1`: false, `a{""="z"} 1`: false, "a{\"\xff\"=\"z\"} 1": false,
	`a{1x="y"} 1`: false, `a{x1_="y"} 1`: true, `a{x:y="z"} 1`: false, `a{=""} 1`: false, `a{x} 1`: false, `a{x=y} 1`: false, `a{__name__="b"} 1`: false,
}

// both says what the two parsers make of a family; ok is whether they take it.
func both(t *testing.T, lines string) (got, want []metric, gotErr, wantErr error) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, wantErr := parser.TextToMetricFamilies(strings.NewReader(lines))
	got, gotErr = family("a", lines)
	return got, ours(found["a"]), gotErr, wantErr
}

// sameFloats has NaN equal to itself.
var sameFloats = cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })

func TestFamily_IsReadAsPrometheusDoes(t *testing.T) {
	for line, ok := range lineCases {
		if line != "" && !strings.HasSuffix(line, "\n") {
			line += "\n"
		}
		got, want, gotErr, wantErr := both(t, line)
		if (gotErr == nil) != ok || (wantErr == nil) != ok {
			t.Errorf("%q: error %v, Prometheus' parser %v, want one: %t", line, gotErr, wantErr, !ok)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(metric{}, pair{}), sameFloats); ok && diff != "" {
			t.Errorf("%q (-Prometheus +here):\n%s", line, diff)
		}
	}
}

func TestFamily_LinesAreInTheirOrderAndAFaultIsNamed(t *testing.T) {
	got, err := family("a", "a{x=\"1\"} 2\na{x=\"3\"} 4\n")
	if want := []metric{{[]pair{{"x", "1"}}, 2}, {[]pair{{"x", "3"}}, 4}}; err != nil || !equal(got, want) {
		t.Errorf("%v, error %v", got, err)
	}
	for lines, says := range map[string]string{
		"a 1\na{x=y} 2\n": `the label "x"`, "a many\n": `"many"`, `a{x="\q"} 1`: `\\q`, `a{x="1",x="2"} 1`: "twice", `a{"b"} 1`: `the label "b"`,
	} {
		if _, err := family("a", lines); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", lines, err)
		}
	}
}

// What stands in the braces is anybody's: both parsers take the same of it, and make the same of it.
func FuzzFamily_AgreesWithPrometheus(f *testing.F) {
	for line := range lineCases {
		if _, labels, ok := strings.Cut(line, "{"); ok {
			labels, value, _ := strings.Cut(labels, "} ")
			f.Add(labels, value)
		}
	}
	f.Fuzz(func(t *testing.T, labels, value string) {
		sample, ok := plain([]byte("a{" + labels + "} " + value))
		if !ok || strings.ContainsAny(labels+value, "\n\r") {
			return
		}
		got, want, gotErr, wantErr := both(t, string(sample.head)+" "+string(sample.value)+"\n")
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%q %q: error %v, Prometheus' parser %v", sample.head, sample.value, gotErr, wantErr)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(metric{}, pair{}), sameFloats); gotErr == nil && diff != "" {
			t.Errorf("%q (-Prometheus +here):\n%s", sample.head, diff)
		}
	})
}
