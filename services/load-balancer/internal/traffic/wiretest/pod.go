package wiretest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// Pod runs a script on each connection to the address that it returns, and closes it after. The end
// of the test waits for the scripts.
func Pod(tb testing.TB, script func(c net.Conn, in *bufio.Reader)) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var scripts sync.WaitGroup
	tb.Cleanup(func() { _ = l.Close(); scripts.Wait() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			scripts.Go(func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(testwait.Deadline())
				script(c, bufio.NewReader(c))
			})
		}
	}()
	return l.Addr().String()
}

// ReadRequest reads a request to its end; nil when none came.
func ReadRequest(in *bufio.Reader) *http.Request {
	r, err := http.ReadRequest(in)
	if err != nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil
	}
	return r
}
