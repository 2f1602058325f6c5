package link

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// ask asks with a copy, which must be gone when the answer is there.
func ask(c *Conn, p []byte) error {
	var out Output
	out.Grow(len(p))
	out.Bytes = append(out.Bytes, p...)
	err := c.Ask(&out)
	if out.Bytes != nil || out.buffer != nil {
		return errors.New("the question is still held")
	}
	return err
}

func TestAsk_WritesAndWaitsForWhatComesBack(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		for _, question := range []string{"one?", "two?"} {
			go func() {
				p := make([]byte, len(question))
				_, _ = io.ReadFull(far, p)
				_, _ = far.Write(append(p, '!'))
			}()
			if err := ask(c, []byte(question)); err != nil {
				t.Fatal(err)
			}
			fill(t, c, len(question)+1, 100)
			if string(c.Buffered()) != question+"!" {
				t.Errorf("%q", c.Buffered())
			}
			c.Use(len(c.Buffered()))
		}
		if c.Written() != 8 {
			t.Errorf("%d bytes are counted", c.Written())
		}
	})
}

// await has the connection's other side seen by the system before it is asked.
func await(t *testing.T, c *Conn) {
	t.Helper()
	testwait.Until(t, "it is not silent", func() bool { return !c.Silent() })
}

func TestAsk_WritesNothingWhereSomethingCameThatNobodyAskedFor(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	send(t, far, "HTTP/1.1 408")
	await(t, c)
	if err := ask(c, []byte("x")); !errors.Is(err, errNotSilent) || c.Written() != 0 {
		t.Errorf("%v, %d written", err, c.Written())
	}
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		send(t, far, "buffered")
		fill(t, c, 1, 100)
		if err := ask(c, []byte("x")); !errors.Is(err, errNotSilent) || c.Written() != 0 {
			t.Errorf("%v, %d written", err, c.Written())
		}
	})
}

func TestAsk_WritesNothingToWhatHasEnded(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	_ = far.Close()
	await(t, c)
	if err := ask(c, []byte("x")); !errors.Is(err, io.EOF) || c.Written() != 0 {
		t.Errorf("ended: %v, %d written", err, c.Written())
	}
	both(t, func(t *testing.T, c *Conn, _ *net.TCPConn) {
		t.Helper()
		_ = c.Close()
		if err := ask(c, []byte("x")); !errors.Is(err, net.ErrClosed) || c.Written() != 0 {
			t.Errorf("closed: %v, %d written", err, c.Written())
		}
	})
}

func TestAsk_TellsAnEndInPlaceOfAnAnswer(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		go func() {
			_, _ = io.ReadFull(far, make([]byte, 5))
			_ = far.Close()
		}()
		if err := ask(c, []byte("hello")); !errors.Is(err, io.EOF) || c.Written() != 5 || len(c.Buffered()) != 0 {
			t.Errorf("%v, %d written, %q", err, c.Written(), c.Buffered())
		}
	})
}

// More is asked than the system takes at once: the rest is written as the other side reads.
func TestAsk_WritesAllHoweverSlowlyItIsTaken(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		question := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB
		same := make(chan bool, 1)
		go func() {
			got := make([]byte, len(question))
			for at := 0; at < len(got); {
				n, err := far.Read(got[at:min(at+300<<10, len(got))])
				if err != nil {
					break
				}
				at += n
			}
			same <- bytes.Equal(got, question)
			_, _ = far.Write([]byte("done"))
		}()
		if err := ask(c, question); err != nil {
			t.Fatal(err)
		}
		if !testwait.Receive(t, "it is read", same) {
			t.Error("what came is not what was asked")
		}
		fill(t, c, 4, 100)
		if string(c.Buffered()) != "done" || c.Written() != int64(len(question)) {
			t.Errorf("%q, %d written", c.Buffered(), c.Written())
		}
	})
}

func TestAsk_HoldsNoBufferWhileItWaits(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	var out Output
	out.Grow(1)
	out.Bytes = append(out.Bytes, '?')
	looked := make(chan bool, 100)
	inner := c.ask
	c.ask = func(fd uintptr) bool {
		done := inner(fd)
		if !done {
			looked <- out.buffer != nil || c.buffer != nil
		}
		return done
	}
	ended := make(chan error)
	go func() { ended <- c.Ask(&out) }()
	if testwait.Receive(t, "it waits", looked) {
		t.Error("it waits with a buffer")
	}
	send(t, far, "!")
	if err := testwait.Receive(t, "the answer comes", ended); err != nil || string(c.Buffered()) != "!" {
		t.Errorf("%q, %v", c.Buffered(), err)
	}
}

func TestAsk_EndsAtTheDeadlineOfWritesWhenNobodyReads(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, _ *net.TCPConn) {
		t.Helper()
		c.WriteWithin(100*time.Millisecond, time.Now())
		err := ask(c, make([]byte, 64<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.Written() == 64<<20 {
			t.Errorf("%v, %d written", err, c.Written())
		}
	})
}

func TestAsk_EndsAtTheDeadlineOfReadsWhenNobodyAnswers(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, _ *net.TCPConn) {
		t.Helper()
		c.ReadBy(time.Now().Add(10 * time.Millisecond))
		if err := ask(c, []byte("hello")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if c.raw != nil && c.buffer != nil {
			t.Error("a buffer is held")
		}
	})
}

// Whoever asks is told by a close, wherever in its way it meets it.
func TestAsk_EndsWhenAnotherCloses(t *testing.T) {
	for i := range 200 {
		near, far := loopback(t)
		c := New(near)
		ended := make(chan error, 1)
		question := make([]byte, 1<<(i%24)) // some are taken at once, some are not
		go func() { ended <- ask(c, question) }()
		if i%2 == 0 {
			go func() { _, _ = io.CopyN(io.Discard, far, int64(len(question))) }()
		}
		_ = c.Close()
		if err := testwait.Receive(t, "the question ends", ended); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("%d bytes: %v", len(question), err)
		}
		c.Release()
	}
}

func TestAsk_EndsWhenAnotherInterrupts(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		ended := make(chan error, 1)
		go func() { ended <- ask(c, []byte("hello")) }()
		if _, err := io.ReadFull(far, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		c.Interrupt()
		if err := testwait.Receive(t, "the question ends", ended); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}
