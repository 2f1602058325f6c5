package httpapi

import (
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

func TestPlain_RefusesWhatIsNestedTooDeepAndNumbersThatAreTooLong(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for name, c := range map[string]struct {
		body, field string // field: "" is taken
	}{
		"nothing":                        {``, ""},
		"as deep as may be":              {deep(maxDepth), ""},
		"a level deeper":                 {deep(maxDepth + 1), "nested"},
		"side by side":                   {`[` + strings.Repeat(`{"a":[]},`, 1000) + `1]`, ""},
		"brackets in a text":             {`"` + strings.Repeat(`[`, 100) + `"`, ""},
		"a quote in a text":              {`["\"` + strings.Repeat(`[`, 100) + `"]`, ""},
		"a backslash at a text's end":    {`["\\",` + deep(maxDepth) + `]`, "nested"},
		"a number as long as may be":     {`[` + strings.Repeat("9", maxNumber) + `]`, ""},
		"a longer one":                   {`[-` + strings.Repeat("9", maxNumber) + `]`, "9999"},
		"a long exponent":                {`1e` + strings.Repeat("0", maxNumber), "1e00"},
		"8 MiB of digits":                {strings.Repeat("1", 8<<20), "1111"},
		"digits in a text":               {`"` + strings.Repeat("1", 100) + `"`, ""},
		"an open text":                   {`"` + strings.Repeat("1", 100), ""},
		"a text that ends in a backlash": {`"\`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := plain([]byte(c.body))
			if (err != nil) != (c.field != "") {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				return
			}
			if f := fault.From(err); f.Code != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Field != "body" || !strings.Contains(f.Fields[0].Value, c.field) {
				t.Errorf("%+v", f)
			}
		})
	}
}

func FuzzPlain_EndsWithoutAPanic(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\"",-2e5,{}]}`))
	f.Fuzz(func(_ *testing.T, body []byte) { _ = plain(body) })
}
