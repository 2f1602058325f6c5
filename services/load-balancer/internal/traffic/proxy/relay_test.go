package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// saying is a sender whose pod answers so.
func saying(head string, parts ...part) sends {
	return func(_ Destination, r *Outgoing) (Answer, error) { return answers(r, head, bytesOf(parts)...), nil }
}

func bytesOf(parts []part) []part { return append([]part(nil), parts...) }

func TestRelay_HeadsOfEveryShape(t *testing.T) {
	for name, test := range map[string]struct {
		method, head string
		want         Head
		fields       []string
		body         string
	}{
		"with a length":           {"GET", "HTTP/1.1 200 OK\nX-B: 2\nx-a: 1\nContent-Length: 5", Head{Status: 200, Reason: "OK", Length: 5}, []string{"X-B: 2", "x-a: 1"}, "hello"},
		"in chunks":               {"GET", "HTTP/1.1 200 Fine\nTransfer-Encoding: chunked", Head{Status: 200, Reason: "Fine", Length: -1}, nil, "hello"},
		"to the end":              {"GET", "HTTP/1.1 200 OK", Head{Status: 200, Reason: "OK", Length: -1}, nil, "hello"},
		"without a reason":        {"GET", "HTTP/1.1 200\nContent-Length: 5", Head{Status: 200, Length: 5}, nil, "hello"},
		"one connection's":        {"GET", "HTTP/1.1 200 OK\nConnection: X-Secret, close\nX-Secret: 1\nKeep-Alive: timeout=5\nProxy-Authenticate: x\nUpgrade: h2\nX-Kept: yes\nContent-Length: 5", Head{Status: 200, Reason: "OK", Length: 5}, []string{"X-Kept: yes"}, "hello"},
		"many cookies":            {"GET", "HTTP/1.1 200 OK\nSet-Cookie: a=1\nSet-Cookie: b=2\nContent-Length: 5", Head{Status: 200, Reason: "OK", Length: 5}, []string{"Set-Cookie: a=1", "Set-Cookie: b=2"}, "hello"},
		"HEAD":                    {"HEAD", "HTTP/1.1 200 OK\nContent-Length: 5", Head{Status: 200, Reason: "OK", Bodiless: true}, []string{"Content-Length: 5"}, ""},
		"HEAD of what has none":   {"HEAD", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked", Head{Status: 200, Reason: "OK", Bodiless: true}, nil, ""},
		"no content":              {"GET", "HTTP/1.1 204 No Content", Head{Status: 204, Reason: "No Content", Bodiless: true}, nil, ""},
		"no content of a length":  {"GET", "HTTP/1.1 204 No Content\nContent-Length: 5", Head{Status: 204, Reason: "No Content", Bodiless: true}, nil, ""},
		"not modified":            {"GET", "HTTP/1.1 304 Not Modified\nETag: x\nContent-Length: 5", Head{Status: 304, Reason: "Not Modified", Bodiless: true}, []string{"ETag: x", "Content-Length: 5"}, ""},
		"an error":                {"GET", "HTTP/1.1 599 Odd\nContent-Length: 5", Head{Status: 599, Reason: "Odd", Length: 5}, nil, "hello"},
		"announced trailers":      {"GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTrailer: X-Sum", Head{Status: 200, Reason: "OK", Length: -1}, []string{"Trailer: X-Sum"}, "hello"},
		"trailers that cannot be": {"GET", "HTTP/1.1 200 OK\nContent-Length: 5\nTrailer: X-Sum", Head{Status: 200, Reason: "OK", Length: 5}, nil, "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			var parts []part
			if test.body != "" {
				parts = []part{{text: test.body}}
			}
			u, c := newUnit(t, saying(test.head, parts...)), newClient()
			r := u.ask(c, test.method+" /shop HTTP/1.1\nHost: a")
			got := c.head
			if got.Status != test.want.Status || got.Reason != test.want.Reason || got.Length != test.want.Length || got.Bodiless != test.want.Bodiless || got.Close {
				t.Errorf("head %+v", got)
			}
			equal(t, "fields", c.fields, test.fields)
			if string(c.body) != test.body || !c.ended || r.Status != test.want.Status || r.ResponseBytes != int64(len(test.body)) || r.Error != "" {
				t.Errorf("body %q, ended %v; the log has %+v", c.body, c.ended, r)
			}
		})
	}
}

func TestRelay_TrailersFollowTheBody(t *testing.T) {
	c := newClient()
	newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		a := answers(r, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked", part{text: "hello"})
		a.trailer = message.Fields{{Name: "X-Sum", Value: "42"}, {Name: "Authorization", Value: "x", Dropped: true}}
		return a, nil
	})).ask(c, "GET /shop HTTP/1.1\nHost: a")
	equal(t, "trailers", c.trailers, []string{"X-Sum: 42"})
}

// What has come is with the client before the next part is waited for.
func TestRelay_PassesOnWhatComesAtOnce(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 200 OK\nTransfer-Encoding: chunked", "HTTP/1.1 200 OK\nContent-Length: 6", "HTTP/1.1 200 OK\nContent-Type: text/event-stream"} {
		synctest.Test(t, func(t *testing.T) {
			var seen []string
			began := time.Now()
			c := newClient()
			c.spaces = 1 << 10
			c.onFlush = func(c *client) { seen = append(seen, fmt.Sprint(time.Since(began), " ", c.head.Status, c.flushed)) }
			u := newUnit(t, saying(head, part{after: 20 * time.Second, text: "a"}, part{after: 30 * time.Second, text: "b"}, part{text: "c"}, part{after: 10 * time.Second, text: "def"}))
			r := u.ask(c, "GET /shop HTTP/1.1\nHost: a")
			equal(t, head, seen, []string{"0s 200", "20s 200a", "50s 200abc", "1m0s 200abcdef"})
			if r.FirstByte != 20*time.Second || r.Took != time.Minute || r.Upstream != time.Minute {
				t.Errorf("first byte after %v of %v", r.FirstByte, r.Took)
			}
		})
	}
}

func TestRelay_WhatTheAnswerWasCutBy(t *testing.T) {
	for name, test := range map[string]struct {
		parts      []part
		onFlush    func(*client)
		kind       string
		body, says string
	}{
		"before its first byte": {[]part{{after: time.Second, err: io.ErrUnexpectedEOF}}, nil, "broke-off", "", "unexpected EOF"},
		"within":                {[]part{{text: "he"}, {after: time.Second, err: io.ErrUnexpectedEOF}}, nil, "broke-off", "he", "unexpected EOF"},
		"with its last bytes":   {[]part{{text: "he", err: io.ErrUnexpectedEOF}}, nil, "broke-off", "he", "unexpected EOF"},
		"silence":               {[]part{{text: "he"}, {after: time.Second, err: fmt.Errorf("%w: 1s", ErrSilent)}}, nil, "silent", "he", "silent for too long"},
		"the client's body":     {[]part{{text: "he"}, {after: time.Second, err: &BodyError{io.ErrUnexpectedEOF}}}, nil, "", "he", "the request's body"},
		"a fault of ours":       {[]part{{text: "he"}, {after: time.Second, err: &FaultError{Fault: "ouch"}}}, nil, "", "he", "a fault in the load balancer"},
		"the client":            {[]part{{text: "he"}, {after: time.Second, err: errors.New("closed")}}, (*client).Cancel, "", "he", "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient()
				c.onFlush = test.onFlush
				u := newUnit(t, saying("HTTP/1.1 200 OK\nContent-Length: 5", test.parts...))
				r := u.ask(c, "GET /shop HTTP/1.1\nHost: a")
				if c.head.Status != 200 || string(c.body) != test.body || c.flushed != test.body || c.ended {
					t.Errorf("%+v %q, of which %q was sent, ended %v", c.head, c.body, c.flushed, c.ended)
				}
				if r.Status != 200 || r.Refusal != "" || !strings.Contains(r.Error, test.says) || r.ResponseBytes != int64(len(test.body)) {
					t.Errorf("the log has %+v", r)
				}
				for _, kind := range []string{"broke-off", "silent"} {
					if got := u.failed(kind); got != btoi(kind == test.kind) {
						t.Errorf("%s was counted %d times", kind, got)
					}
				}
				if u.faults() != btoi(name == "a fault of ours") {
					t.Errorf("%d faults", u.faults())
				}
				_, traffic := u.d.Report()
				if failures := traffic[0].Failures; failures != int64(btoi(test.kind != "")) {
					t.Errorf("%d failures are reported", failures)
				}
			})
		})
	}
}

func TestRelay_AClientThatTakesNothingEndsTheAnswer(t *testing.T) {
	closed := false
	u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		a := answers(r, "HTTP/1.1 200 OK\nContent-Length: 5", part{text: "hello"})
		a.onClose = func() { closed = true }
		return a, nil
	}))
	c := newClient()
	c.fails = errors.New("reset")
	if r := u.ask(c, "GET /shop HTTP/1.1\nHost: a"); !strings.Contains(r.Error, "write to the client: reset") || !closed || u.failed("broke-off") != 0 {
		t.Errorf("closed %v; the log has %+v", closed, r)
	}
}

func TestRelay_AnEarlyAnswerClosesTheConnection(t *testing.T) {
	c := newClient(part{text: "x"}, part{after: time.Hour})
	u := newUnit(t, saying("HTTP/1.1 401 Unauthorized\nContent-Length: 2", part{text: "no"}))
	synctest.Test(t, func(t *testing.T) {
		c.stopped, c.gone = make(chan struct{}), make(chan struct{})
		if r := u.ask(c, "POST /shop HTTP/1.1\nHost: a\nTransfer-Encoding: chunked"); !c.head.Close || c.head.Status != 401 || string(c.body) != "no" || !c.ended || r.RequestBytes != 1 {
			t.Errorf("%+v %q; the log has %+v", c.head, c.body, r)
		}
	})
}

func TestTap_TakesWhatALanguageModelSaysOfItself(t *testing.T) {
	const answer = `{"model":"llama","usage":{"prompt_tokens":3,"completion_tokens":4}}`
	facts := genai.Facts{Model: "llama", InputTokens: 3, OutputTokens: 4}
	type call struct {
		method, head, body string
		want               genai.Facts
	}
	calls := []call{
		{"POST", "200 OK\nContent-Type: application/json", answer, facts},
		{"POST", "200 OK\nContent-Type: application/json", "{}", genai.Facts{}},
		{"POST", "200 OK\nContent-Type: text/event-stream", answer, facts},
		{"POST", "200 OK\nContent-Type: application/x-ndjson", answer, facts},
		{"POST", "200 OK\nContent-Type: application/json\nContent-Encoding: identity", answer, facts},
		{"POST", "200 OK\nContent-Type: text/plain", answer, genai.Facts{}},
		{"GET", "200 OK\nContent-Type: application/json", answer, genai.Facts{}},
		{"POST", "200 OK\nContent-Type: application/json\nContent-Encoding: gzip", answer, genai.Facts{}},
		{"POST", "500 Internal Server Error\nContent-Type: application/json", answer, genai.Facts{}},
	}
	for range 20 { // taps are used again: one answer's facts are none of the next one's
		calls = append(calls, calls[:2]...)
	}
	for _, call := range calls {
		u, c := newUnit(t, saying("HTTP/1.1 "+call.head+"\nContent-Length: "+strconv.Itoa(len(call.body)), part{text: call.body})), newClient()
		if r := u.ask(c, call.method+" /shop/chat HTTP/1.1\nHost: a"); r.GenAI != call.want || string(c.body) != call.body {
			t.Errorf("%s %s: %+v, the client got %s", call.method, call.head, r.GenAI, c.body)
		}
	}
}

// endless is an answer of n parts.
type endless struct {
	reply
	part []byte
	n    int
}

func (a *endless) Buffered() int { return len(a.part) }

func (a *endless) Read(p []byte) (int, error) {
	if a.n == 0 {
		return 0, io.EOF
	}
	a.n--
	return copy(p, a.part), nil
}

// nowhere is a client that takes everything at once.
type nowhere struct{ *client }

func (nowhere) Commit(int) error { return nil }

// BenchmarkCopyBody is what a part of an answer costs on its way, without the connections: with a
// tap for a language model's and without. The difference is what the tap costs.
func BenchmarkCopyBody(b *testing.B) {
	for _, size := range []int{200, 32 << 10} {
		for name, contentType := range map[string]string{"no tap": "text/plain", "tap": "application/json"} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				u, c := newUnit(b, nil), newClient()
				c.spaces = size
				head := &message.Response{Status: 200, Fields: message.Fields{{Name: "Content-Type", Value: contentType, Known: message.ContentType}}}
				x := &exchange{p: u.Proxy, c: nowhere{c}, r: request(b, "POST /shop HTTP/1.1\nHost: a")}
				x.visit.App = &dispatch.Application{}
				x.answer = &endless{part: bytes.Repeat([]byte("x"), size), n: b.N}
				x.tapIfTelling(head)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				if err := x.copyBody(); err != nil {
					b.Fatal(err)
				}
				if (x.tap != nil) != (name == "tap") {
					b.Fatal("the wrong one passed a tap")
				}
			})
		}
	}
}
