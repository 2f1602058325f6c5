package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

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

var errFurther = errors.New("it is followed by something else")

// oneDocument has a body be one JSON document: the validator's own reader looks no further than its end, and what
// another program makes of the rest nobody knows. The table of readers is one for the process, too.
var oneDocument = sync.OnceFunc(func() {
	openapi3filter.RegisterBodyDecoder("application/json", func(body io.Reader, h http.Header, s *openapi3.SchemaRef, f openapi3filter.EncodingFn) (any, error) {
		whole, err := io.ReadAll(body)
		if err != nil {
			return nil, &openapi3filter.ParseError{Kind: openapi3filter.KindOther, Cause: err}
		}
		value, err := openapi3filter.JSONBodyDecoder(bytes.NewReader(whole), h, s, f)
		if err == nil && !json.Valid(whole) { // its beginning was read
			err = &openapi3filter.ParseError{Kind: openapi3filter.KindInvalidFormat, Cause: errFurther}
		}
		return value, err //nolint:wrapcheck // it is the validator's own
	})
})

// singles are the query parameters that may be given once: all of the contract's but the lists.
func singles(spec *openapi3.T) []string {
	list := map[string]bool{}
	note := func(parameters openapi3.Parameters) {
		for _, p := range parameters {
			if v := p.Value; v != nil && v.In == openapi3.ParameterInQuery && v.Schema != nil {
				list[v.Name] = list[v.Name] || v.Schema.Value.Type.Is(openapi3.TypeArray)
			}
		}
	}
	for _, item := range spec.Paths.Map() {
		note(item.Parameters)
		for _, operation := range item.Operations() {
			note(operation.Parameters)
		}
	}
	maps.DeleteFunc(list, func(_ string, many bool) bool { return many })
	return slices.Sorted(maps.Keys(list))
}

// once refuses a query parameter that is given more than once and may not be: which one is meant?
func once(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refusal := &fault.Error{Code: fault.Invalid}
		if strings.Contains(r.URL.RawQuery, "&") {
			query := r.URL.Query()
			for _, name := range names {
				if values := query[name]; len(values) > 1 {
					refusal.With(name, strings.Join(values, ", "), "one value")
				}
			}
		}
		if len(refusal.Fields) > 0 {
			fault.Write(w, r, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}
