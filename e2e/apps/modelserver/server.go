package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/requestlog"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/tracing"
)

// server answers as a model server does.
type server struct {
	config  config
	loading *loading
	slots   *slots
	gauges  *gauges
	started int64
}

func handler(c config, l *loading, pod string, spans *tracing.Exporter, log *slog.Logger) http.Handler {
	s := &server{config: c, loading: l, slots: newSlots(c.slots, c.queue), started: time.Now().Unix()}
	s.gauges = newGauges(c, s.slots)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/completions", s.loaded(s.refuse, s.answering(c.readCompletion)))
	mux.HandleFunc("POST /v1/chat/completions", s.loaded(s.refuse, s.answering(c.readChat)))
	mux.HandleFunc("GET /v1/models", s.loaded(problem.Write, s.models))
	mux.HandleFunc("GET /health", s.loaded(problem.Write, health))
	mux.Handle("GET /metrics", s.gauges.handler())
	routed := problem.Router(mux, "POST /v1/completions", "POST /v1/chat/completions", "GET /v1/models", "GET /health", "GET /metrics")
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Pod", pod)
		routed.ServeHTTP(w, r)
	})
	return spans.Handler(requestlog.Handler(log, named, "/health", "/metrics"), "/health", "/metrics")
}

// loaded refuses with 503 until the model is loaded. Probes are refused through problem.Write,
// which does not count them as requests.
func (s *server) loaded(refuse func(http.ResponseWriter, *http.Request, problem.Problem), next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if ok, left := s.loading.loaded(); !ok {
			refuse(w, r, problem.Problem{
				Status: http.StatusServiceUnavailable, Code: "loading", Title: "The model is loading",
				Detail: fmt.Sprintf("%s will be loaded in %.1f s", s.config.model, left.Seconds()), RetryAfter: wholeSeconds(left),
			})
			return
		}
		next(w, r)
	}
}

func (s *server) refuse(w http.ResponseWriter, r *http.Request, p problem.Problem) {
	s.gauges.refused.WithLabelValues(p.Code).Inc()
	problem.Write(w, r, p)
}

// answering takes a request from its body to its last token.
func (s *server) answering(read func(http.ResponseWriter, *http.Request) (ask, *problem.Problem)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, refused := read(w, r)
		if refused != nil {
			s.refuse(w, r, *refused)
			return
		}
		observed := s.gauges.arrival()
		release, err := s.slots.acquire(r.Context())
		if errors.Is(err, errQueueFull) {
			s.refuse(w, r, s.full())
			return
		}
		if err != nil { // the client has gone while it waited
			observed.ended(err)
			return
		}
		release = sync.OnceFunc(release)
		defer release()
		observed.started(a.promptTokens)
		made := func(err error) { observed.ended(err); release() }
		if a.stream {
			s.stream(w, r, a, observed, made)
		} else {
			s.whole(w, r, a, observed, made)
		}
	}
}

// whole answers in one piece. Its slot is free before the client reads that the answer is there.
func (s *server) whole(w http.ResponseWriter, r *http.Request, a ask, observed *observation, made func(error)) {
	var text strings.Builder
	err := s.generation(a).run(r.Context(), func(_ int, token string) error {
		observed.token()
		text.WriteString(token)
		return nil
	})
	made(err)
	if err == nil {
		writeJSON(w, newReply(s.config.model, a).whole(text.String()))
	}
}

// stream answers token by token. Errors are those of a client that has gone: the request is
// counted as aborted, and there is nobody to tell.
func (s *server) stream(w http.ResponseWriter, r *http.Request, a ask, observed *observation, made func(error)) {
	out, err := beginEvents(w)
	if err != nil {
		made(err)
		return
	}
	answer := newReply(s.config.model, a)
	err = s.generation(a).run(r.Context(), func(i int, token string) error {
		observed.token()
		return out.send(answer.piece(i, token))
	})
	made(err)
	if err == nil && a.usage {
		err = out.send(answer.bill())
	}
	if err == nil {
		_ = out.end()
	}
}

func (s *server) generation(a ask) generation {
	return generation{prompt: a.echo, count: a.tokens, perToken: s.config.perToken()}
}

// full says when to try again: with the longest answers allowed in all slots, evenly spread, one
// ends after this time and the queue moves up.
func (s *server) full() problem.Problem {
	_, waiting := s.slots.load()
	soon := time.Duration(s.config.maxTokens) * s.config.perToken() / time.Duration(s.config.slots)
	return problem.Problem{
		Status: http.StatusTooManyRequests, Code: "queue-full", Title: "Too many requests wait already",
		Detail:     fmt.Sprintf("%d slots are taken and %d requests wait; at most %d may", s.config.slots, waiting, s.config.queue),
		RetryAfter: wholeSeconds(soon),
	}
}

func health(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]string{"status": "ok"}) }

func (s *server) models(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		ID          string `json:"id"`
		Object      string `json:"object"`
		Created     int64  `json:"created"`
		OwnedBy     string `json:"owned_by"`
		MaxModelLen int    `json:"max_model_len"`
	}
	writeJSON(w, map[string]any{"object": "list", "data": []model{{
		ID: s.config.model, Object: "model", Created: s.started, OwnedBy: "nemesis", MaxModelLen: s.config.contextTokens,
	}}})
}

func writeJSON(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // fails only when the client has gone
}

// wholeSeconds rounds up to what fits a Retry-After header, from 1 second to a day.
func wholeSeconds(d time.Duration) int {
	return int(min(max(1, math.Ceil(d.Seconds())), 86400))
}
