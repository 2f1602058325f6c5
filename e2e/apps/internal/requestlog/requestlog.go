// Package requestlog writes one line per request: what was asked, what was answered, how long it
// took, and the trace it belongs to.
package requestlog

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/tracing"
)

// Handler logs each request to next after it was answered. Requests to the quiet paths (probes
// come every few milliseconds while a pod starts) are logged at debug level.
func Handler(log *slog.Logger, next http.Handler, quiet ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		answer := &answer{ResponseWriter: w}
		defer func() {
			log.LogAttrs(context.WithoutCancel(r.Context()), level(r.URL.Path, quiet), "request",
				slog.String("method", problem.Shorten(r.Method)),
				slog.String("path", problem.Shorten(r.URL.Path)),
				slog.Int("status", answer.status),
				slog.Int64("bytes", answer.bytes),
				slog.Float64("ms", float64(time.Since(start).Microseconds())/1000),
				slog.Bool("client_gone", r.Context().Err() != nil),
				slog.String("trace_id", tracing.ID(r.Context())),
			)
		}()
		next.ServeHTTP(answer, r)
	})
}

func level(path string, quiet []string) slog.Level {
	if slices.Contains(quiet, path) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// answer counts what passes through it; status stays 0 when nothing was answered. It has Unwrap, not Flush: callers flush through
// http.ResponseController.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 { // 1xx answers come before the one that counts
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}
