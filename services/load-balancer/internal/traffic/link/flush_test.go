package link

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// flusher counts how often it was flushed, and says so.
type flusher struct {
	times   int
	err     error
	flushed chan struct{}
}

func (f *flusher) Flush() error {
	f.times++
	if f.flushed != nil {
		f.flushed <- struct{}{}
	}
	return f.err
}

func TestFillAfter_FlushesOnlyWhenItMustWait(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	send(t, far, "hello")
	await(t, c)
	f := &flusher{flushed: make(chan struct{}, 10)}
	if err := c.FillAfter(f, 100); err != nil || f.times != 0 || string(c.Buffered()) != "hello" {
		t.Errorf("with bytes there: %v, flushed %d times, %q", err, f.times, c.Buffered())
	}
	c.Use(5)
	go func() {
		<-f.flushed
		_, _ = io.WriteString(far, "world")
	}()
	if err := c.FillAfter(f, 100); err != nil || f.times != 1 || string(c.Buffered()) != "world" || c.FlushFault() != nil {
		t.Errorf("without: %v, flushed %d times, %q, %v", err, f.times, c.Buffered(), c.FlushFault())
	}
	c.Use(5)
	go func() { _, _ = io.WriteString(far, "more") }()
	fill(t, c, 4, 100) // who was to be flushed is forgotten
	go func() { _, _ = io.WriteString(far, "x") }()
	if err := c.FillAfter(nil, 100); err != nil || f.times != 1 {
		t.Errorf("nobody to flush: %v, flushed %d times", err, f.times)
	}
}

func TestFillAfter_FlushesOnceBeforeItWaitsForWhatWrapsASocket(t *testing.T) {
	near, far := loopback(t)
	c := New(wrapped{near})
	send(t, far, "hello")
	f := &flusher{}
	if err := c.FillAfter(f, 100); err != nil || f.times != 1 || c.FlushFault() != nil {
		t.Errorf("%v, flushed %d times", err, f.times)
	}
}

func TestFillAfter_AFlushThatFailsEndsItAndIsKnownFromTheConnectionsOwnFaults(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		gone := errors.New("the client has gone")
		if err := c.FillAfter(&flusher{err: gone}, 100); !errors.Is(err, gone) || !errors.Is(c.FlushFault(), gone) {
			t.Errorf("%v, %v", err, c.FlushFault())
		}
		if c.raw != nil && c.buffer != nil {
			t.Error("a buffer is held")
		}
		send(t, far, "hello") // the connection itself stands
		fill(t, c, 5, 100)
		c.Use(5)
		_ = far.Close()
		if err := c.FillAfter(&flusher{}, 100); !errors.Is(err, io.EOF) || c.FlushFault() != nil {
			t.Errorf("%v, %v", err, c.FlushFault())
		}
	})
}

func TestUnwrap_ReadsPastTheWrapperAfterWhatItHadRead(t *testing.T) {
	near, far := loopback(t)
	c := New(wrapped{near})
	send(t, far, "later")
	c.Unwrap([]byte("early, "))
	if c.raw == nil || string(c.Buffered()) != "early, " {
		t.Fatalf("%q", c.Buffered())
	}
	fill(t, c, 12, 100)
	if string(c.Buffered()) != "early, later" {
		t.Errorf("%q", c.Buffered())
	}
	c.Use(12)
	if c.buffer != nil {
		t.Error("a buffer is held")
	}
	c.Unwrap(nil)
	if len(c.Buffered()) != 0 {
		t.Errorf("%q", c.Buffered())
	}
	pipe, _ := net.Pipe()
	if c = New(pipe); c.raw != nil {
		t.Error("a pipe has a socket")
	}
	if c.Unwrap([]byte("x")); c.raw != nil || string(c.Buffered()) != "x" {
		t.Errorf("%q", c.Buffered())
	}
}

func TestGrain_GrowsWithWhatComesAndShrinksAgain(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	go func() { _, _ = io.WriteString(far, strings.Repeat("x", 4<<20)) }()
	for got := 0; got < 4<<20; got += len(c.Buffered()) {
		c.Use(len(c.Buffered()))
		if err := c.Fill(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	c.Use(len(c.Buffered()))
	c.grain = atOnce
	for range 10 {
		send(t, far, "x")
		fill(t, c, 1, 100)
		c.Use(1)
	}
	if c.grain != smallest {
		t.Errorf("%d", c.grain)
	}
	for n, want := range map[int64]int{-1: smallest, 0: smallest, 100: smallest, 20_000: 20_000, 1 << 40: atOnce} {
		c.grain = smallest
		if c.Expect(n); c.grain != want {
			t.Errorf("%d bytes are expected: %d", n, c.grain)
		}
	}
	c.Expect(1 << 20)
	send(t, far, "x")
	if fill(t, c, 1, 100); len(c.buffer.bytes) < atOnce {
		t.Errorf("a buffer of %d bytes", len(c.buffer.bytes))
	}
}

func TestConn_WhatWrapsASocketWaitsWithASmallBuffer(t *testing.T) {
	near, far := loopback(t)
	c := New(wrapped{near})
	c.Expect(1 << 20)
	send(t, far, strings.Repeat("x", 100_000))
	fill(t, c, 100_000, 200_000)
	c.Use(100_000)
	if c.buffer != nil {
		t.Errorf("%d bytes are held", len(c.buffer.bytes))
	}
	waits := make(chan error)
	go func() { waits <- c.Fill(100) }()
	send(t, far, "x")
	if err := testwait.Receive(t, "a byte comes", waits); err != nil || len(c.buffer.bytes) != smallest {
		t.Errorf("%v, with %d bytes", err, len(c.buffer.bytes))
	}
}

// Take gives the same body as Read does, and waits for nothing where something has come.
func TestTake_GivesTheBodyHoweverItComes(t *testing.T) {
	for _, c := range framings {
		for _, step := range []int{1, 2, 5, 1 << 20} {
			for _, room := range []int{1, 3, 4096} {
				var f Framed
				f.Begin(split(c.wire, step, io.EOF), c.length, c.untilEnd)
				var got strings.Builder
				for p := make([]byte, room); !f.Ended(); {
					if f.Buffered() == 0 {
						if err := f.Await(nil); errors.Is(err, io.EOF) {
							break
						} else if err != nil {
							t.Fatal(err)
						}
					}
					here := f.Buffered()
					n, err := f.Take(p)
					got.Write(p[:n])
					if err != nil && !errors.Is(err, io.EOF) {
						t.Fatalf("%s: %v", c.name, err)
					}
					if n == 0 && err == nil && f.Buffered() == here {
						if err := f.Await(nil); err != nil { // only a part of a frame has come
							t.Fatalf("%s: %v", c.name, err)
						}
					}
				}
				if got.String() != c.want {
					t.Errorf("%s, by %d into %d: %q", c.name, step, room, got.String())
				}
			}
		}
	}
}

func TestWhole_TellsThatTheRestHasCome(t *testing.T) {
	for _, c := range framings {
		if c.untilEnd {
			continue
		}
		frame := len(c.wire) - len(c.rest)
		for at := 0; at <= len(c.wire); at += max(1, len(c.wire)/50) {
			conn := split(c.wire[:at], max(at, 1), io.EOF)
			var f Framed
			f.Begin(conn, c.length, false)
			if at > 0 {
				fill(t, conn, at, 1<<20)
			}
			if got := f.Whole(); got != (at >= frame) {
				t.Errorf("%s, %d bytes of %d: %v", c.name, at, frame, got)
			}
			if len(conn.Buffered()) != at || f.Trailer() != nil {
				t.Errorf("%s: something was read", c.name)
			}
		}
	}
	var f Framed
	f.Begin(split("x", 1, io.EOF), -1, true)
	if f.Whole() {
		t.Error("one that lasts until the end is whole before it")
	}
	if _, _ = readAll(t, &f, 10); !f.Whole() {
		t.Error("it is not whole at the end")
	}
	f.Begin(split("5\nhello", 100, io.EOF), -1, false)
	if _ = f.Await(nil); f.Whole() {
		t.Error("a faulty one is whole")
	}
}
