package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/h2"
)

// Calls is how many calls are under way on each connection.
const Calls = 8

var callHead = h2.Encode(":method", "POST", ":scheme", "http", ":path", Service+"/Say", ":authority", Host,
	"content-type", "application/grpc", "te", "trailers", "user-agent", "bench/1.0")

// GRPC has unary calls over HTTP/2 in clear, Calls at a time on each connection.
func GRPC(ctx context.Context, p Plan) (Result, error) {
	if err := p.validate(); err != nil {
		return Result{}, err
	}
	records := make([]record, p.Connections)
	workers := make([]worker, p.Connections)
	for i := range workers {
		c, err := (&net.Dialer{Timeout: silence}).DialContext(ctx, "tcp", p.Addr.String())
		if err != nil {
			return Result{}, err
		}
		defer func() { _ = c.Close() }()
		workers[i] = func(at *phase) error { return calls(c, at, &records[i]) }
	}
	took, err := parallel(ctx, p, workers)
	return join(records, took), err
}

// caller is one connection.
type caller struct {
	conn *h2.Conn
	next uint32
	due  map[uint32]time.Duration // of calls under way
}

func calls(c net.Conn, at *phase, r *record) error {
	h, err := h2.NewConn(c, true)
	if err != nil {
		return err
	}
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	cl := &caller{conn: h, next: 1, due: map[uint32]time.Duration{}}
	for range Calls {
		if err := cl.call(); err != nil {
			return err
		}
	}
	for !at.over.Load() {
		if err := c.SetDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		f, err := h.Next()
		if err != nil {
			return err
		}
		id, err := ended(f)
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		r.add(at, cl.due[id])
		delete(cl.due, id)
		if err := cl.call(); err != nil {
			return err
		}
	}
	return nil
}

func (c *caller) call() error {
	id := c.next
	c.next += 2
	c.due[id] = backend.Now()
	if err := c.conn.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: callHead, EndHeaders: true}); err != nil {
		return err
	}
	return c.conn.Send(id, true, nil)
}

// ended is the stream that the frame ends well, or 0.
func ended(f http2.Frame) (uint32, error) {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		if status := f.PseudoValue("status"); status != "" && status != "200" {
			return 0, errors.New("the call was answered with " + status)
		}
		for _, field := range f.RegularFields() {
			if field.Name == "grpc-status" && field.Value != "0" {
				return 0, errors.New("the call ended with grpc-status " + field.Value)
			}
		}
		if f.StreamEnded() {
			return f.StreamID, nil
		}
	case *http2.RSTStreamFrame:
		return 0, fmt.Errorf("a call was reset: %v", f.ErrCode)
	case *http2.GoAwayFrame:
		return 0, fmt.Errorf("the proxy ends the connection: %v", f.ErrCode)
	case *http2.DataFrame:
		if f.StreamEnded() {
			return 0, errors.New("a call ended without trailers")
		}
	}
	return 0, nil
}
