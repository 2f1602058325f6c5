package http2

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// Why pods get no PING: a gRPC server with its defaults, and a stream on which nothing moves, which is
// where a PING would tell something. The third one within five minutes too many ends all that is on the
// connection.
func TestGRPC_APodTakesPINGsIll(t *testing.T) {
	address, _, _ := grpcPod(t)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.must(io.WriteString(conn, h2.ClientPreface))
	p.try(p.WriteSettings())
	p.request(1, false, "POST", "/grpc.testing.TestService/FullDuplexCall", "content-type", "application/grpc", "te", "trailers")
	for i := range 4 {
		p.try(p.WritePing(false, [8]byte{byte(i)}))
	}
	if got := next[*h2.GoAwayFrame](p); got.ErrCode != h2.ErrCodeEnhanceYourCalm || string(got.DebugData()) != "too_many_pings" {
		t.Errorf("%v %q", got, got.DebugData())
	}
}

func TestSend_APodOnWhoseStreamNothingMovesGetsNoPING(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pings := make(chan int, 1)
		s := withPipes(t, func(p *peer) {
			n := 0
			defer func() { pings <- n }()
			for {
				frame, err := p.ReadFrame()
				if err != nil {
					return
				}
				switch f := frame.(type) {
				case *h2.MetaHeadersFrame:
					p.headers(f.StreamID, false, ":status", "200")
				case *h2.PingFrame:
					n++
				}
			}
		})
		r := order(newAsker(nil), "/")
		r.Silence = 0
		a, err := s.Send(proxy.Destination{Address: "10.0.0.1:80"}, r)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		s.Close()
		if n := <-pings; n != 0 {
			t.Errorf("there were %d", n)
		}
		a.Close()
	})
}

// net/http keeps the fields behind a request's body only where the head has announced some: others are
// dropped where they are read, before any handler could see them. This test fails when that changes.
func TestServer_TrailersThatWereNotAnnouncedAreDropped(t *testing.T) {
	for name, announced := range map[string][]string{"none were": nil, "others were": {"trailer", "x-sum"}} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, func(c proxy.Client, _ *message.Request) {
				body, err := io.ReadAll(c)
				if err != nil || string(body) != "body" {
					t.Errorf("%q, %v", body, err)
				}
				for _, field := range c.Trailer() {
					if field.Value != "" && field.Name != "X-Sum" {
						t.Errorf("the field %q", field.Name)
					}
				}
				reply(c, 200, "")
			})
			p := f.client(t)
			p.request(1, false, "POST", "/", announced...)
			p.try(p.WriteData(1, false, []byte("body")))
			p.headers(1, true, "x-sum", "42", "x-more", "1")
			if got := p.status(); got != "200" {
				t.Error(got)
			}
		})
	}
}
