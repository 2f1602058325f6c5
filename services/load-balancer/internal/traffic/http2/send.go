package http2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

var _ proxy.Sender = (*Sender)(nil)

// errSilence ends an exchange whose pod is silent for too long.
var errSilence = errors.New("silent")

// Send sends the request to the pod and returns when the head of its answer is there; see
// proxy.Sender.
func (s *Sender) Send(to proxy.Destination, r *proxy.Outgoing) (proxy.Answer, error) {
	for {
		cc, fresh, err := s.reserve(to.Address, r)
		if err != nil {
			return nil, err
		}
		a := newAnswer(r)
		err = a.exchange(cc)
		if err == nil {
			return a, nil
		}
		if r.Client.HasGone() {
			return nil, proxy.ErrGone
		}
		// A connection that was about to end says nothing of the pod: a new one tells.
		_, unsent := errors.AsType[*proxy.UnsentError](err)
		again := unsent || r.Resend && !r.Streams && errors.Is(err, proxy.ErrBroken)
		if fresh || !again || cc.Err() == nil {
			return nil, err
		}
	}
}

// exchange sends the request and waits for the head of the answer.
func (a *answer) exchange(cc *http.ClientConn) error {
	a.r.Client.Watch(a)
	a.clock.begin()
	res, err := cc.RoundTrip(a.request()) //nolint:bodyclose // Close does
	a.informs.end()
	a.clock.pause()
	switch {
	case err != nil:
		err = a.failure(err)
	case !a.begun(res):
		err = a.failure(context.Cause(a.ctx))
	default:
		if err = a.readHead(); err == nil {
			return nil
		}
		err = fmt.Errorf("%w: %w", proxy.ErrBroken, err)
	}
	a.Close()
	return err
}

func (a *answer) readHead() error {
	res := a.res
	if err := readResponse(a.r.Answer, res.StatusCode, res.ContentLength, res.Header, a.r.Head.Method == http.MethodHead); err != nil {
		return err
	}
	if a.r.Answer.Length == 0 {
		_, _ = a.read(nil) // nothing but the end can follow; a fault is met again
	}
	return nil
}

// failure says of an error before the answer's head what it means.
func (a *answer) failure(err error) error {
	if errors.Is(context.Cause(a.ctx), errSilence) {
		return proxy.ErrHeadTimeout
	}
	if provablyUnsent(err) && a.body.rewind() {
		return &proxy.UnsentError{Err: err}
	}
	if fault := a.body.clientFault(); fault != nil {
		return fault
	}
	return fmt.Errorf("%w: %w", proxy.ErrBroken, err)
}

// streamError is net/http's error of one stream, which it hands out to any struct of this shape.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string {
	return fmt.Sprintf("HTTP/2 stream %d: code %d", e.StreamID, e.Code)
}

var errSwitching = errors.New("101 Switching Protocols over HTTP/2")

const refusedStream = 7 // RFC 9113, section 7

// provablyUnsent tells whether the pod says, or the connection, that the request was not worked on
// (RFC 9113, section 8.7). net/http has names for two of these cases only in its texts; a test meets
// each of them.
func provablyUnsent(err error) bool {
	if stream, ok := errors.AsType[streamError](err); ok {
		return stream.Code == refusedStream
	}
	for _, text := range []string{
		"http2: Transport received Server's graceful shutdown GOAWAY", "http2: client conn not usable", "http2: client conn could not be established",
	} {
		if strings.HasSuffix(err.Error(), text) {
			return true
		}
	}
	return false
}

// request is the request as net/http has it.
func (a *answer) request() *http.Request {
	r := a.r
	req := &http.Request{
		Method: r.Head.Method, URL: target(r), Host: r.Host, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: make(http.Header, len(r.Head.Fields)+len(r.Add)), ContentLength: r.Length,
	}
	header(req.Header, r.Head.Fields, r.Add)
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = []string{""} // net/http must not name itself
	}
	switch {
	case r.Streams || len(r.Begun) > 0:
		req.Body, a.body.begun = a.body, r.Begun
		a.announce(req)
	case len(r.Whole) > 0:
		req.Body, a.body.begun, req.ContentLength = a.body, r.Whole, int64(len(r.Whole))
	default:
		req.ContentLength = 0
	}
	ctx := httptrace.WithClientTrace(a.ctx, &httptrace.ClientTrace{Got1xxResponse: a.informs.got})
	return req.WithContext(ctx)
}

// target is a URL that net/http writes as :path byte for byte.
func target(r *proxy.Outgoing) *url.URL {
	host := r.Host
	if host == "" {
		host = "localhost" // net/http wants one; Host "" is HTTP/1.0's
	}
	u := &url.URL{Scheme: "http", Host: host, Opaque: r.Path, RawQuery: r.Head.Query, ForceQuery: r.Head.HasQuery}
	if r.Path != "*" {
		u.Opaque = "//" + host + r.Path // net/http takes scheme and host off again
	}
	return u
}

// announce names the trailers that the client has announced. A body in chunks may have others behind it,
// which net/http sends too when it knows from the start that some may come.
func (a *answer) announce(req *http.Request) {
	mayHaveMore := a.r.Length < 0 && a.r.Head.Version == message.HTTP11
	if mayHaveMore {
		req.Trailer = http.Header{}
	}
	for i := range a.r.Head.Fields {
		if f := &a.r.Head.Fields[i]; f.Known == message.Trailer {
			for name := range strings.SplitSeq(f.Value, ",") {
				name = http.CanonicalHeaderKey(strings.TrimSpace(name))
				if message.KnownAs(name) != message.Other || name == "" {
					continue
				}
				if req.Trailer == nil {
					req.Trailer = http.Header{}
				}
				req.Trailer[name] = nil
			}
		}
	}
	trailer := req.Trailer
	a.body.trailer = func() {
		for _, f := range a.r.Client.Trailer() {
			name := http.CanonicalHeaderKey(f.Name)
			if _, ok := trailer[name]; (ok || mayHaveMore) && !f.Dropped && message.KnownAs(name) == message.Other {
				trailer[name] = append(trailer[name], f.Value)
			}
		}
	}
}

// got is called by net/http for each informational answer, on the goroutine that reads for all
// requests of a connection: it must not wait for a client.
func (i *informs) got(status int, h textproto.MIMEHeader) error {
	switch status {
	case http.StatusContinue:
		return nil
	case http.StatusSwitchingProtocols: // HTTP/2 has none (RFC 9113, section 8.6): a client of HTTP/1.1 would switch
		return errSwitching
	}
	into := new(message.Response)
	if err := readResponse(into, status, 0, http.Header(h), false); err != nil {
		return err
	}
	return i.add(into)
}
