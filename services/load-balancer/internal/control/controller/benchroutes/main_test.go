//go:build linux

package main

import (
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestJudge_SaysWhatIsMissed(t *testing.T) {
	for _, c := range []struct {
		what        string
		r           result
		met, missed int
	}{
		{"both met", result{Routes: 10, BalancerCore: 0.02, WholeTenUs: 20.5, WholeAloneUs: 20}, 2, 0},
		{"both missed", result{Routes: 10, BalancerCore: 0.04, WholeTenUs: 22, WholeAloneUs: 20}, 0, 2},
		{"cheaper is met", result{Routes: 10, BalancerCore: 0.03, WholeTenUs: 18, WholeAloneUs: 20}, 2, 0},
		{"whole requests left out", result{Routes: 10, BalancerCore: 0.01}, 1, 0},
	} {
		var out strings.Builder
		judge(&out, c.r)
		if met, missed := strings.Count(out.String(), "  met\n"), strings.Count(out.String(), "  missed\n"); met != c.met || missed != c.missed {
			t.Errorf("%s:\n%s", c.what, out.String())
		}
	}
}

func TestPaths_AreOfDifferentRoutesThatExist(t *testing.T) {
	for _, c := range []struct{ routes, apps int }{{10, 10}, {10_000, 10}, {1000, 1000}} {
		seen := map[string]bool{}
		for _, p := range paths(c.routes, c.apps) {
			seen[p] = true
		}
		if len(seen) != c.apps {
			t.Errorf("%d of %d routes: %d paths", c.apps, c.routes, len(seen))
		}
	}
}

func TestServePod_AnswersEachRequestOfAConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go servePod(l)
	c, err := connect(l.Addr().String(), "/model-00001/v1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.conn.Close() }()
	for range 3 {
		if err := c.request("/model-00002/v1"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProcessCPU_IsThatOfAProcessThatRuns(t *testing.T) {
	before, err := processCPU(os.Getpid())
	if err != nil || before <= 0 {
		t.Fatalf("%v, %v", before, err)
	}
	runtime.LockOSThread() // the loop is to be over when this thread has used so much, and not when it is on another one
	defer runtime.UnlockOSThread()
	for began, x := threadCPU(), 0; threadCPU()-began < 5*time.Millisecond; x++ {
	}
	if after, err := processCPU(os.Getpid()); err != nil || after-before < 5*time.Millisecond {
		t.Errorf("%v after %v, %v", after, before, err)
	}
	if _, err := processCPU(1 << 22); err == nil {
		t.Error("a process that is not there has CPU time")
	}
}
