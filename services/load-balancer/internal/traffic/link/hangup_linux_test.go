package link

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// watching is a watch that runs until the test ends.
func watching(t *testing.T) *Hangups {
	t.Helper()
	h, err := NewHangups()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		h.Run()
		close(ended)
	}()
	t.Cleanup(func() {
		h.Close()
		testwait.Receive(t, "Run ends", ended)
	})
	return h
}

// turn returns when the watch has told whatever it had to tell before.
func turn(t *testing.T, h *Hangups) {
	t.Helper()
	near, far := loopback(t)
	notified := make(chan struct{})
	id := h.Watch(New(near), func(bool) { close(notified) })
	_ = far.Close()
	testwait.Receive(t, "the watch goes on", notified)
	h.Forget(id)
}

func TestAsk_WritesNothingToWhatWasReset(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	hung := make(chan struct{})
	watching(t).Watch(c, func(bool) { close(hung) }) // a look at the socket would take the fault from it
	_ = far.SetLinger(0)
	_ = far.Close()
	testwait.Receive(t, "the reset comes", hung)
	if err := ask(c, []byte("x")); !errors.Is(err, syscall.ECONNRESET) || c.Written() != 0 {
		t.Errorf("%v, %d written", err, c.Written())
	}
}

func TestHangups_TellOfEveryWayToGo(t *testing.T) {
	h := watching(t)
	for name, leave := range map[string]func(*net.TCPConn){
		"closed":      func(far *net.TCPConn) { _ = far.Close() },
		"half closed": func(far *net.TCPConn) { _ = far.CloseWrite() },
		"reset":       func(far *net.TCPConn) { _, _ = far.SetLinger(0), far.Close() },
		"with bytes that nobody has read": func(far *net.TCPConn) {
			_, _ = io.WriteString(far, "bye")
			_ = far.CloseWrite()
		},
	} {
		both(t, func(t *testing.T, c *Conn, far *net.TCPConn) {
			t.Helper()
			notified := make(chan struct{})
			id := h.Watch(c, func(bool) { close(notified) })
			if id == 0 {
				t.Fatalf("%s: not watched", name)
			}
			leave(far)
			testwait.Receive(t, name, notified)
			h.Forget(id)
		})
	}
}

func TestHangups_TellOfOneThatHasGoneBeforeItIsWatched(t *testing.T) {
	h := watching(t)
	near, far := loopback(t)
	c := New(near)
	_ = far.Close()
	testwait.Until(t, "it has gone", c.Ended)
	notified := make(chan struct{})
	h.Watch(c, func(bool) { close(notified) })
	testwait.Receive(t, "it is told", notified)
}

func TestHangups_TellOfAHalfCloseAndOfTheWholeEndEachOnce(t *testing.T) {
	h := watching(t)
	near, far := loopback(t)
	c := New(near)
	notified := make(chan bool, 10)
	h.Watch(c, func(whole bool) { notified <- whole })
	_ = far.CloseWrite()
	if testwait.Receive(t, "the half close is told", notified) {
		t.Error("half a close is told as the whole end")
	}
	send(t, c, "still here") // the other side may listen
	turn(t, h)
	_ = far.SetLinger(0)
	_ = far.Close()
	if !testwait.Receive(t, "the reset is told", notified) {
		t.Error("a reset is told as half a close")
	}
	_ = c.CloseWrite()
	turn(t, h)
	turn(t, h)
	if len(notified) != 0 || len(h.watched) != 0 {
		t.Errorf("it is told %d times more, %d are kept", len(notified), len(h.watched))
	}
}

func TestHangups_TellTheWholeEndAtOnceOfAReset(t *testing.T) {
	h := watching(t)
	near, far := loopback(t)
	send(t, far, "bytes that nobody has read")
	notified := make(chan bool, 10)
	h.Watch(New(near), func(whole bool) { notified <- whole })
	_ = far.SetLinger(0)
	_ = far.Close()
	if !testwait.Receive(t, "the reset is told", notified) {
		t.Error("a reset is told as half a close")
	}
	turn(t, h)
	if len(notified) != 0 {
		t.Error("it is told twice")
	}
}

func TestHangups_TellNothingWhileBytesComeOrWhenForgotten(t *testing.T) {
	h := watching(t)
	near, far := loopback(t)
	c := New(near)
	var notified atomic.Bool
	id := h.Watch(c, func(bool) { notified.Store(true) })
	for range 10 {
		send(t, far, "x")
		turn(t, h)
	}
	fill(t, c, 10, 100)
	if notified.Load() {
		t.Fatal("bytes are told as an end")
	}
	h.Forget(id)
	h.Forget(id)
	_ = far.Close()
	turn(t, h)
	if notified.Load() {
		t.Error("one that is forgotten is told")
	}
}

func TestHangups_TellOfAsManyAsThereAreEachOnce(t *testing.T) {
	h := watching(t)
	const many = 300 // more than come at once
	var all sync.WaitGroup
	times := make([]atomic.Int32, many)
	var far []net.Conn
	ids := map[uint64]bool{}
	for i := range many {
		near, other := loopback(t)
		all.Add(1)
		id := h.Watch(New(near), func(bool) {
			if times[i].Add(1) == 1 {
				all.Done()
			}
		})
		if id == 0 || ids[id] {
			t.Fatalf("the id %d is used again", id)
		}
		ids[id] = true
		far = append(far, other)
	}
	for _, c := range far {
		_ = c.Close()
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	testwait.Receive(t, "all are told", done)
	turn(t, h)
	for i := range times {
		if n := times[i].Load(); n != 1 {
			t.Errorf("%d was told %d times", i, n)
		}
	}
}

// The number of a socket is used again at once; the id of its watch is not.
func TestHangups_ANewConnectionIsNotTakenForTheOneBefore(t *testing.T) {
	h := watching(t)
	for range 100 {
		near, far := loopback(t)
		old := New(near)
		id := h.Watch(old, func(bool) { t.Error("one that is forgotten is told") })
		h.Forget(id)
		_ = old.Close()
		_ = far.Close()
		near, far = loopback(t)
		notified := make(chan struct{})
		if next := h.Watch(New(near), func(bool) { close(notified) }); next <= id {
			t.Fatalf("the id %d comes after %d", next, id)
		}
		_ = far.Close()
		testwait.Receive(t, "the new one is told", notified)
	}
}

func TestHangups_WatchNothingThatIsNoSocketOrIsClosed(t *testing.T) {
	h := watching(t)
	never := func(bool) { t.Error("it is told") }
	near, _ := net.Pipe()
	if id := h.Watch(New(near), never); id != 0 {
		t.Error("a pipe is watched")
	}
	closed, _ := loopback(t)
	_ = closed.Close()
	if id := h.Watch(New(closed), never); id != 0 {
		t.Error("a closed connection is watched")
	}
	ended, err := NewHangups()
	if err != nil {
		t.Fatal(err)
	}
	ended.Close()
	ended.Run() // returns at once
	open, _ := loopback(t)
	if id := ended.Watch(New(open), never); id != 0 {
		t.Error("a watch that has ended watches")
	}
	if len(h.watched)+len(ended.watched) != 0 {
		t.Errorf("%d are kept", len(h.watched)+len(ended.watched))
	}
}
