package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
)

const (
	mostBody     = 1 << 20          // bytes of a request's body
	bodyDeadline = 30 * time.Second // for a client to send it
)

// readBody decodes the one JSON object that the request's body must be. The refusal is nil when
// it could.
func readBody(w http.ResponseWriter, r *http.Request, into any) *problem.Problem {
	// A test's recorder has no deadlines; a connection has.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyDeadline))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()

	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		// Reading to the end also lets the server notice when the client goes away.
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("more follows after the object")
		}
	}
	p := refusal(err, into)
	return &p
}

func refusal(err error, into any) problem.Problem {
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	switch unknown, isUnknown := strings.CutPrefix(err.Error(), "json: unknown field "); {
	case errors.As(err, &tooLarge):
		p := problem.Invalid(problem.Field{
			Field: "body", Value: fmt.Sprintf("more than %d bytes", tooLarge.Limit), Allowed: fmt.Sprintf("at most %d bytes", tooLarge.Limit),
		})
		p.Status, p.Code, p.Title = http.StatusRequestEntityTooLarge, "too-large", "The body is too large"
		return p
	case errors.As(err, &wrongType):
		// The decoder names the embedded struct too, which clients know nothing of.
		field := strings.TrimPrefix(wrongType.Field, "options.")
		if field == "" {
			field = "body"
		}
		return problem.Invalid(problem.Field{Field: field, Value: wrongType.Value, Allowed: typeName(wrongType.Type)})
	case isUnknown:
		return problem.Invalid(problem.Field{Field: strings.Trim(unknown, `"`), Value: "given", Allowed: "the fields " + fieldNames(into)})
	default:
		return problem.Invalid(problem.Field{Field: "body", Value: err.Error(), Allowed: "one JSON object"})
	}
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

func fieldNames(into any) string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(into).Elem()) {
		if name := f.Tag.Get("json"); name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
