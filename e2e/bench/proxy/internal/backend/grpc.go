package backend

import (
	"context"
	"net"

	"golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/h2"
)

var (
	grpcHead     = h2.Encode(":status", "200", "content-type", "application/grpc")
	grpcTrailers = h2.Encode("grpc-status", "0", "grpc-message", "")
)

// StartGRPC answers every unary gRPC call, over HTTP/2 in clear, until ctx ends. It returns where it
// listens. Connections are counted by b.
func (b *Backend) StartGRPC(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.accepts.Add(1)
			go func() {
				_ = b.calls(c) // it ends with the connection
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String(), nil
}

func (b *Backend) calls(c net.Conn) error {
	h, err := h2.NewConn(c, false)
	if err != nil {
		return err
	}
	for {
		f, err := h.Next()
		if err != nil {
			return err
		}
		id, ended := f.Header().StreamID, f.Header().Flags.Has(http2.FlagDataEndStream)
		switch f.(type) {
		case *http2.DataFrame, *http2.HeadersFrame:
		default:
			ended = false
		}
		if !ended {
			continue
		}
		b.requests.Add(1)
		if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: grpcHead, EndHeaders: true}); err != nil {
			return err
		}
		err = h.Send(id, false, func() error {
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: grpcTrailers, EndHeaders: true, EndStream: true})
		})
		if err != nil {
			return err
		}
	}
}
