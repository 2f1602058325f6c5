package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/requestlog"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/tracing"
)

// standardN is computed when a request does not say: some milliseconds of work.
const standardN = 30

// calculator answers requests for Fibonacci numbers up to most.
type calculator struct {
	most int
	pod  string
}

// computed is the answer: the result, the milliseconds it took, and the pod that computed it.
type computed struct {
	N      int     `json:"n"`
	Result uint64  `json:"result"`
	MS     float64 `json:"ms"`
	Pod    string  `json:"pod"`
}

func handler(most int, pod string, spans *tracing.Exporter, log *slog.Logger) http.Handler {
	c := calculator{most: most, pod: pod}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.byQuery)
	mux.HandleFunc("GET /fib/{n}", c.byPath)
	a := api{calculator: c, presets: newPresets()}
	mux.HandleFunc("GET /api", a.query)
	mux.HandleFunc("POST /api", a.act)
	mux.HandleFunc("PUT /api", a.replace)
	mux.HandleFunc("PATCH /api", a.change)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	})
	routed := problem.Router(mux, "GET /?n=30", "GET /fib/{n}", "GET, POST, PUT and PATCH /api", "GET /healthz")
	return spans.Handler(requestlog.Handler(log, routed, "/healthz"), "/healthz")
}

func (c calculator) byPath(w http.ResponseWriter, r *http.Request) {
	c.answer(w, r, r.PathValue("n"))
}

func (c calculator) byQuery(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch given := query["n"]; len(given) {
	case 0:
		c.answer(w, r, strconv.Itoa(min(standardN, c.most)))
	case 1:
		c.answer(w, r, given[0])
	default:
		problem.Write(w, r, problem.Invalid(problem.Field{
			Field: "n", Value: fmt.Sprintf("%d values", len(given)), Allowed: "one " + c.allowed(),
		}))
	}
}

func (c calculator) allowed() string { return fmt.Sprintf("whole number from 0 to %d", c.most) }

func (c calculator) answer(w http.ResponseWriter, r *http.Request, given string) {
	n, err := strconv.Atoi(given)
	if err != nil || n < 0 || n > c.most {
		problem.Write(w, r, problem.Invalid(problem.Field{Field: "n", Value: given, Allowed: "a " + c.allowed()}))
		return
	}
	c.compute(w, r, n)
}

func (c calculator) compute(w http.ResponseWriter, r *http.Request, n int) {
	start := time.Now()
	result, err := fibonacci(r.Context(), n)
	if err != nil {
		return // the client has gone; nobody reads an answer
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(computed{
		N: n, Result: result, MS: float64(time.Since(start).Microseconds()) / 1000, Pod: c.pod,
	})
}
