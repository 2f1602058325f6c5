// Package problem is how the sample applications refuse a request: RFC 9457 problem documents in
// the shape of the product's own, so that one client reads both. What is refused is decided by
// the callers.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/tracing"
)

// maxValue bounds how much of a refused value is repeated to its sender.
const maxValue = 256

// Field says which part of a request is at fault: its name, what was sent, and what is allowed.
type Field struct {
	Field   string `json:"field"`
	Value   string `json:"value,omitempty"`
	Allowed string `json:"allowed"`
}

// Problem is a refusal. Code is stable and meant for programs, Title says the same in words,
// Detail says what happened this time. RetryAfter, in whole seconds, is left out when 0.
type Problem struct {
	Status     int
	Code       string
	Title      string
	Detail     string
	RetryAfter int
	Errors     []Field
}

type document struct {
	Type       string  `json:"type"`
	Title      string  `json:"title"`
	Status     int     `json:"status"`
	Code       string  `json:"code"`
	Detail     string  `json:"detail,omitempty"`
	Instance   string  `json:"instance,omitempty"`
	TraceID    string  `json:"traceId,omitempty"`
	RetryAfter int     `json:"retryAfterSeconds,omitempty"`
	Errors     []Field `json:"errors,omitempty"`
}

// Invalid is a 400 for the fields at fault.
func Invalid(fields ...Field) Problem {
	p := Problem{Status: http.StatusBadRequest, Code: "invalid", Title: "The request is not valid", Errors: fields}
	said := make([]string, 0, len(fields))
	for i, f := range p.Errors {
		p.Errors[i].Value = Shorten(f.Value)
		said = append(said, f.Field+": "+p.Errors[i].Value+" is not allowed; allowed: "+f.Allowed)
	}
	p.Detail = strings.Join(said, "\n")
	return p
}

// Shorten cuts a value that came from outside to what may be repeated, at a whole character.
func Shorten(value string) string {
	if len(value) <= maxValue {
		return value
	}
	return strings.ToValidUTF8(value[:maxValue], "") + "…"
}

// Write answers the request with p.
func Write(w http.ResponseWriter, r *http.Request, p Problem) {
	body, err := json.Marshal(document{
		Type: "urn:nemesis:problem:" + p.Code, Title: p.Title, Status: p.Status, Code: p.Code,
		Detail: p.Detail, Instance: Shorten(r.URL.Path), TraceID: tracing.ID(r.Context()),
		RetryAfter: p.RetryAfter, Errors: p.Errors,
	})
	if err != nil { // strings and integers only: cannot fail
		http.Error(w, p.Title, p.Status)
		return
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client has gone; there is nobody left to tell
}
