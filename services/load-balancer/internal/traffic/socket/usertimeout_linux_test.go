package socket

import (
	"math"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSetUserTimeout_IsWhatTheKernelHas(t *testing.T) {
	client, _ := pair(t)
	for d, want := range map[time.Duration]int{
		10 * time.Second: 10_000, time.Microsecond: 1, 0: 0, -time.Second: 0, math.MaxInt64: 24 * 24 * 3600 * 1000,
	} {
		if err := SetUserTimeout(wrapper{client}, d); err != nil {
			t.Fatalf("%v: %v", d, err)
		}
		if got := userTimeout(t, client); got != want {
			t.Errorf("%v: %d ms, want %d", d, got, want)
		}
	}
}

func TestSetUserTimeout_SaysWhenTheConnectionIsClosed(t *testing.T) {
	client, _ := pair(t)
	_ = client.Close()
	if err := SetUserTimeout(client, time.Second); err == nil {
		t.Error("a closed connection took it")
	}
}

func userTimeout(t *testing.T, c net.Conn) (ms int) {
	t.Helper()
	raw, err := Raw(c)
	if err != nil {
		t.Fatal(err)
	}
	if cause := raw.Control(func(fd uintptr) { ms, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) }); cause != nil || err != nil {
		t.Fatal(cause, err)
	}
	return ms
}
