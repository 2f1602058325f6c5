package link

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// wrapped hides the socket beneath, as TLS does.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

// loopback is both ends of a connection.
func loopback(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = dialed.Close(), accepted.Close() })
	for _, c := range []net.Conn{dialed, accepted} { // a test that waits in vain shall say so
		if err := c.SetDeadline(testwait.Deadline()); err != nil {
			t.Fatal(err)
		}
	}
	return accepted.(*net.TCPConn), dialed.(*net.TCPConn)
}

// both runs a test over a socket and over what wraps one.
func both(t *testing.T, test func(t *testing.T, c *Conn, far *net.TCPConn)) {
	t.Helper()
	t.Run("socket", func(t *testing.T) {
		near, far := loopback(t)
		c := New(near)
		if c.raw == nil || c.Net() != near {
			t.Fatal("the socket is not seen")
		}
		test(t, c, far)
	})
	t.Run("wrapped", func(t *testing.T) {
		near, far := loopback(t)
		c := New(wrapped{near})
		if c.raw != nil {
			t.Fatal("a socket is seen through what wraps it")
		}
		test(t, c, far)
	})
}

func send(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(c, text); n != len(text) || err != nil {
		t.Fatalf("%d of %d bytes are written: %v", n, len(text), err)
	}
}

// fill reads until so many bytes are buffered.
func fill(t *testing.T, c *Conn, n, most int) {
	t.Helper()
	for len(c.Buffered()) < n {
		if err := c.Fill(most); err != nil {
			t.Fatalf("%d bytes of %d: %v", len(c.Buffered()), n, err)
		}
	}
}

func TestFill_AddsToWhatIsBufferedAndUseTakesFromIt(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		if len(c.Buffered()) != 0 {
			t.Error("something is buffered before anything came")
		}
		send(t, far, "hello, ")
		fill(t, c, 7, 100)
		send(t, far, "world")
		fill(t, c, 12, 100)
		c.Use(7)
		if string(c.Buffered()) != "world" {
			t.Errorf("%q", c.Buffered())
		}
		c.Use(0)
		send(t, far, "!")
		fill(t, c, 6, 100)
		c.Use(6)
		if len(c.Buffered()) != 0 {
			t.Errorf("%q", c.Buffered())
		}
	})
}

func TestFill_GrowsUntilItIsFullAndGoesOnWhenSomeWasUsed(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		const most = 40 << 10
		text := strings.Repeat("0123456789abcdef", 8<<10) // 128 KiB
		go func() { _, _ = io.WriteString(far, text) }()
		var err error
		for err == nil {
			err = c.Fill(most)
		}
		have := len(c.Buffered())
		if !errors.Is(err, ErrFull) || have < most || have > 2*most {
			t.Fatalf("%d bytes: %v", have, err)
		}
		if err := c.Fill(most); !errors.Is(err, ErrFull) || len(c.Buffered()) != have {
			t.Errorf("%d bytes: %v", len(c.Buffered()), err)
		}
		var got bytes.Buffer
		for _, part := range []int{1, have / 4, 100} { // also from the middle of a full buffer
			got.Write(c.Buffered()[:part])
			c.Use(part)
			for err = nil; err == nil && got.Len()+len(c.Buffered()) < len(text) && len(c.Buffered()) < most; {
				err = c.Fill(most)
			}
			if err != nil && !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
		}
		for got.Len() < len(text) {
			fill(t, c, 1, most)
			got.Write(c.Buffered())
			c.Use(len(c.Buffered()))
		}
		if got.String() != text {
			t.Error("the bytes are not those that were sent")
		}
	})
}

func TestFill_GrowsBeyondTheBuffersThatAreKeptForOthers(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	go func() { _, _ = far.Write(bytes.Repeat([]byte("x"), 8*largest)) }()
	var err error
	for err == nil {
		err = c.Fill(3 * largest)
	}
	if have := c.Buffered(); !errors.Is(err, ErrFull) || len(have) < 3*largest || len(bytes.Trim(have, "x")) > 0 {
		t.Errorf("%d bytes: %v", len(have), err)
	}
}

func TestRead_GivesWhatIsBufferedAndThenWhatComes(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		send(t, far, "hello")
		fill(t, c, 5, 100)
		p := make([]byte, 3)
		for _, want := range []string{"hel", "lo"} {
			if n, err := c.Read(p); string(p[:n]) != want || err != nil {
				t.Errorf("%q, %v", p[:n], err)
			}
		}
		send(t, far, "wor")
		if n, err := io.ReadFull(c, p); string(p[:n]) != "wor" || err != nil {
			t.Errorf("%q, %v", p[:n], err)
		}
		for _, none := range [][]byte{nil, {}} {
			if n, err := c.Read(none); n != 0 || err != nil {
				t.Errorf("without room: %d, %v", n, err)
			}
		}
		if c.raw != nil && c.buffer != nil {
			t.Error("a read past the buffer has taken one")
		}
		_ = far.CloseWrite()
		if n, err := c.Read(p); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %d, %v", n, err)
		}
	})
}

func TestFill_TellsTheEndAndWhatCameBefore(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		send(t, far, "bye")
		_ = far.CloseWrite()
		fill(t, c, 3, 100)
		for range 2 {
			if err := c.Fill(100); !errors.Is(err, io.EOF) || string(c.Buffered()) != "bye" {
				t.Errorf("%v, %q", err, c.Buffered())
			}
		}
		c.Use(3)
		if err := c.Fill(100); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

func TestFill_TellsAReset(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		_ = far.SetLinger(0)
		_ = far.Close()
		if err := c.Fill(100); !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	})
}

func TestClose_EndsAReadThatWaits(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, _ *net.TCPConn) {
		t.Helper()
		ended := make(chan error)
		go func() { ended <- c.Fill(100) }()
		_ = c.Close()
		if err := testwait.Receive(t, "the read ends", ended); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestWrite_CountsWhatWentOut(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		send(t, c, "hello")
		send(t, c, "")
		send(t, c, "!")
		if c.Written() != 6 {
			t.Errorf("%d", c.Written())
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(far); string(got) != "hello!" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// The system takes a part at a time: the rest is written as the other side reads.
func TestWrite_WritesAllHoweverSlowlyItIsTaken(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		text := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB
		same := make(chan bool, 1)
		go func() {
			got, err := io.ReadAll(far)
			same <- err == nil && bytes.Equal(got, text)
		}()
		if n, err := c.Write(text); n != len(text) || err != nil || c.Written() != int64(len(text)) {
			t.Errorf("%d bytes, %d counted, %v", n, c.Written(), err)
		}
		_ = c.CloseWrite()
		if !testwait.Receive(t, "it is read", same) {
			t.Error("what came is not what was written")
		}
	})
}

func TestWrite_TellsThatTheOtherSideIsGone(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		_ = far.SetLinger(0)
		_ = far.Close()
		_ = c.Fill(100) // until the reset is here
		if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.EPIPE) || c.Written() != 0 {
			t.Errorf("%d bytes, %d counted, %v", n, c.Written(), err)
		}
	})
}

func TestWrite_CountsWhatWentOutOfOneThatFails(t *testing.T) {
	near, _ := loopback(t)
	c := New(near)
	c.WriteWithin(100*time.Millisecond, time.Now())
	n, err := c.Write(make([]byte, 64<<20)) // more than the system takes while nobody reads
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.Written() != int64(n) {
		t.Errorf("%d bytes, %d counted, %v", n, c.Written(), err)
	}
}

func TestConn_HoldsNoBufferWhileNothingIsInIt(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	holds := func(when string, want bool) {
		t.Helper()
		if got := c.buffer != nil; got != want {
			t.Errorf("%s: holds a buffer is %v", when, got)
		}
	}
	holds("at first", false)
	c.ReadBy(time.Now().Add(-time.Second))
	if err := c.Fill(100); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	holds("after a read in vain", false)
	waits := make(chan error)
	c.ReadBy(testwait.Deadline())
	go func() { waits <- c.Fill(100) }()
	send(t, far, "hello")
	if err := testwait.Receive(t, "the bytes come", waits); err != nil {
		t.Fatal(err)
	}
	holds("with something in it", true)
	c.Use(len(c.Buffered()))
	holds("when all was used", false)
	_ = far.CloseWrite()
	if err := c.Fill(100); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	holds("after the end", false)
	if err := ask(c, []byte("x")); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	holds("after a question in vain", false)
}

func TestConn_HoldsNoBufferWhileItWaits(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	looked := make(chan bool, 100)
	inner := c.wait
	c.wait = func(fd uintptr) bool {
		done := inner(fd)
		if !done {
			looked <- c.buffer != nil
		}
		return done
	}
	ended := make(chan error)
	go func() { ended <- c.Fill(100) }()
	if testwait.Receive(t, "it waits", looked) {
		t.Error("it waits with a buffer")
	}
	send(t, far, "x")
	if err := testwait.Receive(t, "the byte comes", ended); err != nil || string(c.Buffered()) != "x" {
		t.Errorf("%q, %v", c.Buffered(), err)
	}
}

func TestRelease_GivesBackWhatIsBuffered(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		c.Release()
		send(t, far, "hello")
		fill(t, c, 5, 100)
		c.Use(1)
		c.Release()
		if c.buffer != nil || len(c.Buffered()) != 0 {
			t.Errorf("%q is held", c.Buffered())
		}
		send(t, far, "x")
		fill(t, c, 1, 100)
		if string(c.Buffered()) != "x" {
			t.Errorf("%q", c.Buffered())
		}
	})
}

func TestNext_GivesWhatComesOfATunnel(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		send(t, far, "hello")
		part, err := c.Next()
		if err != nil || len(part) == 0 || string(part) != "hello"[:min(len(part), 5)] {
			t.Fatalf("%q, %v", part, err)
		}
		got := string(part[:1])
		c.Used(1)
		for len(got) < 5 {
			if part, err = c.Next(); err != nil {
				t.Fatal(err)
			}
			got += string(part)
			c.Used(len(part))
		}
		if got != "hello" {
			t.Errorf("%q", got)
		}
		_ = far.CloseWrite()
		if part, err = c.Next(); len(part) != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%q, %v", part, err)
		}
	})
}

func TestSilentAndEnded_SayHowTheConnectionStands(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	is := func(when string, silent, ended bool) {
		t.Helper()
		if c.Silent() != silent || c.Ended() != ended {
			t.Errorf("%s: silent %v, ended %v", when, c.Silent(), c.Ended())
		}
	}
	is("while nothing comes", true, false)
	send(t, far, "xy")
	testwait.Until(t, "the bytes are there", func() bool { return !c.Silent() })
	is("with bytes in the system", false, false)
	_ = far.CloseWrite()
	is("and the end behind them", false, false)
	fill(t, c, 2, 100)
	testwait.Until(t, "the end is there", c.Ended)
	is("with bytes in the buffer", false, true)
	c.Use(2)
	is("at the end", false, true)
	_ = c.Close()
	is("closed", false, true)

	near, far = loopback(t)
	c = New(near)
	_ = far.SetLinger(0)
	_ = far.Close()
	testwait.Until(t, "the reset is there", c.Ended)
	is("reset", false, true)

	near, far = loopback(t)
	c = New(wrapped{near})
	is("wrapped, which cannot be looked into", true, true)
	send(t, far, "x")
	fill(t, c, 1, 100)
	is("wrapped, with bytes in the buffer", false, true)
}

func TestInQueue_CountsWhatTheSystemHolds(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	holds := func(want int) func() bool {
		return func() bool { n, known := c.InQueue(); return known && n == want }
	}
	if !holds(0)() {
		t.Error("something queues at first")
	}
	send(t, far, "xyz")
	testwait.Until(t, "three bytes queue", holds(3))
	_ = far.CloseWrite()
	fill(t, c, 3, 100)
	if !holds(0)() {
		t.Error("the buffer counts")
	}
	testwait.Until(t, "the end is there", c.Ended)
	if !holds(0)() {
		t.Error("the end counts")
	}
	_ = c.Close()
	if _, known := c.InQueue(); known {
		t.Error("it is known of a closed connection")
	}
	if _, known := New(wrapped{near}).InQueue(); known {
		t.Error("it is known of what is wrapped")
	}
}
