package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func handler(t *testing.T) *Handler {
	t.Helper()
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// linked are what the page loads.
var linked = regexp.MustCompile(`(?:src|href)="([^"]*)"`)

func TestConsole_ThePageAndAllThatItLoadsAreServed(t *testing.T) {
	h := handler(t)
	page := ask(h, "GET", "/console/")
	if page.Code != http.StatusOK || page.Header().Get("Cache-Control") != "no-cache" || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("%d %v", page.Code, page.Header())
	}
	links := linked.FindAllStringSubmatch(page.Body.String(), -1)
	if len(links) < 3 {
		t.Fatalf("the page loads %v", links)
	}
	kinds := map[string]bool{}
	for _, link := range links {
		if !strings.HasPrefix(link[1], "./") {
			t.Errorf("%s is not relative: behind a proxy it is another one's", link[1])
		}
		w := ask(h, "GET", "/console/"+strings.TrimPrefix(link[1], "./"))
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", link[1], w.Code)
		}
		kinds[w.Header().Get("Content-Type")] = true
		if forever := strings.Contains(w.Header().Get("Cache-Control"), "immutable"); forever != strings.Contains(link[1], "assets/") {
			t.Errorf("%s is kept as %q", link[1], w.Header().Get("Cache-Control"))
		}
	}
	for _, kind := range []string{"text/javascript; charset=utf-8", "text/css; charset=utf-8", "image/svg+xml"} {
		if !kinds[kind] {
			t.Errorf("nothing is %s: %v", kind, kinds)
		}
	}
}

func TestConsole_ThePolicyAllowsNothingThatIsWrittenInThePage(t *testing.T) {
	h := handler(t)
	page := ask(h, "GET", "/console/")
	policy := page.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy does not say %s: %s", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || page.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s", policy)
	}
	body := page.Body.String()
	for _, inline := range []string{"<style", "style=", "onload", "javascript:"} {
		if strings.Contains(body, inline) {
			t.Errorf("the page has %s", inline)
		}
	}
	for _, script := range regexp.MustCompile(`<script[^>]*>([^<]*)</script>`).FindAllStringSubmatch(body, -1) {
		if strings.TrimSpace(script[1]) != "" {
			t.Errorf("the page has a script written in it: %s", script[1])
		}
	}
}

func TestConsole_WhatIsNotThereIsNotFound(t *testing.T) {
	h := handler(t)
	for target, status := range map[string]int{
		"/console/nothing": 404, "/console/../console.go": 404, "/console/dist/index.html": 404, "/console/assets/": 404, "/console/assets": 404,
		"/console": 302, "/console/index.html": 200,
	} {
		if w := ask(h, "GET", target); w.Code != status {
			t.Errorf("%s: %d, want %d", target, w.Code, status)
		}
	}
	if w := ask(h, "GET", "/console"); w.Header().Get("Location") != "console/" {
		t.Errorf("the way there is relative, for who comes through a proxy: %v", w.Header())
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if w := ask(h, method, "/console/"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

func TestConsole_IsSentPackedAndOnce(t *testing.T) {
	h := handler(t)
	plain := ask(h, "GET", "/console/")
	packed := ask(h, "GET", "/console/", "Accept-Encoding", "gzip, br")
	reader, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, plain.Body.Bytes()) || packed.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("packed it is something else: %v", err)
	}
	if w := ask(h, "GET", "/console/", "If-None-Match", plain.Header().Get("ETag")); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("who has it gets it again: %d", w.Code)
	}
	if w := ask(h, "HEAD", "/console/"); w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
}

// What the page takes over the wire, all together.
func TestConsole_IsSmall(t *testing.T) {
	const most = 150 << 10
	total := 0
	for name, f := range handler(t).files {
		n := len(f.plain)
		if f.packed != nil {
			n = len(f.packed)
		}
		t.Logf("%s: %d bytes", name, n)
		total += n
	}
	if total > most {
		t.Errorf("%d bytes, allowed are %d", total, most)
	}
}
