package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// alone runs a test in a network of its own, which it may cut, in a process of its own.
func alone(t *testing.T) (isChild bool) {
	t.Helper()
	const mark = "NEMESIS_TEST_ALONE"
	if os.Getenv(mark) != "" {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Skipf("the network cannot be changed: %v %s", err, out)
		}
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("there is no ip")
	}
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), mark+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := child.CombinedOutput()
	if _, ran := errors.AsType[*exec.ExitError](err); err != nil && !ran {
		t.Skipf("there is no network of its own: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// A pod that the network has cut off acknowledges nothing: whoever waits for it hears of it after
// keep-alive probes have gone unanswered, and whoever sends to it by what is not acknowledged.
func TestSetUserTimeout_NoticesAPeerThatIsCutOff(t *testing.T) {
	if !alone(t) {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialer := PodDialer()
	dialer.KeepAliveConfig.Idle, dialer.KeepAliveConfig.Interval = time.Second, time.Second // the least there is
	cut, faults := make(chan struct{}), make(chan error, 2)
	for _, sends := range []bool{false, true} {
		c, err := dialer.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = peer.Close() }()
		if err := SetUserTimeout(c, 500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		go func() {
			<-cut
			if sends {
				_, _ = io.WriteString(c, "hello")
			}
			_, err := c.Read(make([]byte, 1))
			faults <- err
		}()
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "down").CombinedOutput(); err != nil {
		t.Skipf("the network cannot be cut: %v %s", err, out)
	}
	close(cut)
	for range 2 {
		if err := <-faults; !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("it ended with %v", err)
		}
	}
}
