package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// parts is an answer of n parts.
type parts struct {
	AnswerBody
	part []byte
	n    int
}

func (p *parts) Buffered() int { return 0 }

func (p *parts) Read(into []byte) (int, error) {
	if p.n == 0 {
		return 0, io.EOF
	}
	p.n--
	return copy(into, p.part), nil
}

// nowhere is a client that takes everything at once.
type nowhere struct{ http.ResponseWriter }

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) FlushError() error           { return nil }

// BenchmarkCopyBody is what a part of an answer costs on its way, without the connections: with a
// tap for a language model's and without. The difference is what listening costs.
func BenchmarkCopyBody(b *testing.B) {
	for _, size := range []int{200, 32 << 10} {
		for name, contentType := range map[string]string{"no tap": "text/plain", "tap": "application/json"} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				x := exchangeOf(b, httptest.NewRequest(http.MethodPost, "/", nil))
				x.w = nowhere{x.w}
				x.control = http.NewResponseController(x.w)
				x.p.o.Limits.StreamIdle = time.Minute
				x.visit.App = &dispatch.Application{}
				body := &parts{part: bytes.Repeat([]byte("x"), size), n: b.N}
				x.answer = &Answer{Status: 200, ContentLength: -1, Header: http.Header{"Content-Type": {contentType}}, Body: body}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				if err := x.copyBody(); err != nil {
					b.Fatal(err)
				}
				if (x.tap != nil) != (name == "tap") {
					b.Fatal("listened to the wrong one")
				}
			})
		}
	}
}
