package app_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// aloneInProcess runs a test in a process of its own, whose limits it may change.
func aloneInProcess(t *testing.T) (isChild bool) {
	t.Helper()
	const mark = "NEMESIS_TEST_ALONE"
	if os.Getenv(mark) != "" {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), mark+"=1")
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// exhaust leaves the process no descriptor, until release is called.
func exhaust(t *testing.T) (release func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	// Below the number of every one that may be closed meanwhile, by whoever has something to do with the controller:
	// the first three are always in use.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(os.DevNull); err == nil {
		_ = f.Close()
		t.Fatal("there is one left")
	}
	return func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) }
}

// That this machine has no descriptor left is no fault of a pod: the answer is 503, no pod is left
// out, and it is counted.
func TestConformance_NoFileLeft(t *testing.T) {
	if !aloneInProcess(t) {
		return
	}
	b := newBed(t, nil)
	s := b.session(t, sessionOptions{}, nil)
	w := s.connect()
	if err := w.run([]step{sends("GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"), isRefused(404)}); err != nil {
		t.Fatal(err)
	}
	release := exhaust(t)
	err := w.run([]step{sends(getX), isRefused(503), sends(postX), isRefused(503)})
	release()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.run([]step{sends(postX), gets(200, "ok"), isKept()}); err != nil {
		t.Error(err)
	}
	if got := s.noted(); !slices.Equal(got, []string{"POST /x", "GET /probe"}) {
		t.Errorf("at the pod were %q", got)
	}
	r, metrics := get(t, client(t), b.balancer.admin+"/metrics")
	if r.StatusCode != http.StatusOK || !strings.Contains(metrics, fmt.Sprintf(`nemesis_lb_rejected_total{deployment="app-%s",namespace="default",reason="local-limit"} 2`, s.id)) {
		t.Error("it is not counted")
	}
	testwait.Until(t, "nothing is in flight", func() bool { return b.idle(t, s.id) })
}
