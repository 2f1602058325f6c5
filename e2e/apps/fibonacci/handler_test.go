package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
)

func get(t *testing.T, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	handler(45, "pod-1", nil, slog.New(slog.DiscardHandler)).ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	return rec
}

func TestHandler_ComputesByQueryAndByPath(t *testing.T) {
	for path, want := range map[string]computed{
		"/?n=0": {N: 0, Result: 0}, "/?n=1": {N: 1, Result: 1}, "/fib/10": {N: 10, Result: 55},
		"/?n=27": {N: 27, Result: 196418}, "/fib/30": {N: 30, Result: 832040}, "/": {N: 30, Result: 832040},
	} {
		rec := get(t, http.MethodGet, path)
		var got computed
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 200 {
			t.Errorf("%s: %d %v", path, rec.Code, err)
			continue
		}
		if got.N != want.N || got.Result != want.Result || got.Pod != "pod-1" || got.MS < 0 {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}

func TestHandler_RefusesWithFieldValueAndRange(t *testing.T) {
	const one = "a whole number from 0 to 45"
	for path, want := range map[string]problem.Field{
		"/?n=46":                  {Field: "n", Value: "46", Allowed: one},
		"/?n=-1":                  {Field: "n", Value: "-1", Allowed: one},
		"/?n=":                    {Field: "n", Value: "", Allowed: one},
		"/fib/ten":                {Field: "n", Value: "ten", Allowed: one},
		"/?n=9999999999999999999": {Field: "n", Value: "9999999999999999999", Allowed: one},
		"/?n=1&n=2":               {Field: "n", Value: "2 values", Allowed: "one whole number from 0 to 45"},
	} {
		rec := get(t, http.MethodGet, path)
		var got struct{ Errors []problem.Field }
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 400 || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v %s", path, rec.Code, err, rec.Header())
			continue
		}
		if len(got.Errors) != 1 || got.Errors[0] != want {
			t.Errorf("%s: got %+v, want %+v", path, got.Errors, want)
		}
	}
}

func TestHandler_HealthAndUnknownPaths(t *testing.T) {
	if rec := get(t, http.MethodGet, "/healthz"); rec.Code != 200 || rec.Body.String() != `{"status":"ok"}` {
		t.Errorf("/healthz: %d %s", rec.Code, rec.Body)
	}
	if rec := get(t, http.MethodGet, "/fibonacci"); rec.Code != 404 || !strings.Contains(rec.Body.String(), "GET /fib/{n}") {
		t.Errorf("unknown path: %d %s", rec.Code, rec.Body)
	}
	if rec := get(t, http.MethodPost, "/fib/3"); rec.Code != 405 {
		t.Errorf("POST: %d %s", rec.Code, rec.Body)
	}
}

func TestFibonacci_StopsWhenTheClientIsGone(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("client gone")
	done := make(chan error)
	go func() { // fib(93) would take centuries: it ends only by being stopped
		_, err := fibonacci(ctx, mostN)
		done <- err
	}()
	cancel(gone)
	if err := <-done; !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}
