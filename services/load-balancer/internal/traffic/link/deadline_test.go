package link

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// moves is how often a deadline was moved, and where it is.
type moves struct {
	deadline
	times int
	last  time.Time
}

func newMoves() *moves {
	m := &moves{}
	m.set = func(at time.Time) error {
		m.times, m.last = m.times+1, at
		return nil
	}
	return m
}

func TestWithin_GivesTheTimeAtLeastAndAnEighthMoreAtMostAndMovesSeldom(t *testing.T) {
	m, now := newMoves(), time.Unix(1000, 0)
	end := now.Add(time.Hour)
	for ; now.Before(end); now = now.Add(100 * time.Millisecond) {
		m.within(80*time.Second, now)
		if left := m.last.Sub(now); left < 80*time.Second || left > 90*time.Second {
			t.Fatalf("%v are left", left)
		}
	}
	if m.times > 3600/10+1 {
		t.Errorf("36000 reads moved it %d times", m.times)
	}
}

func TestWithin_MovesAtOnceWhenTheTimeIsAnother(t *testing.T) {
	m, now := newMoves(), time.Unix(1000, 0)
	for i, d := range []time.Duration{time.Minute, time.Second, time.Hour, time.Millisecond} {
		m.within(d, now)
		if left := m.last.Sub(now); m.times != i+1 || left < d || left > d+d/slack {
			t.Errorf("%v: %v are left, moved %d times", d, left, m.times)
		}
	}
}

func TestBy_SetsTheMomentOnce(t *testing.T) {
	m, at := newMoves(), time.Unix(1000, 0)
	m.by(time.Time{})
	if m.times != 0 {
		t.Error("none at all was moved")
	}
	m.by(at)
	m.by(at)
	if m.times != 1 || !m.last.Equal(at) {
		t.Errorf("moved %d times, to %v", m.times, m.last)
	}
	m.by(time.Time{})
	if m.times != 2 || !m.last.IsZero() {
		t.Errorf("moved %d times, to %v", m.times, m.last)
	}
	m.within(time.Minute, at)
	if !m.last.Equal(at.Add(time.Minute + time.Minute/slack)) {
		t.Errorf("within a minute: %v", m.last)
	}
}

func TestInterrupt_LastsUntilAMomentIsSetAgain(t *testing.T) {
	m, now := newMoves(), time.Unix(1000, 0)
	m.within(time.Minute, now)
	m.interrupt(longAgo)
	m.within(time.Hour, now)
	if !m.last.Equal(longAgo) {
		t.Errorf("it was moved to %v", m.last)
	}
	m.by(longAgo) // the same moment, but meant
	m.within(time.Hour, now)
	if left := m.last.Sub(now); left < time.Hour {
		t.Errorf("%v are left", left)
	}
}

// pipe is a connection in virtual time.
func pipe(t *testing.T) (*Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return New(near), far
}

func TestReadWithin_EndsAReadInThatTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		began := time.Now()
		c.ReadWithin(8*time.Second, began)
		if err := c.Fill(100); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 9*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		began = time.Now()
		c.ReadWithin(8*time.Second, began)
		go func() {
			for range 3 { // each byte gives new time
				time.Sleep(7 * time.Second)
				_, _ = far.Write([]byte("x"))
			}
		}()
		var err error
		for err == nil {
			err = c.Fill(100)
			c.ReadWithin(8*time.Second, time.Now())
		}
		if took := time.Since(began); len(c.Buffered()) != 3 || took < 29*time.Second || took > 30*time.Second {
			t.Errorf("%q after %v: %v", c.Buffered(), took, err)
		}
	})
}

func TestReadBy_EndsAReadAtThatMomentWhateverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		began := time.Now()
		var writing sync.WaitGroup
		defer writing.Wait()
		defer func() { _ = far.Close() }()
		writing.Go(func() {
			for _, err := far.Write([]byte("x")); err == nil; _, err = far.Write([]byte("x")) {
				time.Sleep(time.Second)
			}
		})
		c.ReadBy(began.Add(10*time.Second + time.Millisecond))
		var err error
		for err == nil {
			err = c.Fill(100)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || len(c.Buffered()) != 11 || time.Since(began) != 10*time.Second+time.Millisecond {
			t.Errorf("%d bytes after %v: %v", len(c.Buffered()), time.Since(began), err)
		}
		c.ReadBy(time.Time{})
		if err := c.Fill(100); err != nil {
			t.Error(err)
		}
	})
}

func TestWriteWithin_EndsAWriteInThatTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		began := time.Now()
		c.WriteWithin(8*time.Second, began)
		go func() { _, _ = io.ReadFull(far, make([]byte, 2)) }()
		n, err := c.Write([]byte("hello"))
		if n != 2 || c.Written() != 2 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 9*time.Second {
			t.Errorf("%d bytes after %v: %v", n, time.Since(began), err)
		}
	})
}

func TestIdle_BoundsTheNextReadAndTheNextWriteApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := pipe(t)
		began := time.Now()
		c.Idle(8*time.Second, 80*time.Second, began)
		c.Idle(0, 0, began)
		if err := c.Fill(100); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 9*time.Second {
			t.Errorf("a read: %v after %v", err, time.Since(began))
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 90*time.Second {
			t.Errorf("a write: %v after %v", err, time.Since(began))
		}
	})
}

func TestInterrupt_EndsTheReadThatWaitsAndEveryLaterOne(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
		t.Helper()
		ended := make(chan error)
		go func() { ended <- c.Fill(100) }()
		c.Interrupt()
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		send(t, far, "x")
		c.ReadWithin(time.Hour, time.Now())
		if err := c.Fill(100); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		c.ReadBy(time.Time{})
		fill(t, c, 1, 100)
	})
}
