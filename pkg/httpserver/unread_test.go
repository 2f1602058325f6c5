package httpserver

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// answered asks a server that reads bodies only under /read, and returns the answer and whether the
// connection ended behind it.
func answered(t *testing.T, request string) (*http.Response, bool) {
	t.Helper()
	s, err := Listen(t.Context(), Options{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/read" {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		_, _ = io.WriteString(w, "ok")
	})})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.http.Serve(s.listener) }()
	t.Cleanup(func() { _ = s.http.Close() })
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(testwait.Deadline())
	fmt.Fprint(c, request)
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "ok" {
		t.Fatalf("%q, %v", body, err)
	}
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	_, err = in.ReadByte()
	return r, err != nil
}

func TestServer_AnswersBeforeABodyThatNobodyReadsAndCloses(t *testing.T) {
	for _, framing := range []string{"Content-Length: 10\r\n\r\n", "Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n2\r\nha"} {
		r, ended := answered(t, "POST /skip HTTP/1.1\r\nHost: x\r\n"+framing)
		if !r.Close || !ended {
			t.Errorf("%q: close announced %v, done %v", framing, r.Close, ended)
		}
	}
}

func TestServer_KeepsAConnectionWhoseBodyWasRead(t *testing.T) {
	for _, request := range []string{
		"GET /read HTTP/1.1\r\nHost: x\r\n\r\n", "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
		"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "GET /skip HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		if r, ended := answered(t, request); r.Close || ended {
			t.Errorf("%q: close announced %v, done %v", request, r.Close, ended)
		}
	}
}
