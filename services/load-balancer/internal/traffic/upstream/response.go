package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

var _ proxy.AnswerBody = (*response)(nil)

// maxInformational bounds the 1xx answers before the real one.
const maxInformational = 32

// response is the answer of a pod, and gives its body as it comes.
type response struct {
	client    *Client
	conn      *conn
	request   *outgoing
	answer    *http.Response
	stop      func() bool // ends the watch over the context
	keep      bool        // the pod keeps the connection
	ended     bool        // the body was read to its end
	deadline  time.Time   // of the connection's reads
	closeOnce sync.Once
}

// forRequest tells http.ReadResponse what an answer to HEAD looks like.
var forRequest = struct{ head, other *http.Request }{&http.Request{Method: http.MethodHead}, &http.Request{Method: http.MethodGet}}

// receive reads the head of the answer, and passes on what comes before it.
func (p *response) receive() (*proxy.Answer, error) {
	request := forRequest.other
	if p.request.Method == http.MethodHead {
		request = forRequest.head
	}
	for range maxInformational {
		p.mayPause(p.conn.silence, time.Now())
		p.conn.headLeft = p.client.options.MaxHead
		if err := p.await(); err != nil {
			return nil, headError(err)
		}
		answer, err := http.ReadResponse(p.conn.br, request) //nolint:bodyclose // the caller closes it, through Response
		p.conn.headLeft = -1
		if err != nil {
			return nil, headError(err)
		}
		switch {
		case answer.StatusCode == http.StatusContinue:
			p.request.mayContinue()
			continue
		case answer.StatusCode == http.StatusSwitchingProtocols:
			if p.request.Upgrade == "" {
				return nil, errors.New("101 Switching Protocols was not asked for")
			}
		case answer.StatusCode < http.StatusOK:
			if p.request.Inform != nil {
				p.request.Inform(answer.StatusCode, answer.Header)
			}
			continue
		}
		p.request.answered()
		p.answer, p.ended = answer, answer.Body == http.NoBody
		p.keep = !answer.Close && answer.ProtoAtLeast(1, 1)
		return &proxy.Answer{Status: answer.StatusCode, Header: answer.Header, ContentLength: answer.ContentLength, Body: p}, nil
	}
	return nil, fmt.Errorf("more than %d informational answers", maxInformational)
}

func headError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("closed by the pod: %w", err)
	}
	return err
}

// mayPause gives the pod time to be silent from now on.
func (p *response) mayPause(d time.Duration, now time.Time) {
	p.deadline = now.Add(d)
	_ = p.conn.SetReadDeadline(p.deadline)
}

// await waits for the next byte. A deadline that passes while the request's body is under way says
// nothing of the pod: it is set anew as long as the pod has reason to be silent.
func (p *response) await() error {
	for {
		_, err := p.conn.br.Peek(1)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		now := time.Now()
		more := p.request.patience(p.conn.silence, now)
		if more <= 0 {
			return err
		}
		p.mayPause(more, now)
	}
}

// Read reads the body. A pause that is too long ends it.
func (p *response) Read(b []byte) (int, error) {
	if p.ended {
		return 0, io.EOF
	}
	if now := time.Now(); p.deadline.Sub(now) < p.conn.silence*7/8 { // a deadline for each read would cost as much as the read
		p.mayPause(p.conn.silence, now)
	}
	if !p.request.sent() {
		if err := p.await(); err != nil && !errors.Is(err, io.EOF) {
			return 0, p.silent(err)
		}
	}
	n, err := p.answer.Body.Read(b)
	if errors.Is(err, io.EOF) {
		p.ended = true
		return n, io.EOF
	}
	return n, p.silent(err)
}

// silent says of a deadline what it means.
func (p *response) silent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %v", proxy.ErrSilent, p.conn.silence)
	}
	return err
}

// Trailer is what follows the body: the announced names before its end, the values after.
func (p *response) Trailer() http.Header { return p.answer.Trailer }

// Close ends the exchange. The connection is kept for the next request when the answer was read to
// its end and the request sent to its end; otherwise it is closed, which tells the pod to stop.
func (p *response) Close() {
	p.closeOnce.Do(func() {
		watched := p.stop() // false: the context has ended, and closed the connection
		if !watched || !p.keep || !p.ended || !p.request.sent() || p.conn.br.Buffered() > 0 {
			p.conn.close()
			return
		}
		_ = p.conn.SetReadDeadline(time.Time{})
		p.client.putIdle(p.conn)
	})
}

// Tunnel hands out the connection after 101 Switching Protocols, and what was read of it already.
// The connection is the caller's from now on, but it is still closed when the context ends.
func (p *response) Tunnel() (net.Conn, *bufio.Reader) {
	p.closeOnce.Do(func() {})
	_ = p.conn.SetReadDeadline(time.Time{})
	return p.conn.Conn, p.conn.br
}

// Buffered is how many bytes have come that were not read yet.
func (p *response) Buffered() int { return p.conn.br.Buffered() }
