package link

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
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
	told := make(chan struct{})
	h.Watch(New(near), func() { close(told) })
	_ = far.Close()
	testwait.Receive(t, "the watch goes on", told)
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
			told := make(chan struct{})
			id := h.Watch(c, func() { close(told) })
			if id == 0 {
				t.Fatalf("%s: not watched", name)
			}
			leave(far)
			testwait.Receive(t, name, told)
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
	told := make(chan struct{})
	h.Watch(c, func() { close(told) })
	testwait.Receive(t, "it is told", told)
}

func TestHangups_TellOnceThoughAResetFollowsAHalfClose(t *testing.T) {
	h := watching(t)
	near, far := loopback(t)
	var times atomic.Int32
	first := make(chan struct{}, 10)
	h.Watch(New(near), func() {
		times.Add(1)
		first <- struct{}{}
	})
	_ = far.CloseWrite()
	testwait.Receive(t, "the half close is told", first)
	_ = far.SetLinger(0)
	_ = far.Close()
	turn(t, h)
	turn(t, h)
	if n := times.Load(); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

func TestHangups_TellNothingWhileBytesComeOrWhenForgotten(t *testing.T) {
	h := watching(t)
	near, far := loopback(t)
	c := New(near)
	var told atomic.Bool
	id := h.Watch(c, func() { told.Store(true) })
	for range 10 {
		send(t, far, "x")
		turn(t, h)
	}
	fill(t, c, 10, 100)
	if told.Load() {
		t.Fatal("bytes are told as an end")
	}
	h.Forget(id)
	h.Forget(id)
	_ = far.Close()
	turn(t, h)
	if told.Load() {
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
		id := h.Watch(New(near), func() {
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
	if len(h.watched) != 0 {
		t.Errorf("%d are kept", len(h.watched))
	}
}

// The number of a socket is used again at once; the id of its watch is not.
func TestHangups_ANewConnectionIsNotTakenForTheOneBefore(t *testing.T) {
	h := watching(t)
	for range 100 {
		near, far := loopback(t)
		old := New(near)
		id := h.Watch(old, func() { t.Error("one that is forgotten is told") })
		h.Forget(id)
		_ = old.Close()
		_ = far.Close()
		near, far = loopback(t)
		told := make(chan struct{})
		if next := h.Watch(New(near), func() { close(told) }); next <= id {
			t.Fatalf("the id %d comes after %d", next, id)
		}
		_ = far.Close()
		testwait.Receive(t, "the new one is told", told)
	}
}

func TestHangups_WatchNothingThatIsNoSocketOrIsClosed(t *testing.T) {
	h := watching(t)
	never := func() { t.Error("it is told") }
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
