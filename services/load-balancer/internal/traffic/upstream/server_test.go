package upstream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// rawServer runs script on each connection, which is closed after.
func rawServer(t *testing.T, script func(c net.Conn, in *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				script(c, bufio.NewReader(c))
			}()
		}
	}()
	return l.Addr().String()
}

// says reads one request and answers with these bytes.
func says(t *testing.T, answer string) string {
	t.Helper()
	return rawServer(t, func(c net.Conn, in *bufio.Reader) {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, answer)
	})
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

func get(path string) *proxy.Request {
	return &proxy.Request{Method: http.MethodGet, Target: path, Host: "app.example", Header: http.Header{}}
}

func post(body io.Reader, length int64) *proxy.Request {
	return &proxy.Request{Method: http.MethodPost, Target: "/", Host: "app.example", Header: http.Header{}, Body: body, ContentLength: length}
}

// read reads the answer to its end and closes it.
func read(t *testing.T, a *proxy.Answer) string {
	t.Helper()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	return string(text)
}

func do(t *testing.T, c *Client, address string, r *proxy.Request) *proxy.Answer {
	t.Helper()
	a, err := c.Do(t.Context(), address, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// idle is how many connections the client keeps.
func (c *Client) idle() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, p := range c.pools {
		n += len(p.idle)
	}
	return n
}

const okHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

func headLines(in *bufio.Reader) []string {
	var lines []string
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if err != nil || line == "" {
			return lines
		}
		lines = append(lines, line)
	}
}
