package fault

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// problem is the document; its schema is Problem in api/common.yaml, and a test of the services
// holds the two together.
type problem struct {
	Type              string  `json:"type"`
	Title             string  `json:"title"`
	Status            int     `json:"status"`
	Code              Code    `json:"code"`
	Detail            string  `json:"detail,omitempty"`
	Instance          string  `json:"instance,omitempty"`
	TraceID           string  `json:"traceId,omitempty"`
	RetryAfterSeconds int     `json:"retryAfterSeconds,omitempty"`
	Errors            []Field `json:"errors,omitempty"`
}

const (
	maxFields   = 64
	maxDetail   = 4096
	maxInstance = 2048
)

// Document is the problem document of err about a resource, in the words of the error's code; the
// ids of a trace go with it when there are some.
func Document(err error, instance, traceID string) []byte {
	e := From(err)
	p := problem{
		Type:     "urn:nemesis:problem:" + string(e.Code),
		Title:    e.Code.Title(),
		Status:   e.Code.Status(),
		Code:     e.Code,
		Detail:   e.Summary(),
		Instance: cut(instance, maxInstance),
		TraceID:  traceID,
		Errors:   e.Fields[:min(len(e.Fields), maxFields)],
	}
	p.RetryAfterSeconds = e.RetryAfterSeconds()
	document, fault := json.Marshal(p)
	if fault != nil { // of texts and numbers there is none
		return nil
	}
	return append(document, '\n')
}

// RetryAfterSeconds is when to try again, in whole seconds; 0 says nothing.
func (e *Error) RetryAfterSeconds() int { return int(math.Ceil(max(e.RetryAfter, 0).Seconds())) }

// Write answers the request with the problem document of err. It does nothing to a response that
// has begun but append to it, so call it first or not at all.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	e := From(err)
	traceID := ""
	if span := trace.SpanContextFromContext(r.Context()); span.HasTraceID() {
		traceID = span.TraceID().String()
	}
	header := w.Header()
	if seconds := e.RetryAfterSeconds(); seconds > 0 {
		header.Set("Retry-After", strconv.Itoa(seconds))
	}
	if e.Code == Unauthenticated {
		header.Set("WWW-Authenticate", "Bearer")
	}
	header.Set("Content-Type", ContentType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Del("Content-Length")
	w.WriteHeader(e.Code.Status())
	if r.Method == http.MethodHead {
		return
	}
	// A client that has gone away is no fault of ours.
	_, _ = w.Write(Document(e, r.URL.Path, traceID)) //nolint:gosec // G705: JSON, named so, which no browser takes for a page
}

// Summary is what a person reads first: the detail or, without one, the first of the fields at fault.
func (e *Error) Summary() string {
	if e.Detail != "" || len(e.Fields) == 0 {
		return cut(e.Detail, maxDetail)
	}
	f := e.Fields[0]
	if f.Value == "" {
		return cut(f.Field+": "+f.Allowed, maxDetail)
	}
	return cut(f.Field+": "+f.Value+" is not allowed: "+f.Allowed, maxDetail)
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-3], "") + "…"
}
