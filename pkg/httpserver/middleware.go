package httpserver

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Recover turns a panic of a handler into a 500 and a log line. A handler that aborts on purpose
// (http.ErrAbortHandler) still cuts the connection.
func Recover(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				p := recover()
				if p == nil {
					return
				}
				if p == http.ErrAbortHandler { //nolint:errorlint,err113 // net/http compares it by identity too
					panic(p)
				}
				log.ErrorContext(r.Context(), "a handler panicked", "panic", fmt.Sprint(p), "path", r.URL.Path, "stack", string(debug.Stack()))
				fault.Write(w, r, fault.New(fault.Internal, ""))
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// LimitBody refuses a body of more than limit bytes with 413: at once when its length is declared,
// else when the limit is passed while it is read (as *http.MaxBytesError).
func LimitBody(limit int64) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				fault.Write(w, r, TooLarge(r.ContentLength, limit))
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			next.ServeHTTP(w, r)
		})
	}
}

// TooLarge is the refusal of a body of size bytes; a negative size is one not declared.
func TooLarge(size, limit int64) *fault.Error {
	value := ""
	if size >= 0 {
		value = fmt.Sprintf("%d bytes", size)
	}
	return fault.New(fault.TooLarge, "the body is larger than %d bytes", limit).
		With("body", value, fmt.Sprintf("at most %d bytes", limit))
}
