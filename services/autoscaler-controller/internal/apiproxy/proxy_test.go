package apiproxy

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const own = "the-controllers-own"

// proxyTo makes a proxy to the API server at this address.
func proxyTo(t *testing.T, address string, anonymous bool) *Proxy {
	t.Helper()
	c, err := kube.Connect(&rest.Config{Host: address, BearerToken: own}, "test")
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(c, anonymous)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func call(t *testing.T, method, authorization string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://controller/apis/g/v1/things?limit=2", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Cookie", "a=b")
	r.Header.Set("Impersonate-User", "admin")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func TestProxy_SpeaksWithTheCallersTokenOrForReadersWithItsOwn(t *testing.T) {
	var seen *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	}))
	defer server.Close()
	for _, c := range []struct {
		method, authorization string
		anonymous             bool
		want                  string // the token that is sent; "": nothing is
	}{
		{"GET", "Bearer theirs", false, "Bearer theirs"},
		{"GET", "Bearer theirs", true, "Bearer theirs"},
		{"POST", "Bearer theirs", true, "Bearer theirs"},
		{"GET", "", true, "Bearer " + own},
		{"GET", "", false, ""},
		{"POST", "", true, ""},
		{"DELETE", "", true, ""},
	} {
		seen = nil
		answer, err := proxyTo(t, server.URL, c.anonymous).Do(call(t, c.method, c.authorization))
		if c.want == "" {
			if !fault.Is(err, fault.Unauthenticated) || seen != nil {
				t.Errorf("%+v: %v, sent %v", c, err, seen != nil)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusTeapot || string(body) != "short and stout" {
			t.Errorf("%+v: answered %d %q", c, answer.StatusCode, body)
		}
		if h := seen.Header; h.Get("Authorization") != c.want || h.Get("Content-Type") != "application/json" || h.Get("Cookie")+h.Get("Impersonate-User") != "" {
			t.Errorf("%+v: sent %v", c, h)
		}
		if seen.Method != c.method || seen.URL.String() != "/apis/g/v1/things?limit=2" || seen.Host != strings.TrimPrefix(server.URL, "http://") {
			t.Errorf("%+v: sent %s %s to %s", c, seen.Method, seen.URL, seen.Host)
		}
	}
}

func TestProxy_BoundsTheAnswer(t *testing.T) {
	chunk := strings.Repeat("x", 1<<20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range maxAnswer/len(chunk) + 1 {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	answer, err := proxyTo(t, server.URL, false).Do(call(t, "GET", "Bearer theirs"))
	if err == nil {
		_ = answer.Body.Close()
	}
	if !fault.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), "limit") {
		t.Errorf("got %v", err)
	}
}

func TestProxy_SaysWhenTheAPIServerIsAwayOrBreaksOff(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	}))
	defer server.Close()
	for address, want := range map[string]string{server.URL: "broke off", "http://127.0.0.1:1": "does not answer"} {
		answer, err := proxyTo(t, address, false).Do(call(t, "GET", "Bearer theirs"))
		if err == nil {
			_ = answer.Body.Close()
		}
		if e := fault.From(err); !fault.Is(err, fault.Unavailable) || e.RetryAfter == 0 || !strings.Contains(e.Detail, want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestWatch_ComesAsThingsHappenAndEndsWithWhoAsked(t *testing.T) {
	events, left := make(chan string), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		if r.Header.Get("Authorization") != "Bearer theirs" || r.Header.Get("Cookie") != "" {
			t.Errorf("sent %v", r.Header)
		}
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case e := <-events:
				_, _ = io.WriteString(w, e+"\n")
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer server.Close()
	for _, leave := range []string{"by its context", "by closing"} {
		left = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		answer, err := proxyTo(t, server.URL, false).Watch(call(t, "GET", "Bearer theirs").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(answer.Body)
		for _, e := range []string{"a", "b"} {
			events <- e
			if !lines.Scan() || lines.Text() != e {
				t.Errorf("got %q %v", lines.Text(), lines.Err())
			}
		}
		if leave == "by its context" {
			cancel()
			if lines.Scan() {
				t.Errorf("got %q", lines.Text())
			}
		}
		_ = answer.Body.Close()
		<-left
		cancel()
	}
}

func TestWatch_IsJudgedAsACallIs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "no")
	}))
	defer server.Close()
	if answer, err := proxyTo(t, server.URL, false).Watch(call(t, "GET", "")); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("without a token: %v %v", answer, err)
	}
	answer, err := proxyTo(t, server.URL, true).Watch(call(t, "GET", ""))
	if err != nil || answer.StatusCode != http.StatusForbidden {
		t.Fatalf("%v %v", answer, err)
	}
	if body, _ := io.ReadAll(answer.Body); string(body) != "no" {
		t.Errorf("got %q", body)
	}
	_ = answer.Body.Close()
	answer, err = proxyTo(t, "http://127.0.0.1:1", true).Watch(call(t, "GET", ""))
	if err == nil {
		_ = answer.Body.Close()
	}
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("an API server that is away: %v", err)
	}
}
