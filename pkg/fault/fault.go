// Package fault is the one vocabulary of errors in Nemesis. Inside a service an error carries a
// Code; at the edge, and only there, the code becomes an HTTP status and a problem document
// (RFC 9457). The internal cause of an error goes to the log, never to the client.
package fault

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Code names a kind of error. Codes are part of the contract: programs match on them.
type Code string

// The codes. Each has one HTTP status, in the table below.
const (
	Invalid          Code = "invalid"
	Unauthenticated  Code = "unauthenticated"
	Forbidden        Code = "forbidden"
	NotFound         Code = "not-found"
	MethodNotAllowed Code = "method-not-allowed"
	Conflict         Code = "conflict"
	Gone             Code = "gone"
	TooLarge         Code = "too-large"
	UnsupportedMedia Code = "unsupported-media-type"
	Unprocessable    Code = "unprocessable"
	TooMany          Code = "too-many"
	HeaderTooLarge   Code = "header-too-large"
	Internal         Code = "internal"
	NotImplemented   Code = "not-implemented"
	BadGateway       Code = "bad-gateway"
	Unavailable      Code = "unavailable"
	WaitingRoomFull  Code = "waiting-room-full"
	TooManyConns     Code = "too-many-connections"
	WakeUpTimeout    Code = "wake-up-timeout"
	UpstreamTimeout  Code = "upstream-timeout"
	RequestTimeout   Code = "request-timeout"
	Busy             Code = "busy"
	StartBlocked     Code = "start-blocked"

	VersionNotSupported Code = "version-not-supported"
)

// kind is what all errors of one code have in common.
type kind struct {
	status int
	title  string
}

var kinds = map[Code]kind{
	Invalid:          {http.StatusBadRequest, "The request is not valid"},
	Unauthenticated:  {http.StatusUnauthorized, "Who are you?"},
	Forbidden:        {http.StatusForbidden, "Not allowed"},
	NotFound:         {http.StatusNotFound, "Not found"},
	MethodNotAllowed: {http.StatusMethodNotAllowed, "The method is not allowed here"},
	Conflict:         {http.StatusConflict, "The state forbids it"},
	Gone:             {http.StatusGone, "No longer there"},
	TooLarge:         {http.StatusRequestEntityTooLarge, "The body is too large"},
	UnsupportedMedia: {http.StatusUnsupportedMediaType, "The media type is not supported"},
	Unprocessable:    {http.StatusUnprocessableEntity, "The content is not valid"},
	TooMany:          {http.StatusTooManyRequests, "Too many requests"},
	HeaderTooLarge:   {http.StatusRequestHeaderFieldsTooLarge, "The header is too large"},
	Internal:         {http.StatusInternalServerError, "A fault in the service"},
	NotImplemented:   {http.StatusNotImplemented, "Not offered here"},
	BadGateway:       {http.StatusBadGateway, "The application failed"},
	Unavailable:      {http.StatusServiceUnavailable, "Not available now"},
	WaitingRoomFull:  {http.StatusServiceUnavailable, "The waiting room is full"},
	TooManyConns:     {http.StatusServiceUnavailable, "Too many connections"},
	WakeUpTimeout:    {http.StatusServiceUnavailable, "The application did not wake in time"},
	UpstreamTimeout:  {http.StatusGatewayTimeout, "The application did not answer in time"},
	RequestTimeout:   {http.StatusRequestTimeout, "The request did not come in time"},
	Busy:             {http.StatusTooManyRequests, "The application is busy"},
	StartBlocked:     {http.StatusServiceUnavailable, "The application cannot start"},

	VersionNotSupported: {http.StatusHTTPVersionNotSupported, "The version of HTTP is not spoken here"},
}

// Status is the HTTP status of the code; 500 for one that is not in the table.
func (c Code) Status() int {
	if k, ok := kinds[c]; ok {
		return k.status
	}
	return http.StatusInternalServerError
}

// Title is the kind of problem in a few words.
func (c Code) Title() string {
	if k, ok := kinds[c]; ok {
		return k.title
	}
	return kinds[Internal].title
}

// FromStatus is the code that stands for an HTTP status; Invalid or Internal where none fits.
func FromStatus(status int) Code {
	switch status {
	case http.StatusServiceUnavailable:
		return Unavailable
	case http.StatusGatewayTimeout:
		return UpstreamTimeout
	case http.StatusTooManyRequests:
		return TooMany
	}
	for code, k := range kinds {
		if k.status == status {
			return code
		}
	}
	if status >= http.StatusInternalServerError {
		return Internal
	}
	return Invalid
}

// The bounds of a refused field, as in the contract: what was sent may be long, its name too.
const (
	maxValue   = 256
	maxField   = 512
	maxAllowed = 2048
)

// Field is one value that was refused.
type Field struct {
	Field   string `json:"field"`
	Value   string `json:"value,omitempty"`
	Allowed string `json:"allowed"`
}

// Error is an error that knows how it looks to a client.
type Error struct {
	Code       Code
	Detail     string        // for the client: what happened and what to do
	Fields     []Field       // every field at fault
	RetryAfter time.Duration // when to try again; 0 says nothing
	Cause      error         // for the log alone
}

// New makes an Error whose detail is formatted as by fmt.Sprintf.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Because sets the internal cause, and returns e. A cause that is e, or wraps it, is no news and is
// ignored: an error that led to itself could not be printed.
func (e *Error) Because(cause error) *Error {
	if !errors.Is(cause, e) {
		e.Cause = cause
	}
	return e
}

// After says when to try again, and returns e.
func (e *Error) After(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

// With adds a refused field, its value shortened to 256 characters and the rest to what the contract
// allows, and returns e.
func (e *Error) With(field, value, allowed string) *Error {
	if runes := []rune(value); len(runes) > maxValue {
		value = string(runes[:maxValue]) + "…"
	}
	e.Fields = append(e.Fields, Field{Field: cut(field, maxField), Value: value, Allowed: cut(allowed, maxAllowed)})
	return e
}

// Error says it all, the cause included: it is meant for the log.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %q is not allowed: %s", f.Field, f.Value, f.Allowed)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// From finds the Error in err's chain; an error without one is Internal, and shows no detail.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Internal, Cause: err}
}

// Is tells whether err carries the code.
func Is(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}
