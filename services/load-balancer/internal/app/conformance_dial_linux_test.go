package app_test

import (
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"
)

// blackHole is an address that swallows connections: who connects hears nothing, not even a refusal.
// Its queue of connections that nobody accepts is full.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	for {
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

// Pods that cannot be reached: a request waits for as long as it may, and not for each of them.
func TestConformance_UnreachablePods(t *testing.T) {
	var holes []string
	for range 12 {
		holes = append(holes, blackHole(t))
	}
	b := newBed(t, nil)
	t.Run("all swallow connections", func(t *testing.T) {
		t.Parallel()
		s := b.session(t, sessionOptions{wakeUpTimeout: 2 * time.Second, morePods: holes, noPod: true}, nil)
		w := s.connect()
		_ = w.conn.SetDeadline(time.Now().Add(6 * time.Second)) // one after the other they take twelve
		if err := w.run([]step{sends(getX), isRefused(503, 504)}); err != nil {
			t.Error(err)
		}
	})
	t.Run("one swallows connections and another does not", func(t *testing.T) {
		t.Parallel()
		s := b.session(t, sessionOptions{morePods: holes[:1]}, nil)
		for range 4 {
			if err := s.connect().run([]step{sends(postX), gets(200, "ok")}); err != nil {
				t.Error(err)
			}
		}
		if got := s.noted(); !slices.Equal(got, slices.Repeat([]string{"POST /x"}, 4)) {
			t.Errorf("at the pod were %q", got)
		}
	})
	t.Run("one refuses connections and another does not", func(t *testing.T) {
		t.Parallel()
		s := b.session(t, sessionOptions{morePods: []string{unused}}, nil)
		for range 4 {
			if err := s.connect().run([]step{sends(postX), gets(200, "ok")}); err != nil {
				t.Error(err)
			}
		}
		if got := s.noted(); !slices.Equal(got, slices.Repeat([]string{"POST /x"}, 4)) {
			t.Errorf("at the pod were %q", got)
		}
	})
	t.Run("all refuse connections", func(t *testing.T) {
		t.Parallel()
		s := b.session(t, sessionOptions{wakeUpTimeout: time.Second, morePods: []string{unused, "127.0.0.2:1"}, noPod: true}, nil)
		if err := s.connect().run([]step{sends(getX), isRefused(503, 504)}); err != nil {
			t.Error(err)
		}
	})
}
