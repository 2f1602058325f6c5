package upstream

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// outgoing is a request on its way to one pod.
type outgoing struct {
	*proxy.Request

	sending *sending // set while the body is sent beside the reading of the answer
}

func (r *outgoing) hasBody() bool { return r.Body != nil || len(r.Whole) > 0 }

func (r *outgoing) chunked() bool { return r.Body != nil && r.ContentLength < 0 }

// writeHead writes the request line and the header. Names and values were checked when they were
// read; a line break in one would still let a client forge lines, so it is refused here again.
func (r *outgoing) writeHead(w *bufio.Writer) error {
	if breaksLine(r.Method) || breaksLine(r.Target) || breaksLine(r.Host) {
		return fmt.Errorf("a line break in the request line or host of %q", r.Method)
	}
	_, _ = w.WriteString(r.Method)
	_ = w.WriteByte(' ')
	_, _ = w.WriteString(r.Target)
	_, _ = w.WriteString(" HTTP/1.1\r\nHost: ")
	_, _ = w.WriteString(r.Host)
	_, _ = w.WriteString("\r\n")
	for name, values := range r.Header {
		if framing(name) {
			continue
		}
		for _, value := range values {
			if breaksLine(name) || breaksLine(value) {
				return fmt.Errorf("a line break in the header %q", name)
			}
			writeLine(w, name, value)
		}
	}
	switch {
	case r.chunked():
		_, _ = w.WriteString("Transfer-Encoding: chunked\r\n")
	case r.hasBody():
		length := r.ContentLength
		if r.Body == nil {
			length = int64(len(r.Whole))
		}
		writeLine(w, "Content-Length", strconv.FormatInt(length, 10))
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		_, _ = w.WriteString("Content-Length: 0\r\n")
	}
	if r.chunked() && len(r.Trailer) > 0 {
		names := make([]string, 0, len(r.Trailer))
		for name := range r.Trailer {
			names = append(names, name)
		}
		writeLine(w, "Trailer", strings.Join(names, ", "))
	}
	if r.Expect && r.Body != nil {
		_, _ = w.WriteString("Expect: 100-continue\r\n")
	}
	if r.Upgrade != "" {
		writeLine(w, "Connection", "Upgrade")
		writeLine(w, "Upgrade", r.Upgrade)
	}
	_, err := w.WriteString("\r\n") // a bufio.Writer keeps its first error
	return err
}

// writeTrailer ends a chunked body.
func (r *outgoing) writeTrailer(w *bufio.Writer) error {
	_, _ = w.WriteString("0\r\n")
	for name, values := range r.Trailer {
		for _, value := range values {
			if !breaksLine(name) && !breaksLine(value) && !framing(name) {
				writeLine(w, name, value)
			}
		}
	}
	_, err := w.WriteString("\r\n")
	return err
}

func writeLine(w *bufio.Writer, name, value string) {
	_, _ = w.WriteString(name)
	_, _ = w.WriteString(": ")
	_, _ = w.WriteString(value)
	_, _ = w.WriteString("\r\n")
}

// framing tells whether the header is written from the request's own fields.
func framing(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Upgrade", "Expect":
		return true
	}
	return false
}

func breaksLine(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }
