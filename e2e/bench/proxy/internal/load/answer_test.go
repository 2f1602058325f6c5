package load

import (
	"strings"
	"testing"
)

const (
	small = "HTTP/1.1 200 OK\r\nServer: x\r\ncOnTent-length:  5\r\n\r\nhello"
	empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)

func TestAnswer_EndsWhereItsLengthSays(t *testing.T) {
	for _, text := range []string{small, empty} {
		for cut := 1; cut < len(text); cut++ {
			var a answer
			for range 2 { // one after the other on the same connection
				done, err := a.feed([]byte(text[:cut]))
				if done || err != nil {
					t.Fatalf("%q: done %v, %v", text[:cut], done, err)
				}
				if done, err = a.feed([]byte(text[cut:])); !done || err != nil {
					t.Fatalf("%q and %q: done %v, %v", text[:cut], text[cut:], done, err)
				}
			}
		}
	}
}

func TestAnswer_RefusesWhatCannotBeCounted(t *testing.T) {
	for name, text := range map[string]string{
		"another status":       "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
		"no length":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"an empty length":      "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
		"bytes after its end":  small + "x",
		"a head without end":   "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead),
		"what is no HTTP":      "hello\r\n\r\n",
		"length within a name": "HTTP/1.1 200 OK\r\nX-Content-Length: 0\r\n\r\n",
	} {
		var a answer
		if done, err := a.feed([]byte(text)); done || err == nil {
			t.Errorf("%s: done %v, no error", name, done)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(small), 3)
	f.Add([]byte(empty), 20)
	f.Add([]byte("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n"), 9)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		if len(p) == 0 || cut <= 0 || cut >= len(p) {
			return
		}
		var whole, parts answer
		done, err := whole.feed(p)
		first, err1 := parts.feed(p[:cut])
		if err1 != nil || first {
			return // it ended before the cut: what follows is another matter
		}
		second, err2 := parts.feed(p[cut:])
		if done != second || (err == nil) != (err2 == nil) {
			t.Errorf("%q: whole %v, %v; cut at %d %v, %v", p, done, err, cut, second, err2)
		}
	})
}

func TestArrivals_AreTheSameInEveryRunAndKeepTheRate(t *testing.T) {
	const n, rate = 100_000, 1000
	a, b := newArrivals(rate, 7), newArrivals(rate, 7)
	if a.next() != 7 {
		t.Errorf("the first is due at %v, want the beginning", a.next())
	}
	for range n {
		if x, y := a.take(), b.take(); x != y {
			t.Fatalf("%v and %v", x, y)
		}
	}
	if seconds := a.next().Seconds(); seconds < 0.98*n/rate || seconds > 1.02*n/rate {
		t.Errorf("%d arrivals in %v s, want about %d", n, seconds, n/rate)
	}
}
