package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

// A client that goes has the pod's connection closed at once, and nothing of its exchange is left,
// whatever was going on, and however it goes.
func TestLeave_EndsTheExchangeInEachPhase(t *testing.T) {
	const get, head = "GET /shop HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n"
	// until reads what the client sends until it has gone.
	until := func(closed chan<- struct{}, in *bufio.Reader) {
		_, _ = io.Copy(io.Discard, in)
		close(closed)
	}
	large := strings.Repeat("x", 8<<20)
	for name, test := range map[string]struct {
		says   string
		do     func(reached, closed chan<- struct{}) script // what the pod does; nil: it gets nothing
		before func(w *wire)                                // what the client does before it goes
		asleep bool
	}{
		"within the head":                      {"GET /shop HTTP/1.1\r\nHo", nil, nil, false},
		"while its body is read":               {"POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello", nil, nil, false},
		"while it waits":                       {get, nil, nil, true},
		"while it waits, with its body unread": {"POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000), nil, nil, true},
		"before the head": {get, func(reached, closed chan<- struct{}) script {
			return func(_ net.Conn, in *bufio.Reader) {
				_ = wiretest.ReadRequest(in)
				close(reached)
				until(closed, in)
			}
		}, nil, false},
		"before the head, after a body": {"POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", func(reached, closed chan<- struct{}) script {
			return func(_ net.Conn, in *bufio.Reader) {
				_ = wiretest.ReadRequest(in)
				close(reached)
				until(closed, in)
			}
		}, nil, false},
		"while its body goes up": {"POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 100000), func(reached, closed chan<- struct{}) script {
			return func(_ net.Conn, in *bufio.Reader) {
				_, _ = io.CopyN(io.Discard, in, 100000)
				close(reached)
				until(closed, in)
			}
		}, nil, false},
		"while its chunks go up": {"POST /shop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat("x", 0x11170) + "\r\n5\r\nhe", func(reached, closed chan<- struct{}) script {
			return func(_ net.Conn, in *bufio.Reader) {
				_, _ = io.CopyN(io.Discard, in, 0x11170)
				close(reached)
				until(closed, in)
			}
		}, nil, false},
		"after the head": {get, func(reached, closed chan<- struct{}) script {
			return func(c net.Conn, in *bufio.Reader) {
				_ = wiretest.ReadRequest(in)
				_, _ = io.WriteString(c, head+"Content-Length: 5\r\n\r\n")
				close(reached)
				until(closed, in)
			}
		}, func(w *wire) { w.read(head) }, false},
		"within the answer": {get, func(reached, closed chan<- struct{}) script {
			return func(c net.Conn, in *bufio.Reader) {
				_ = wiretest.ReadRequest(in)
				_, _ = io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")
				close(reached)
				until(closed, in)
			}
		}, func(w *wire) { w.read(head) }, false},
		"that it does not read": {get, func(reached, closed chan<- struct{}) script {
			return func(c net.Conn, in *bufio.Reader) {
				_ = wiretest.ReadRequest(in)
				close(reached)
				for { // more than all buffers hold
					if _, err := io.WriteString(c, head+"Content-Length: 9999999999\r\n\r\n"+large); err != nil {
						close(closed)
						return
					}
				}
			}
		}, func(w *wire) { w.read(head) }, false},
		"within an early answer": {"POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 70000), func(reached, closed chan<- struct{}) script {
			return func(c net.Conn, in *bufio.Reader) {
				_, _ = io.WriteString(c, head+"\r\nhe")
				close(reached)
				until(closed, in)
			}
		}, func(w *wire) { w.read(head) }, false},
		"out of a tunnel": {"GET /shop HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", func(reached, closed chan<- struct{}) script {
			return func(c net.Conn, in *bufio.Reader) {
				_ = wiretest.ReadRequest(in)
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
				close(reached)
				until(closed, in)
			}
		}, func(w *wire) { w.read("HTTP/1.1 101") }, false},
	} {
		for how, leave := range map[string]func(w *wire){"closes": func(w *wire) { _ = w.Close() }, "resets": (*wire).reset} {
			t.Run(name+" "+how, func(t *testing.T) {
				reached, closed := make(chan struct{}), make(chan struct{})
				do := func(net.Conn, *bufio.Reader) { t.Error("the pod was reached") }
				if test.do != nil {
					do = test.do(reached, closed)
				}
				b := newBed(t, pod(t, do), func(p *plan) { p.asleep = test.asleep })
				w := b.dial().say(test.says)
				if test.do != nil {
					b.do("the pod to be reached", reached)
				}
				if test.asleep {
					for b.d.Snapshots()[0].Waiting == 0 { // until it waits
						continue
					}
				}
				if test.before != nil {
					test.before(w)
				}
				leave(w)
				if test.do != nil {
					b.do("the pod's connection to be closed", closed)
				}
				if name == "within the head" {
					return // there was no request
				}
				if r := b.settled(); r.Error == "" && name != "out of a tunnel" || len(b.d.Snapshots()[0].Pods) > 0 && !b.d.Snapshots()[0].Pods[0].Usable {
					t.Errorf("the log has %+v", r)
				}
			})
		}
	}
}

func TestLeave_WhileAConnectionIsMade(t *testing.T) {
	given := make(chan struct{})
	b := newBed(t, "10.0.0.1:80", func(p *plan) {
		p.upstream.DialTimeout = patience
		p.upstream.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			close(given)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	w := b.dial().say("GET /shop HTTP/1.1\r\nHost: a\r\n\r\n")
	b.do("a connection to be made", given)
	_ = w.Close()
	if r := b.settled(); r.Status != 0 || !b.d.Snapshots()[0].Pods[0].Usable {
		t.Errorf("the log has %+v", r)
	}
}
