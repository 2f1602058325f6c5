package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestStream_EachTokenArrivesWhenItIsMade(t *testing.T) {
	for path, body := range map[string]string{
		"/v1/completions":      `{"prompt":"a b","max_tokens":3,"stream":true,"stream_options":{"include_usage":true}}`,
		"/v1/chat/completions": `{"messages":[{"role":"user","content":"a b"}],"max_tokens":3,"stream":true,"stream_options":{"include_usage":true}}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := serveInBubble(t, testConfig())
			start := time.Now()
			response, err := b.do(t.Context(), http.MethodPost, path, body)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" || response.Header.Get("X-Pod") != "pod-1" {
				t.Fatalf("%d %v", response.StatusCode, response.Header)
			}
			if waited := time.Since(start); waited != 0 {
				t.Errorf("the header came after %s", waited)
			}
			r := bufio.NewReader(response.Body)
			for i, want := range []string{" a", " b", " a"} {
				var d document
				if err := json.Unmarshal([]byte(event(t, r)), &d); err != nil {
					t.Fatal(err)
				}
				if at := time.Since(start); at != time.Duration(i+1)*100*time.Millisecond {
					t.Errorf("%s: token %d came at %s", path, i, at)
				}
				c := d.Choices[0]
				if got := text(c); got != want {
					t.Errorf("%s: token %d is %q, want %q", path, i, got, want)
				}
				if last := i == 2; (c.FinishReason != nil) != last || last && *c.FinishReason != "length" {
					t.Errorf("%s: token %d: finish_reason %v", path, i, c.FinishReason)
				}
				if c.Delta != nil && (c.Delta.Role != "") != (i == 0) {
					t.Errorf("token %d: role %q", i, c.Delta.Role)
				}
			}
			var bill document
			if err := json.Unmarshal([]byte(event(t, r)), &bill); err != nil || bill.Usage == nil || *bill.Usage != (usage{2, 3, 5}) || len(bill.Choices) != 0 {
				t.Errorf("usage %+v, %v", bill, err)
			}
			if got := event(t, r); got != "[DONE]" {
				t.Errorf("last event %q", got)
			}
			if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
				t.Errorf("after [DONE]: %q, %v", rest, err)
			}
			b.wantMetrics(map[string]string{
				`vllm:time_to_first_token_seconds_sum{model_name="echo"}`:                "0.1",
				`vllm:inter_token_latency_seconds_sum{model_name="echo"}`:                "0.2",
				`vllm:inter_token_latency_seconds_count{model_name="echo"}`:              "2",
				`vllm:generation_tokens_total{model_name="echo"}`:                        "3",
				`vllm:prompt_tokens_total{model_name="echo"}`:                            "2",
				`vllm:request_success_total{finished_reason="length",model_name="echo"}`: "1",
				`vllm:request_success_total{finished_reason="abort",model_name="echo"}`:  "0",
				`vllm:kv_cache_usage_perc{model_name="echo"}`:                            "0",
				`vllm:num_requests_running{model_name="echo"}`:                           "0",
				`vllm:request_queue_time_seconds_bucket{model_name="echo",le="0.3"}`:     "1",
			})
		})
	}
}

func text(c choice) string {
	switch {
	case c.Text != nil:
		return *c.Text
	case c.Delta != nil:
		return c.Delta.Content
	case c.Message != nil:
		return c.Message.Content
	}
	return "nothing"
}

func TestStream_ClientThatGoesAwayFreesItsSlotAtOnce(t *testing.T) {
	for _, stream := range []string{"true", "false"} {
		synctest.Test(t, func(t *testing.T) {
			c := testConfig()
			c.slots = 1
			b := serveInBubble(t, c)
			start := time.Now()
			ctx, leave := context.WithCancel(t.Context())
			left := make(chan struct{})
			go func() {
				defer close(left)
				response, err := b.do(ctx, http.MethodPost, "/v1/completions", `{"prompt":"long","max_tokens":100,"stream":`+stream+`}`)
				if err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
			}()
			synctest.Wait() // it has the slot
			next := make(chan time.Duration)
			go func() {
				status, _, _ := b.answer(http.MethodPost, "/v1/completions", `{"prompt":"next","max_tokens":1}`)
				if status != 200 {
					t.Errorf("the next one got %d", status)
				}
				next <- time.Since(start)
			}()
			time.Sleep(250 * time.Millisecond) // of the bubble's clock: two of its hundred tokens
			b.wantMetrics(map[string]string{
				`vllm:num_requests_running{model_name="echo"}`: "1",
				`vllm:num_requests_waiting{model_name="echo"}`: "1",
				`vllm:kv_cache_usage_perc{model_name="echo"}`:  "0.003", // 1 of the prompt and 2 made, of 1000
			})
			leave()
			<-left
			if at := <-next; at != 350*time.Millisecond {
				t.Errorf("the next answer came at %s, want 100 ms after the first client left at 250 ms", at)
			}
			b.wantMetrics(map[string]string{
				`vllm:request_success_total{finished_reason="abort",model_name="echo"}`:  "1",
				`vllm:request_success_total{finished_reason="length",model_name="echo"}`: "1",
				`vllm:generation_tokens_total{model_name="echo"}`:                        "3",
				`vllm:num_requests_running{model_name="echo"}`:                           "0",
				`vllm:kv_cache_usage_perc{model_name="echo"}`:                            "0",
			})
		})
	}
}

func TestStream_ReaderThatStallsLosesItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serveInBubble(t, testConfig())
		response, err := b.do(t.Context(), http.MethodPost, "/v1/completions", `{"prompt":"a","max_tokens":100,"stream":true}`)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		// Nothing reads; a pipe holds nothing, so that the write after the client's buffer waits.
		time.Sleep(5 * time.Minute)
		if got := b.metric(`vllm:num_requests_running{model_name="echo"}`); got != "0" {
			t.Errorf("%s running after minutes of nobody reading", got)
		}
	})
}

func TestServe_DrainFinishesStreamsAndTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.slots = 1
		b := serveInBubble(t, c)
		response, err := b.do(t.Context(), http.MethodPost, "/v1/completions", `{"prompt":"a","max_tokens":5,"stream":true}`)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		queued := make(chan int)
		go func() {
			status, _, _ := b.answer(http.MethodPost, "/v1/completions", `{"prompt":"b","max_tokens":5}`)
			queued <- status
		}()
		synctest.Wait()
		b.end()
		synctest.Wait()
		select {
		case err := <-b.ran:
			t.Fatalf("ended with a stream under way: %v", err)
		default:
		}
		if _, err := b.do(t.Context(), http.MethodGet, "/health", ""); err == nil {
			t.Error("a new connection was taken after the end was asked for")
		}
		r := bufio.NewReader(response.Body)
		for range 5 {
			event(t, r)
		}
		if got := event(t, r); got != "[DONE]" {
			t.Errorf("the stream ended with %q", got)
		}
		if status := <-queued; status != 200 {
			t.Errorf("the request in the queue got %d", status)
		}
		if err := <-b.ran; err != nil {
			t.Errorf("drained, but returned %v", err)
		}
	})
}
