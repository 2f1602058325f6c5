package proxy_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

// forgetful is an access log that keeps nothing.
type forgetful struct{}

func (forgetful) Add(*accesslog.Record) {}

var _ proxy.AccessLog = forgetful{}

// bare is a pod that answers the same to each head, and takes nothing for it.
func bare(c net.Conn, in *bufio.Reader) {
	answer := []byte(okHello)
	for {
		body := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if string(line) == "Content-Length: 128\r\n" {
				body = 128
			}
			if len(line) <= 2 {
				break
			}
		}
		_, _ = in.Discard(body)
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// requestsOf are the requests whose cost is measured.
var requestsOf = map[string]string{
	"GET":  "GET /shop/1 HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n",
	"POST": "POST /shop/1 HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n" + strings.Repeat("x", 128),
}

// exchanging returns what one request over a kept connection is, without memory of its own.
func exchanging(tb testing.TB, text string) func() {
	tb.Helper()
	b := newBed(tb, pod(tb, bare), func(p *plan) { p.proxy.AccessLog = forgetful{} })
	w, request := b.dial(), []byte(text)
	tb.Cleanup(func() { _ = w.Close() })
	return func() {
		if _, err := w.Write(request); err != nil {
			tb.Fatal(err)
		}
		for {
			line, err := w.in.ReadSlice('\n')
			if err != nil {
				tb.Fatal(err)
			}
			if len(line) <= 2 {
				_, _ = w.in.Discard(5)
				return
			}
		}
	}
}

func TestExchange_TakesFiveAllocationsAtMost(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and empties pools at random")
	}
	for name, request := range requestsOf {
		do := exchanging(t, request)
		for range 100 { // until pools are filled
			do()
		}
		if n := testing.AllocsPerRun(2000, do); n > 5 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkExchange is a request through engine, proxy and sender over loopback, on kept connections.
func BenchmarkExchange(b *testing.B) {
	for name, request := range requestsOf {
		b.Run(name, func(b *testing.B) {
			do := exchanging(b, request)
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}

// A body that is sent beside the answer costs a goroutine and what goes with it, not memory of its
// size.
func BenchmarkUpload(b *testing.B) {
	const size = 1 << 20
	bed := newBed(b, pod(b, func(c net.Conn, in *bufio.Reader) {
		for wiretest.ReadRequest(in) != nil {
			_, _ = io.WriteString(c, okHello)
		}
	}), func(p *plan) { p.proxy.AccessLog = forgetful{} })
	w, request := bed.dial(), []byte("PUT /shop HTTP/1.1\r\nHost: a\r\nContent-Length: "+itoa(size)+"\r\n\r\n"+strings.Repeat("x", size))
	defer func() { _ = w.Close() }()
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Write(request); err != nil {
			b.Fatal(err)
		}
		w.whole()
	}
}
