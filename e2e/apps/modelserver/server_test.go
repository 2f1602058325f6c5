package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
)

func TestAnswer_WholeWithUsage(t *testing.T) {
	for path, c := range map[string]struct{ body, object string }{
		"/v1/completions":      {`{"model":"echo","prompt":"x y","max_tokens":3,"temperature":0.7}`, "text_completion"},
		"/v1/chat/completions": {`{"messages":[{"role":"system","content":""},{"role":"user","content":"x y"}],"max_completion_tokens":3}`, "chat.completion"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := serveInBubble(t, testConfig())
			start := time.Now()
			status, header, body := b.answer(http.MethodPost, path, c.body)
			var d document
			if err := json.Unmarshal([]byte(body), &d); err != nil || status != 200 || header.Get("X-Pod") != "pod-1" {
				t.Fatalf("%d %v %s", status, err, body)
			}
			if at := time.Since(start); at != 300*time.Millisecond {
				t.Errorf("3 tokens at 10 a second took %s", at)
			}
			if d.Object != c.object || d.Model != "echo" || len(d.Choices) != 1 || text(d.Choices[0]) != " x y x" || d.Usage == nil || *d.Usage != (usage{2, 3, 5}) {
				t.Errorf("got %s", body)
			}
		})
	}
}

func TestAnswer_SlotsThenQueueThen429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serveInBubble(t, testConfig()) // 2 slots, a queue of 1
		start := time.Now()
		took := make(chan time.Duration, 3)
		for range 3 {
			go func() {
				status, _, body := b.answer(http.MethodPost, "/v1/completions", `{"prompt":"a","max_tokens":5}`)
				if status != 200 {
					t.Errorf("%d %s", status, body)
				}
				took <- time.Since(start)
			}()
		}
		synctest.Wait()
		b.wantMetrics(map[string]string{
			`vllm:num_requests_running{model_name="echo"}`: "2",
			`vllm:num_requests_waiting{model_name="echo"}`: "1",
		})
		status, header, body := b.answer(http.MethodPost, "/v1/completions", `{"prompt":"a"}`)
		if status != 429 || header.Get("Retry-After") != "5" || !strings.Contains(body, `"code":"queue-full"`) {
			t.Errorf("the fourth got %d %v %s", status, header, body)
		}
		for _, want := range []time.Duration{500, 500, 1000} {
			if got := <-took; got != want*time.Millisecond {
				t.Errorf("answered after %s, want %d ms", got, want)
			}
		}
		b.wantMetrics(map[string]string{`modelserver_requests_refused_total{code="queue-full",model_name="echo"}`: "1"})
	})
}

func TestLoading_503UntilLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.loadTime = 3 * time.Second
		b := serveInBubble(t, c)
		synctest.Wait()
		for _, path := range []string{"/health", "/v1/models"} {
			if status, header, body := b.answer(http.MethodGet, path, ""); status != 503 || header.Get("Retry-After") != "3" {
				t.Errorf("%s while loading: %d %v %s", path, status, header, body)
			}
		}
		if status, _, body := b.answer(http.MethodPost, "/v1/completions", `{"prompt":"a"}`); status != 503 || !strings.Contains(body, `"code":"loading"`) {
			t.Errorf("completion while loading: %d %s", status, body)
		}
		time.Sleep(3*time.Second - time.Nanosecond)
		if status, _, _ := b.answer(http.MethodGet, "/health", ""); status != 503 {
			t.Errorf("a nanosecond before it is loaded: %d", status)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if status, _, body := b.answer(http.MethodGet, "/health", ""); status != 200 || body != "{\"status\":\"ok\"}\n" {
			t.Errorf("loaded: %d %s", status, body)
		}
		if status, _, body := b.answer(http.MethodGet, "/v1/models", ""); status != 200 || !strings.Contains(body, `"id":"echo"`) || !strings.Contains(body, `"max_model_len":1000`) {
			t.Errorf("models: %d %s", status, body)
		}
		b.wantMetrics(map[string]string{`modelserver_requests_refused_total{code="loading",model_name="echo"}`: "1"})
	})
}

func TestRun_EndsWhileTheModelLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(context.Background())
		defer end()
		var said strings.Builder
		ran := make(chan error)
		go func() {
			ran <- run(ctx, []string{"-load-seconds=3600", "-listen-while-loading=false", "-port=127.0.0.1:0"}, func(string) string { return "" }, &said)
		}()
		synctest.Wait()
		end()
		if err := <-ran; err != nil || strings.Contains(said.String(), "listening") {
			t.Errorf("returned %v, said %q", err, said.String())
		}
		time.Sleep(time.Hour) // the load's timer ends with the bubble
	})
}

func TestRun_ReportsSettingsThatAreNotAllowed(t *testing.T) {
	for want, args := range map[string][]string{
		"-slots (SLOTS)":                   {"-slots=0"},
		"less than -context-tokens, which": {"-max-tokens=100", "-context-tokens=100"},
	} {
		if err := run(t.Context(), args, func(string) string { return "" }, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestAnswer_RefusesWithFieldValueAndWhatIsAllowed(t *testing.T) {
	const completions, chat = "/v1/completions", "/v1/chat/completions"
	synctest.Test(t, func(t *testing.T) {
		b := serveInBubble(t, testConfig())
		for _, c := range []struct {
			path, body string
			status     int
			want       problem.Field
		}{
			{completions, `{"prompt":"a"`, 400, problem.Field{Field: "body", Value: "unexpected EOF", Allowed: "one JSON object"}},
			{completions, ``, 400, problem.Field{Field: "body", Value: "EOF", Allowed: "one JSON object"}},
			{completions, `{"prompt":"a"} {}`, 400, problem.Field{Field: "body", Value: "more follows after the object", Allowed: "one JSON object"}},
			{completions, `[]`, 400, problem.Field{Field: "body", Value: "array", Allowed: "an object"}},
			{completions, `{"prompt":7}`, 400, problem.Field{Field: "prompt", Value: "number", Allowed: "a string"}},
			{completions, `{"prompt":"a","max_tokens":1.5}`, 400, problem.Field{Field: "max_tokens", Value: "number 1.5", Allowed: "a whole number"}},
			{completions, `{"prompt":"a","max_tokens":101}`, 400, problem.Field{Field: "max_tokens", Value: "101", Allowed: "a whole number from 1 to 100"}},
			{completions, `{"prompt":"a","max_tokens":0}`, 400, problem.Field{Field: "max_tokens", Value: "0", Allowed: "a whole number from 1 to 100"}},
			{completions, `{"prompt":"  "}`, 400, problem.Field{Field: "prompt", Value: `"  "`, Allowed: "a text of at least one word"}},
			{completions, `{"prompt":"` + strings.Repeat("a ", 901) + `"}`, 400, problem.Field{Field: "prompt", Value: "901 tokens", Allowed: "at most 900 tokens"}},
			{completions, `{"prompt":"` + strings.Repeat("a", mostBody) + `"}`, 413, problem.Field{Field: "body", Value: "more than 1048576 bytes", Allowed: "at most 1048576 bytes"}},
			{completions, `{"prompt":"a","stream_options":{}}`, 400, problem.Field{Field: "stream_options", Value: "given", Allowed: "only with stream true"}},
			{completions, `{"prompt":"a","model":"other"}`, 404, problem.Field{Field: "model", Value: "other", Allowed: "echo"}},
			{completions, `{"prompt":"a","best_of":2}`, 400, problem.Field{Field: "best_of", Value: "given",
				Allowed: "the fields model, max_tokens, stream, stream_options, temperature, top_p, seed, user, prompt"}},
			{chat, `{"messages":[]}`, 400, problem.Field{Field: "messages", Value: "0 messages without a word", Allowed: "at least one message with a content of at least one word"}},
			{chat, `{"messages":[{"role":"king","content":"a"}]}`, 400, problem.Field{Field: "messages[0].role", Value: "king", Allowed: "system, developer, user, assistant or tool"}},
			{chat, `{"messages":[{"role":"user","content":"a"}],"max_completion_tokens":-1}`, 400, problem.Field{Field: "max_completion_tokens", Value: "-1", Allowed: "a whole number from 1 to 100"}},
		} {
			status, header, body := b.answer(http.MethodPost, c.path, c.body)
			var got struct{ Errors []problem.Field }
			if err := json.Unmarshal([]byte(body), &got); err != nil || status != c.status || header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%.60s: %d %v %s", c.body, status, err, body)
				continue
			}
			if len(got.Errors) != 1 || got.Errors[0] != c.want {
				t.Errorf("%.60s:\n got %+v\nwant %+v", c.body, got.Errors, c.want)
			}
		}
	})
}
