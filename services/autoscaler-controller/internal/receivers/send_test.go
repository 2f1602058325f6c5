package receivers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
)

func allowed(t *testing.T, text string) Networks {
	t.Helper()
	n, err := ParseNetworks(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func delivery(url string) notices.Delivery {
	return notices.Delivery{Receiver: notices.Receiver{Name: "chat", URL: url, Format: "CloudEvents", Keys: aKey}, Notice: aNotice()}
}

func TestSend_SignsAsStandardWebhooksHasIt(t *testing.T) {
	const newer = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
	verified := map[string]error{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, key := range []string{aKey, newer} {
			hook, err := standardwebhooks.NewWebhook(key)
			if err != nil {
				t.Error(err)
			}
			verified[key] = hook.Verify(body, r.Header)
			if hook.Verify(append(body, ' '), r.Header) == nil {
				t.Error("another body is taken for signed")
			}
		}
		if got := r.Header.Get("Content-Type"); got != "application/cloudevents+json" || r.Header.Get("Webhook-Id") != "msg_1" || r.Method != http.MethodPost {
			t.Errorf("%s %s %q", r.Method, got, r.Header.Get("Webhook-Id"))
		}
	}))
	defer server.Close()
	s := newSender(allowed(t, "127.0.0.0/8"))
	d := delivery(server.URL)
	d.Receiver.Keys = newer + " " + aKey // both verify while a key changes
	if r := s.send(t.Context(), d); r.verdict != notices.Taken || verified[aKey] != nil || verified[newer] != nil || len(verified) != 2 {
		t.Errorf("%+v, %v", r, verified)
	}
	d.Receiver.Keys = ""
	if r := s.send(t.Context(), d); r.verdict != notices.Taken || !errors.Is(verified[aKey], standardwebhooks.ErrRequiredHeaders) {
		t.Errorf("without a key: %+v, %v", r, verified)
	}
}

func TestSend_JudgesTheAnswer(t *testing.T) {
	for status, want := range map[int]notices.Verdict{
		200: notices.Taken, 202: notices.Taken, 204: notices.Taken, 301: notices.Never, 302: notices.Never, 307: notices.Never, 400: notices.Never, 401: notices.Never,
		404: notices.Never, 408: notices.Later, 410: notices.Gone, 413: notices.Never, 425: notices.Later, 429: notices.Later, 500: notices.Later, 503: notices.Later,
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
		}))
		r := newSender(allowed(t, "127.0.0.1")).send(t.Context(), delivery(server.URL+"/hook"))
		server.Close()
		if r.verdict != want || asked != 1 {
			t.Errorf("%d: %+v after %d calls, want %v and one", status, r, asked, want)
		}
		if want == notices.Later && r.after != 7*time.Second {
			t.Errorf("%d: again after %v", status, r.after)
		}
	}
}

func TestSend_GoesNowhereElse(t *testing.T) {
	reached := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer server.Close()
	for _, networks := range []string{"", "public", "10.0.0.0/8", "0.0.0.0/0,::/0"} {
		for _, url := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), "http://169.254.169.254/latest/meta-data"} {
			r := newSender(allowed(t, networks)).send(t.Context(), delivery(url))
			if r.verdict != notices.Never || !errors.Is(r.cause, errNotAllowed) {
				t.Errorf("%q, %s: %+v", networks, url, r)
			}
		}
	}
	if reached > 0 {
		t.Errorf("it was reached %d times", reached)
	}
}

func TestSend_SaysNothingOfTheAddress(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody sees that the client goes
		<-r.Context().Done()
	}))
	defer hangs.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	s := newSender(allowed(t, "127.0.0.1"))
	for name, url := range map[string]string{"closed": closed.URL, "hanging": hangs.URL, "untrusted": untrusted.URL, "no such name": "https://hunter2.invalid"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		r := s.send(ctx, delivery(url+"/hunter2"))
		cancel()
		if r.verdict != notices.Later || r.why == "" || strings.Contains(r.why, "hunter2") || r.cause == nil || strings.Contains(r.cause.Error(), "/hunter2") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "30": 30 * time.Second, "-1": 0, "soon": 0, "99999999999": 0,
		"Sun, 01 Mar 2026 12:01:00 GMT": time.Minute, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := after(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
