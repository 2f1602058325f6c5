// Package contract checks requests against an OpenAPI contract before a handler sees them, and says in our words
// what does not fit. It is apart from package httpserver because the validator is large, and a program that has
// nothing to check (the sidecar) is to be small.
package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	middleware "github.com/oapi-codegen/nethttp-middleware"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

// Validate checks every request against the contract before a handler sees it, and refuses what
// does not fit with a problem document that names each field at fault. It is not for client
// traffic: that has no contract of ours.
func Validate(spec *openapi3.T) func(http.Handler) http.Handler {
	// The contract's servers name the service inside the cluster; it is reached by other names too.
	spec.Servers = nil
	unsecured(spec)
	strictTimes()
	oneDocument()
	check := middleware.OapiRequestValidatorWithOptions(spec, &middleware.Options{
		Options: openapi3filter.Options{
			MultiError: true,
			// Else it would fill them in before it looks, and take null for "left out". Who needs a
			// default takes it where it is used.
			SkipSettingDefaults: true,
		},
		ErrorHandlerWithOpts: func(_ context.Context, err error, w http.ResponseWriter, r *http.Request, o middleware.ErrorHandlerOpts) {
			refusal := Refusal(err, o.StatusCode)
			if refusal.Code == fault.MethodNotAllowed {
				w.Header().Set("Allow", strings.Join(methods(spec, r.URL.Path), ", "))
			}
			fault.Write(w, r, refusal)
		},
		DoNotValidateServers: true,
	})
	names := singles(spec)
	return func(next http.Handler) http.Handler { return once(names, check(next)) }
}

// unsecured takes out what the contract says of tokens: who may call is judged before. The validator would read the
// body for it, also of an operation that has none, and wait until it has come.
func unsecured(spec *openapi3.T) {
	spec.Security = nil
	for _, item := range spec.Paths.Map() {
		for _, operation := range item.Operations() {
			operation.Security = nil
		}
	}
}

// Refusal says in our words what the validator found. status is the one it proposes.
func Refusal(err error, status int) *fault.Error {
	switch {
	// The middleware proposes 404 for both, and wraps neither.
	case err.Error() == routers.ErrMethodNotAllowed.Error():
		return fault.New(fault.MethodNotAllowed, "the path has no operation with this method").Because(err)
	case status == http.StatusNotFound:
		return fault.New(fault.NotFound, "no operation has this path").Because(err)
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return httpserver.TooLarge(-1, tooLarge.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.RequestTimeout, "the body did not come, or came too slowly").Because(err)
	}
	refusal := &fault.Error{Code: fault.Invalid, Cause: err}
	collect(refusal, "", err)
	if len(refusal.Fields) == 0 {
		refusal.Detail = firstLine(err)
	}
	return refusal
}

// collect walks the validator's tree of errors; where is the parameter or "body".
func collect(refusal *fault.Error, where string, err error) {
	switch e := err.(type) { //nolint:errorlint // a tree, walked by hand: errors.As would skip siblings
	case openapi3.MultiError:
		for _, one := range e {
			collect(refusal, where, one)
		}
	case *openapi3filter.RequestError:
		request(refusal, e)
	case *openapi3.SchemaError:
		path := e.JSONPointer()
		if where != "body" {
			path = append([]string{where}, path...)
		}
		if unknown, ok := unknownProperty(e); ok {
			refusal.With(strings.Join(append(path, unknown), "."), "", allowed(e))
			return
		}
		refusal.With(orElse(strings.Join(path, "."), "body"), text(e.Value), allowed(e))
	case *openapi3filter.ParseError:
		reason := e.Reason
		if reason == "" { // a body that cannot be read; the reason is in its cause
			reason = "well-formed JSON; this is not: " + firstLine(err)
		}
		refusal.With(orElse(where, "body"), text(e.Value), reason)
	case *json.UnmarshalTypeError:
		refusal.With(orElse(e.Field, orElse(where, "body")), strings.TrimPrefix(e.Value, "number "), asType(e.Type))
	default:
		if inner := errors.Unwrap(err); inner != nil {
			collect(refusal, where, inner)
			return
		}
		refusal.With(orElse(where, "body"), "", firstLine(err))
	}
}

// unknownProperty is the name of a property that the schema does not have; the validator says it in
// its reason alone.
func unknownProperty(e *openapi3.SchemaError) (string, bool) {
	name, ok := strings.CutPrefix(e.Reason, `property "`)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name, `" is unsupported`)
}

func request(refusal *fault.Error, e *openapi3filter.RequestError) {
	where := "body"
	if e.Parameter != nil {
		where = e.Parameter.Name
	} else if strings.HasPrefix(e.Reason, `header Content-Type has unexpected value`) {
		refusal.Code = fault.UnsupportedMedia
		refusal.With("Content-Type", e.Input.Request.Header.Get("Content-Type"), "one of "+strings.Join(mediaTypes(e.RequestBody), ", "))
		return
	}
	if e.Err != nil {
		collect(refusal, where, e.Err)
		return
	}
	refusal.With(where, "", e.Reason)
}

// allowed says what the schema allows at this place.
func allowed(e *openapi3.SchemaError) string {
	s := e.Schema
	if s == nil {
		return e.Reason
	}
	if _, unknown := unknownProperty(e); unknown {
		return "no such field; known are " + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
	}
	switch e.SchemaField {
	case "format":
		if s.Format == dateTime {
			return "a moment such as 2026-01-02T03:04:05Z"
		}
	case "required":
		return "must be given"
	case "enum":
		return fmt.Sprintf("one of %v", s.Enum)
	case "minimum", "maximum":
		if s.Min != nil && s.Max != nil {
			return fmt.Sprintf("from %s to %s", number(*s.Min), number(*s.Max))
		}
	case "pattern":
		return fmt.Sprintf("must match %s%s", s.Pattern, sentence(s.Description))
	case "minLength", "maxLength":
		if s.MaxLength != nil {
			return fmt.Sprintf("from %d to %d characters", s.MinLength, *s.MaxLength)
		}
	case "minItems", "maxItems":
		if s.MaxItems != nil {
			return fmt.Sprintf("from %d to %d items", s.MinItems, *s.MaxItems)
		}
	case "type":
		if s.Type != nil {
			return "a value of type " + strings.Join(s.Type.Slice(), " or ")
		}
	}
	return e.Reason
}

// asType says which values fit a Go type that a JSON value did not fit: a number that the contract
// calls whole may be written as 3.0 or 3e2, which no reader of ours takes.
func asType(t reflect.Type) string {
	if t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 {
		return "a whole number, written without point and exponent"
	}
	return "a value of type " + t.String()
}

// number is a bound for a person: 1000000, not 1e+06.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func sentence(description string) string {
	if description == "" {
		return ""
	}
	return " (" + strings.TrimSuffix(strings.TrimSpace(description), ".") + ")"
}

func mediaTypes(body *openapi3.RequestBody) []string {
	if body == nil {
		return nil
	}
	types := make([]string, 0, len(body.Content))
	for t := range body.Content {
		types = append(types, t)
	}
	return types
}

// text is a value for a person; an object or a list is not shown.
func text(v any) string {
	switch v := v.(type) {
	case nil, map[string]any, []any:
		return ""
	case float64:
		return number(v)
	default:
		return fmt.Sprint(v)
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
