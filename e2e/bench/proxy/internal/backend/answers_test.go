package backend

import (
	"bytes"
	"strings"
	"testing"
)

func TestRead_FindsWhatIsAskedForAndTheBody(t *testing.T) {
	for _, c := range []struct {
		head string
		kind kind
		body int
	}{
		{"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 128\r\n\r\n", whole, 128},
		{"POST /bench/echo HTTP/1.1\r\nhost: a\r\ncontent-length:128\r\n\r\n", whole, 128},
		{"GET /bench/large HTTP/1.1\r\nHost: a\r\n\r\n", whole, 0},
		{"GET /bench/tokens HTTP/1.1\r\n\r\n", stream, 0},
		{"POST /hold HTTP/1.1\r\nContent-Length: 5\r\n\r\n", silent, 5},
		{"GET /ws HTTP/1.1\r\nSec-Websocket-Key: x\r\n\r\n", upgrade, 0},
		{"GET /other HTTP/1.1\r\nContent-Length: -5\r\n\r\n", unknown, 0},
		{"nothing\r\n\r\n", unknown, 0},
		{"\r\n\r\n", unknown, 0},
	} {
		a, body := read([]byte(c.head))
		if a.kind != c.kind || body != c.body {
			t.Errorf("%q: kind %v and a body of %d, want %v and %d", c.head, a.kind, body, c.kind, c.body)
		}
	}
}

func TestAccept_IsAsTheSpecificationShowsIt(t *testing.T) {
	if got := string(accept("dGhlIHNhbXBsZSBub25jZQ==")); !strings.Contains(got, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") {
		t.Errorf("%q", got)
	}
}

func TestAnswers_HaveTheSizesTheyClaim(t *testing.T) {
	for name, want := range map[string]int{"echo": Small, "large": Large} {
		_, body, _ := bytes.Cut(answers[name].bytes, []byte("\r\n\r\n"))
		if len(body) != want {
			t.Errorf("%s: %d bytes, want %d", name, len(body), want)
		}
	}
	if n := bytes.Count(longStream(), []byte("data: ")); n*block != Stream {
		t.Errorf("a stream has %d events", n)
	}
	if n := len(longMessages()); n != Stream {
		t.Errorf("messages have %d bytes, want %d", n, Stream)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("POST /echo HTTP/1.1\r\nContent-Length: 128\r\n\r\n"))
	f.Add([]byte("GET /ws\r\nsec-websocket-key\r\n:\r\n\r\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if _, body := read(head); body < 0 {
			t.Errorf("%q: a body of %d", head, body)
		}
	})
}
