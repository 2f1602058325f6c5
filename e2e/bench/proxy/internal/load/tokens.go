package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/loop"
)

// TokensPlan opens streams that get a token every backend.TokenEvery.
type TokensPlan struct {
	Addr       netip.AddrPort
	Streams    int
	Request    []byte
	For        time.Duration
	Begin, End func() // around the measurement
}

// openEvery spreads the streams, so that their tokens do not come all at once.
const openEvery = time.Millisecond

var event = []byte("data: ")

// listener is the state of a run.
type listener struct {
	loop      *loop.Loop
	streams   []*stream
	measuring bool
	err       error
	result    Result
	buffer    [64 << 10]byte
}

// Tokens opens the streams and times each token, from the backend's send to here. The result counts
// tokens.
func Tokens(ctx context.Context, p TokensPlan) (r Result, err error) {
	if err := (Plan{Connections: p.Streams, For: p.For}).validate(); err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &listener{}
	if l.loop, err = loop.New(); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, l.loop.Close()) }()
	defer l.close()
	for range p.Streams {
		if err := l.open(p); err != nil {
			return Result{}, err
		}
		if err := l.until(ctx, backend.Now()+openEvery); err != nil {
			return Result{}, err
		}
	}
	if err := l.until(ctx, backend.Now()+10*backend.TokenEvery); err != nil {
		return Result{}, err
	}
	from := backend.Now()
	call(p.Begin)
	l.measuring = true
	err = l.until(ctx, from+p.For)
	l.result.Took = backend.Now() - from
	call(p.End)
	for _, s := range l.streams {
		if s.tokens == 0 && err == nil {
			err = errors.New("a stream got no token")
		}
	}
	return l.result, err
}

func (l *listener) open(p TokensPlan) error {
	fd, err := loop.Dial(p.Addr)
	if err != nil {
		return err
	}
	s := &stream{listener: l, fd: fd}
	l.streams = append(l.streams, s)
	if err := l.loop.Add(fd, loop.Readable, s); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if _, err := unix.Write(fd, p.Request); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func (l *listener) until(ctx context.Context, then time.Duration) error {
	for now := backend.Now(); now < then; now = backend.Now() {
		if err := errors.Join(ctx.Err(), l.loop.Wait(then-now), l.err); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) close() {
	for _, s := range l.streams {
		l.loop.Remove(s.fd)
	}
}

// stream is one of the streams.
type stream struct {
	listener *listener
	fd       int
	answer   answer
	head     bool // has come
	tokens   int  // that came while it was measured
	rest     []byte
}

// Ready reads.
func (s *stream) Ready(uint32) {
	l := s.listener
	n, err := unix.Read(s.fd, l.buffer[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err == nil && n == 0 {
		err = errors.New("the proxy ended a stream")
	}
	p := l.buffer[:max(n, 0)]
	if err == nil && !s.head {
		var head []byte
		head, p, err = s.answer.head(p)
		s.head = head != nil
	}
	if err != nil {
		l.err = errors.Join(l.err, err)
		l.loop.Remove(s.fd)
		return
	}
	if s.head {
		s.take(p)
	}
}

// take finds the tokens in what came; chunks may be framed as a proxy likes, but none splits a token
// unless the socket does.
func (s *stream) take(p []byte) {
	const digits = 20
	if len(s.rest) > 0 {
		p = append(s.rest, p...)
		s.rest = nil
	}
	now := backend.Now()
	for {
		at := bytes.Index(p, event)
		if at < 0 {
			return
		}
		p = p[at:]
		if len(p) < len(event)+digits {
			s.rest = bytes.Clone(p)
			return
		}
		var sent time.Duration
		for _, c := range p[len(event) : len(event)+digits] {
			sent = sent*10 + time.Duration(c-'0')
		}
		p = p[len(event)+digits:]
		if s.listener.measuring {
			s.tokens++
			s.listener.result.Requests++
			s.listener.result.Latencies = append(s.listener.result.Latencies, now-sent)
		}
	}
}
