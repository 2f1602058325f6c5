package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// BenchmarkProxy is a request through the whole load balancer over loopback, on kept-alive
// connections. Client and pod are as bare as can be, so that what is measured is the balancer: its
// time, and nearly all of the allocations.
func BenchmarkProxy(b *testing.B) {
	for name, request := range map[string]string{
		"GET":  "GET /app/1 HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n",
		"POST": "POST /app/1 HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n" + strings.Repeat("x", 128),
	} {
		b.Run(name, func(b *testing.B) {
			address := benchBalancer(b, barePod(b))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c, err := net.Dial("tcp", address)
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = c.Close() }()
				in := bufio.NewReader(c)
				for pb.Next() {
					if _, err := io.WriteString(c, request); err != nil {
						b.Error(err)
						return
					}
					if status := skipAnswer(in); !strings.HasPrefix(status, "HTTP/1.1 200") {
						b.Errorf("status line %q", status)
						return
					}
				}
			})
		})
	}
}

const bareAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

// skipAnswer reads a head and its five bytes of body, and returns the status line.
func skipAnswer(in *bufio.Reader) string {
	var status string
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err.Error()
		}
		if status == "" {
			status = string(line)
		}
		if len(line) <= 2 {
			_, _ = in.Discard(5)
			return status
		}
	}
}

// barePod answers every request head, and a body of 128 bytes, with the same bytes.
func barePod(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				in := bufio.NewReader(c)
				for {
					body := 0
					for {
						line, err := in.ReadSlice('\n')
						if err != nil {
							return
						}
						if strings.HasPrefix(string(line), "Content-Length: 128") {
							body = 128
						}
						if len(line) <= 2 {
							break
						}
					}
					_, _ = in.Discard(body)
					if _, err := io.WriteString(c, bareAnswer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// benchBalancer runs a load balancer before one pod, and returns where clients come.
func benchBalancer(tb testing.TB, podAddress string, change ...func(*app.Settings)) string {
	tb.Helper()
	controller := &fakeController{changed: make(chan struct{}), epoch: "b", routes: map[autoscaler.ApplicationKey]autoscaler.Route{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := &http.Server{Handler: autoscaler.HandlerWithOptions(autoscaler.NewStrictHandler(controller, nil), autoscaler.ChiServerOptions{})}
	go func() { _ = server.Serve(l) }()
	tb.Cleanup(func() { _ = server.Close() })
	awake(controller, "app", "/app", podAddress)

	s, err := app.Load([]string{
		"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-controller-url", fmt.Sprintf("http://%s", l.Addr()), "-lame-duck", "0s",
		"-log-spool-dir", tb.TempDir(), "-authentication", "optional",
	}, nil, io.Discard)
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range change {
		c(&s)
	}
	s.Encryption.ClearText = true
	a, err := app.New(tb.Context(), s, io.Discard)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	for {
		r, err := http.Get("http://" + a.AdminAddr().String() + "/readyz")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return a.DataAddr().String()
			}
		}
	}
}
