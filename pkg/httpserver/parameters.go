package httpserver

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// What the validator lets through, and the generated code behind it then stumbles over, is refused
// here, so that the refusal names the field.

const dateTime = "date-time"

var errMoment = errors.New("no moment of the years 1 to 9999")

// strictTimes has moments read as those who take them do: the validator's own pattern lets a second
// 60 pass, and a year that is 10000 in UTC, which can be read and never be written again. The table
// of formats is one for the process, hence once.
var strictTimes = sync.OnceFunc(func() {
	openapi3.DefineStringFormatValidator(dateTime, openapi3.NewCallbackValidator(func(s string) error {
		var t time.Time
		if err := t.UnmarshalText([]byte(s)); err != nil {
			return err //nolint:wrapcheck // it becomes a part of the validator's own
		}
		if year := t.UTC().Year(); year < 1 || year > 9999 {
			return errMoment
		}
		return nil
	}))
})

// listParameters are the query parameters that may be given more than once.
func listParameters(spec *openapi3.T) map[string]bool {
	lists := map[string]bool{}
	note := func(parameters openapi3.Parameters) {
		for _, p := range parameters {
			if p.Value != nil && p.Value.In == openapi3.ParameterInQuery && p.Value.Schema != nil && p.Value.Schema.Value.Type.Is(openapi3.TypeArray) {
				lists[p.Value.Name] = true
			}
		}
	}
	for _, item := range spec.Paths.Map() {
		note(item.Parameters)
		for _, operation := range item.Operations() {
			note(operation.Parameters)
		}
	}
	return lists
}

// once refuses a query parameter that is given more than once and is no list: which one is meant?
func once(lists map[string]bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.RawQuery, "&") {
			next.ServeHTTP(w, r)
			return
		}
		refusal := &fault.Error{Code: fault.Invalid}
		for name, values := range r.URL.Query() {
			if len(values) > 1 && !lists[name] {
				refusal.With(name, strings.Join(values, ", "), "one value")
			}
		}
		if len(refusal.Fields) > 0 {
			fault.Write(w, r, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}
