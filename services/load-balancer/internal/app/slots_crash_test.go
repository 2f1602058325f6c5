package app_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

const (
	processController = "NEMESIS_TEST_PROCESS_CONTROLLER"
	processName       = "NEMESIS_TEST_PROCESS_NAME"
)

// TestProcess is no test: it is a load balancer in a process of its own, which another test kills.
func TestProcess(t *testing.T) {
	url := os.Getenv(processController)
	if url == "" {
		t.Skip("for other tests")
	}
	s, err := app.Load([]string{
		"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-peer-listen", "127.0.0.1:0", "-controller-url", url,
		"-identity", os.Getenv(processName), "-log-spool-dir", t.TempDir(), "-log-level", "error", "-authentication", "optional",
	}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.Encryption.ClearText = true
	a, err := app.New(t.Context(), s, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.WriteString("ADDRESS " + a.DataAddr().String() + "\n")
	_ = a.Run(context.Background()) // until it is killed
}

// process starts a load balancer that can be killed.
func process(t *testing.T, controllerURL, name string) (b *balancer, kill func()) {
	t.Helper()
	program := exec.Command(os.Args[0], "-test.run=^TestProcess$", "-test.v")
	program.Env = append(os.Environ(), processController+"="+controllerURL, processName+"="+name)
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = program.Process.Kill()
			_ = program.Wait()
		}
	}
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "ADDRESS "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return &balancer{url: "http://" + address}, kill
		}
	}
	t.Fatal("the process said no address")
	return nil, nil
}

func TestSlots_HoldWhenALoadBalancerIsKilledInTheMiddleOfItsRequests(t *testing.T) {
	for _, c := range []struct{ name, killed, stays string }{
		{"one of the two", "lb-killed-1", "lb-stays-1"},
		{"the other", "lb-2-killed", "lb-2-stays"},
		{"a third pair, so that one of them lends", "killed-3", "stays-3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pods := []*slotPod{newSlotPod(t, work), newSlotPod(t, work)}
			controller, url := sharedController(t, pods...)
			dies, kill := process(t, url, c.killed)
			stays := sharing(t, url, c.stays)
			lost, l := &load{stop: make(chan struct{})}, &load{stop: make(chan struct{})}
			lost.through(dies, 4)
			l.through(stays, 4)
			testwait.Until(t, "both serve", func() bool { return lost.served.Load() > 50 && l.served.Load() > 50 })
			kill()
			controller.bury(c.killed)
			before := l.served.Load()
			next := sharing(t, url, c.killed) // its container starts again
			l.through(next, 4)
			testwait.Until(t, "the others go on", func() bool { return l.served.Load() > before+200 })
			l.end(t)
			close(lost.stop)
			lost.done.Wait()
			for i, p := range pods {
				if p.most.Load() != 1 {
					t.Errorf("pod %d had %d at a time", i, p.most.Load())
				}
			}
		})
	}
}
