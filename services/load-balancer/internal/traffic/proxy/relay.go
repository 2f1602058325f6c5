package proxy

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// bigBody is the length from which on a slow client is given a deadline for each part; a shorter
// one fits into the socket's buffer.
const bigBody = 64 << 10

// relay brings the answer to the client: the head, the body as it comes, the trailers.
func (x *exchange) relay() {
	x.visit.Answered(time.Now())
	if x.answer.Status == http.StatusSwitchingProtocols {
		x.tunnel()
		return
	}
	x.writeHead()
	err := x.copyBody()
	if err == nil {
		x.writeTrailers()
		return
	}
	x.fault, x.cut = err, true
}

func (x *exchange) writeHead() {
	head := x.answer.Header
	stripHopByHop(head)
	h := x.w.Header()
	maps.Copy(h, head)
	if _, ok := head["Content-Type"]; !ok {
		h["Content-Type"] = nil // the server must not guess
	}
	for name := range x.answer.Body.Trailer() {
		h.Add("Trailer", name)
	}
	if x.visit.Waited > 0 {
		h.Add("Server-Timing", fmt.Sprintf("wait;dur=%.1f", milliseconds(x.visit.Waited)))
	}
	x.status = x.answer.Status
	x.w.WriteHeader(x.status)
}

// streams tells whether each part must reach the client at once: when the length is not known, and
// for events.
func (x *exchange) streams() bool {
	return x.answer.ContentLength < 0 || strings.HasPrefix(x.answer.Header.Get("Content-Type"), "text/event-stream")
}

func (x *exchange) copyBody() error {
	buffer := copyBuffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer copyBuffers.Put(buffer)
	streams := x.streams()
	if streams && x.answer.Body.Buffered() == 0 {
		if err := x.flush(); err != nil { // the head alone, before the first part comes
			return err
		}
	}
	x.listen()
	slow := streams || x.answer.ContentLength > bigBody
	if slow {
		defer func() { _ = x.control.SetWriteDeadline(time.Time{}) }()
	}
	for {
		n, err := x.answer.Body.Read(*buffer)
		if n > 0 {
			if x.sent == 0 {
				x.first = time.Since(x.began)
			}
			if x.tap != nil {
				x.tap.Take((*buffer)[:n])
			}
			if slow {
				x.mark()
			}
			if _, err := x.w.Write((*buffer)[:n]); err != nil {
				return fmt.Errorf("write to the client: %w", err)
			}
			x.sent += int64(n)
			if streams && err == nil {
				if err := x.flush(); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			if x.ctx.Err() == nil {
				x.broken = true
				kind := "broke-off"
				if errors.Is(err, ErrSilent) {
					kind = "silent"
				}
				x.p.o.Metrics.failures.WithLabelValues(x.visit.App.ID.Namespace, x.visit.App.ID.Deployment, kind).Inc()
			}
			return fmt.Errorf("read from the pod: %w", err)
		}
	}
}

// mark notes a part on its way to the client, and gives the client time to take it. The system is
// asked only now and then: for each part it would cost as much as the part.
func (x *exchange) mark() {
	now := time.Now()
	x.visit.App.Touch(now)
	if idle := x.p.o.Limits.StreamIdle; now.Sub(x.lastMark) > idle/8 {
		x.lastMark = now
		_ = x.control.SetWriteDeadline(now.Add(idle))
	}
}

func (x *exchange) flush() error {
	if err := x.control.Flush(); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	return nil
}

// writeTrailers sends what came after the body. Names that were not announced need the prefix.
func (x *exchange) writeTrailers() {
	for name, values := range x.answer.Body.Trailer() {
		for _, value := range values {
			x.w.Header().Add(http.TrailerPrefix+name, value)
		}
	}
}
