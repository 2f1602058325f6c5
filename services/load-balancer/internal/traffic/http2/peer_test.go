package http2

import (
	"bytes"
	"io"
	"net"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// peer speaks HTTP/2 frame by frame.
type peer struct {
	*h2.Framer
	t    *testing.T
	conn net.Conn
	head bytes.Buffer
	hpack.Encoder
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	t.Helper()
	p := &peer{t: t, conn: conn, Framer: h2.NewFramer(conn, conn)}
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.Encoder = *hpack.NewEncoder(&p.head)
	t.Cleanup(func() { _ = conn.Close() })
	return p
}

// client begins a connection to the front.
func (f *front) client(t *testing.T) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.must(io.WriteString(conn, h2.ClientPreface))
	p.try(p.WriteSettings())
	return p
}

func (p *peer) must(_ int, err error) { p.t.Helper(); p.try(err) }

func (p *peer) try(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// block encodes fields: name, value, name, value.
func (p *peer) block(fields ...string) []byte {
	p.t.Helper()
	p.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.try(p.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(p.head.Bytes())
}

// headers sends a head.
func (p *peer) headers(stream uint32, end bool, fields ...string) {
	p.t.Helper()
	p.try(p.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end}))
}

// request sends the head of a request.
func (p *peer) request(stream uint32, end bool, method, path string, more ...string) {
	p.t.Helper()
	p.headers(stream, end, append([]string{":method", method, ":scheme", "http", ":authority", "a.example", ":path", path}, more...)...)
}

// next is the next frame of a kind; others are passed over.
func next[F h2.Frame](p *peer) F {
	p.t.Helper()
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			p.t.Fatalf("%v, awaiting %T", err, *new(F))
		}
		if f, ok := frame.(F); ok {
			return f
		}
	}
}

// status is that of the next head.
func (p *peer) status() string {
	p.t.Helper()
	return next[*h2.MetaHeadersFrame](p).PseudoValue("status")
}

func field(f *h2.MetaHeadersFrame, name string) string {
	for _, h := range f.Fields {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// handler is the proxy's place.
type handler func(c proxy.Client, r *message.Request)

func (h handler) Serve(c proxy.Client, r *message.Request) { h(c, r) }

func (h handler) Malformed(c proxy.Client, _ *message.Request, err error) {
	reply(c, 400, err.Error())
}

func reply(c proxy.Client, status int, body string) {
	_ = c.Begin(&proxy.Head{Status: status, Length: int64(len(body)), Add: []message.Field{{Name: "X-Own", Value: "1"}}})
	if body != "" {
		n := copy(c.Space(), body)
		_ = c.Commit(n)
	}
	_ = c.End(nil)
}

func serve(t *testing.T, h handler) *front {
	t.Helper()
	return newFront(t, func(o *Options) { o.Handler = h })
}
