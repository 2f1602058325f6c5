package proxy

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// What an application's answers are measured by, from the wire to the report.
func TestKind_SaysWhichTimeOfAnAnswerCounts(t *testing.T) {
	const late = 3 * time.Second
	head := "HTTP/1.1 200 OK\n"
	for name, c := range map[string]struct {
		request, head string
		parts         []part
		want          float64 // ms of the response time; 0 is none
	}{
		"one of a known length is whole at its end": {
			"GET /shop", head + "Content-Length: 10", []part{{text: "hello"}, {after: late, text: "hello"}}, 3000,
		},
		"one of a great length begins with its first byte": {
			"GET /shop", head + "Content-Length: 1000000000", []part{{text: "hello"}, {after: late, text: "hello"}}, 0.001,
		},
		"one without a length begins with its first byte": {
			"POST /shop", head + "Transfer-Encoding: chunked", []part{{text: "hello"}, {after: late, text: "hello"}}, 0.001,
		},
		"and that is the body's": {
			"POST /shop", head + "Content-Type: text/event-stream\nTransfer-Encoding: chunked", []part{{after: late, text: "data: x"}, {after: late, text: "data: y"}}, 3000,
		},
		"but a subscription begins with its head": {
			"GET /shop", head + "Content-Type: text/event-stream; charset=utf-8\nTransfer-Encoding: chunked", []part{{after: late, text: "data: x"}}, 0.001,
		},
		"an empty one ends without a byte": {
			"GET /shop", head + "Transfer-Encoding: chunked", []part{{after: late, err: io.EOF}}, 3000,
		},
		"no body is no stream": {
			"HEAD /shop", head + "Transfer-Encoding: chunked", nil, 0.001,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
					time.Sleep(time.Microsecond)
					return answers(r, c.head, c.parts...), nil
				}))
				u.ask(newClient(), c.request+" HTTP/1.1\nHost: a\nContent-Length: 0")
				_, traffic := u.d.Report()
				got := traffic[0].Times.Response()
				if c.want == 0 && got != nil || c.want > 0 && (got == nil || got.Count != 1 || got.SumMs < c.want || got.SumMs > c.want+0.01) {
					t.Errorf("counted %+v, want %v ms", got, c.want)
				}
			})
		})
	}
}

func TestKind_OfAClientThatLeftCountsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
			return answers(r, "HTTP/1.1 200 OK\nContent-Length: 10", part{text: "hello"}, part{after: time.Minute, text: "hello"}), nil
		}))
		c := newClient()
		c.spoil(errors.New("reset"), nil)
		u.ask(c, "GET /shop HTTP/1.1\nHost: a")
		if _, traffic := u.d.Report(); traffic[0].Times.Response() != nil || traffic[0].Requests != 1 || traffic[0].Failures != 0 {
			t.Errorf("reported %+v", traffic[0])
		}
	})
}
