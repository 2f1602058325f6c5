package http2

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// parts are pieces of memory for what is written next.
var parts = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// Inform writes an informational answer.
func (st *stream) Inform(h *message.Response) error {
	if st.begun {
		return nil
	}
	into := st.w.Header()
	header(into, h.Fields, nil)
	err := st.write(func() error { st.w.WriteHeader(h.Status); return nil })
	clear(into)
	return err
}

// Begin puts the head of the answer into the buffer.
func (st *stream) Begin(h *proxy.Head) error {
	if st.begun {
		return errBegun
	}
	st.begun = true
	into := st.w.Header()
	header(into, h.Fields, h.Add)
	if _, ok := into["Content-Type"]; !ok {
		into["Content-Type"] = nil // net/http must not guess
	}
	if !h.Bodiless && h.Length >= 0 {
		into["Content-Length"] = []string{strconv.FormatInt(h.Length, 10)}
	}
	if st.s.draining.Load() || st.conn.Limit > 0 {
		into["Connection"] = []string{"close"} // GOAWAY, in net/http's words
	}
	st.w.WriteHeader(h.Status)
	return nil
}

// Space is where the next part of the body may be put.
func (st *stream) Space() []byte {
	if st.part == nil {
		st.part = parts.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	}
	return *st.part
}

// Commit says how much of the space was used.
func (st *stream) Commit(n int) error {
	part := st.part
	st.part = nil
	defer parts.Put(part)
	if n == 0 {
		return nil
	}
	return st.write(func() error {
		_, err := st.w.Write((*part)[:n])
		return err
	})
}

// Flush sends what is in the buffer.
func (st *stream) Flush() error {
	if !st.begun {
		return nil // net/http would begin the answer
	}
	return st.write(st.w.(interface{ FlushError() error }).FlushError) //nolint:forcetypeassert // net/http's HTTP/2 has it
}

// End ends the answer: it is sent when the handler returns.
func (st *stream) End(trailer message.Fields) error {
	into := st.w.Header()
	for i := range trailer {
		if f := &trailer[i]; !f.Dropped {
			name := http.TrailerPrefix + http.CanonicalHeaderKey(f.Name)
			into[name] = append(into[name], f.Value)
		}
	}
	st.ended = true
	return nil
}

// write calls what may wait for the client, and has it end when the client takes nothing for too
// long. net/http's own deadline would run on while nothing is written.
func (st *stream) write(what func() error) error {
	st.writing.Store(time.Now().UnixNano())
	defer st.writing.Store(0)
	if st.slow == nil {
		st.mu.Lock()
		st.slow = time.AfterFunc(st.s.o.WriteIdle, st.lookIfSlow)
		st.mu.Unlock()
	}
	return what()
}

// lookIfSlow ends the stream when one write has lasted too long; else it looks again later.
func (st *stream) lookIfSlow() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over {
		return
	}
	idle, next := st.s.o.WriteIdle, st.s.o.WriteIdle
	if since := st.writing.Load(); since != 0 {
		if next = idle - time.Since(time.Unix(0, since)); next <= 0 {
			_ = http.NewResponseController(st.w).SetWriteDeadline(time.Unix(1, 0))
			return
		}
	}
	st.slow.Reset(next)
}
