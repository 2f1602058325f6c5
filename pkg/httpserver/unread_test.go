package httpserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"

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

// slowBody comes in parts, each after a while.
type slowBody struct {
	parts int
	every time.Duration
	size  int
	by    time.Time // the deadline
}

func (b *slowBody) Read(p []byte) (int, error) {
	wait := b.every
	late := time.Until(b.by) < wait
	if late {
		wait = time.Until(b.by)
	}
	time.Sleep(wait)
	switch {
	case late:
		return 0, os.ErrDeadlineExceeded
	case b.parts == 0:
		return 0, io.EOF
	}
	b.parts--
	return min(b.size, len(p)), nil
}

func (*slowBody) Close() error { return nil }

// timed is an answer whose connection has a deadline for reads.
type timed struct {
	http.ResponseWriter
	body *slowBody
}

func (w timed) SetReadDeadline(by time.Time) error {
	w.body.by = by
	return nil
}

func (timed) EnableFullDuplex() error { return nil }

func TestServer_ABodyKeepsItsReaderWaitingNoLongerThanItMay(t *testing.T) {
	for name, c := range map[string]struct {
		body *slowBody
		fits bool
		most time.Duration
	}{
		"none of it comes":            {&slowBody{parts: 1, every: time.Hour}, false, bodyPatience},
		"a byte every second":         {&slowBody{parts: 1000, every: time.Second, size: 1}, false, bodyPatience + time.Second},
		"just fast enough":            {&slowBody{parts: 100, every: time.Second, size: leastRate}, true, 102 * time.Second},
		"fast, with pauses":           {&slowBody{parts: 10, every: 9 * time.Second, size: 16 << 10}, true, 100 * time.Second},
		"fast, and then a long pause": {&slowBody{parts: 2, every: 11 * time.Second, size: 1 << 20}, false, bodyPatience},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var err error
			handler := answerUnread(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Minute) // in which nobody reads
				_, err = io.Copy(io.Discard, r.Body)
			}))
			handler.ServeHTTP(timed{httptest.NewRecorder(), c.body}, httptest.NewRequest(http.MethodPost, "/", c.body))
			if took := time.Since(began) - time.Minute; (err == nil) != c.fits || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || took > c.most {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			if c.fits && !c.body.by.IsZero() {
				t.Errorf("%s: the deadline outlasts it", name)
			}
		})
	}
}
