// Package backend is the server behind every proxy that is measured: HTTP/1.1, prebuilt answers, one
// thread. The last part of the path says what is wanted; Serve's table has them all. It is no server
// for anything else: it trusts its clients to be well-behaved proxies.
package backend

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/loop"
)

// idleTurn bounds how long the end of the context goes unseen.
const idleTurn = 20 * time.Millisecond

// Backend counts what it does: a proxy that does not keep its connections shows by the accepts.
type Backend struct {
	loop     *loop.Loop
	listener int
	addr     netip.AddrPort
	buffer   [256 << 10]byte // what is read now
	tokens   tokens
	ended    chan struct{}

	accepts, requests, open atomic.Int64
}

// Start serves on a free port until ctx ends.
func Start(ctx context.Context) (*Backend, error) {
	l, err := loop.New()
	if err != nil {
		return nil, err
	}
	b := &Backend{loop: l, ended: make(chan struct{})}
	if b.listener, b.addr, err = loop.Listen(); err != nil {
		return nil, err
	}
	if err := l.Add(b.listener, loop.Readable, b); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	go b.run(ctx)
	return b, nil
}

// Addr is where it listens.
func (b *Backend) Addr() netip.AddrPort { return b.addr }

// Accepts is how many connections it ever took.
func (b *Backend) Accepts() int64 { return b.accepts.Load() }

// Requests is how many heads it ever read.
func (b *Backend) Requests() int64 { return b.requests.Load() }

// Open is how many connections it has.
func (b *Backend) Open() int64 { return b.open.Load() }

// Ended is closed when it has ended.
func (b *Backend) Ended() <-chan struct{} { return b.ended }

func (b *Backend) run(ctx context.Context) {
	defer close(b.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		if err := b.loop.Wait(b.tokens.send(idleTurn)); err != nil {
			panic(err) // the benchmark cannot go on
		}
	}
	b.loop.Remove(b.listener)
	_ = b.loop.Close()
}

// Ready accepts.
func (b *Backend) Ready(uint32) {
	for {
		fd, err := loop.Accept(b.listener)
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil {
			continue
		}
		b.accepts.Add(1)
		b.open.Add(1)
		c := &conn{backend: b, fd: fd}
		if b.loop.Add(fd, loop.Readable, c) != nil {
			c.close()
		}
	}
}
