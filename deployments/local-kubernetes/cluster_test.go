//go:build cluster

// These tests start and break real clusters, as root. They run in a network namespace and a cache
// directory of their own, so a cluster that is in use on the same machine is not touched:
//
//	go test -tags cluster -timeout 40m ./local-kubernetes
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/health"
)

const insideOwnNetwork = "NEMESIS_TEST_OWN_NETWORK"

// TestMain runs the tests once more in a network namespace of their own.
func TestMain(m *testing.M) {
	if os.Getenv(insideOwnNetwork) == "" {
		again := exec.Command("/proc/self/exe", os.Args[1:]...)
		again.Env = append(os.Environ(), insideOwnNetwork+"=1")
		again.Stdout, again.Stderr = os.Stdout, os.Stderr
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		err := again.Run()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit):
			os.Exit(exit.ExitCode())
		case err != nil:
			fmt.Fprintln(os.Stderr, "a network namespace for the tests:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	loopback, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(loopback)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loopback:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestCluster_RunsPodsAndLeavesNothing(t *testing.T) {
	b := newBench(t)
	b.must("up")
	b.deploy()
	if out := b.must("up"); !strings.Contains(out, "is up already") {
		t.Errorf("up of a cluster that is up says:\n%s", out)
	}
	b.must("down")
	b.expectNothingLeft()
}

func TestCluster_RestartsAPartThatIsKilled(t *testing.T) {
	b := newBench(t)
	b.must("up")
	b.deploy()
	pods := b.processes("kubectl proxy")
	if len(pods) != 1 {
		t.Fatalf("the pod runs these processes: %q", pods)
	}
	for _, name := range []string{"containerd", "kubelet", "etcd", "kube-apiserver"} {
		killed := b.part(name)
		b.check(killed.Kill())
		err := health.Until(t.Context(), name+" again", patience(), func(context.Context) error {
			if killed.Alive() {
				return errors.New("it is still alive")
			}
			if len(b.runs(name)) == 0 {
				return errors.New("it was not started again")
			}
			return nil
		})
		b.check(err)
	}
	err := health.Until(t.Context(), "recovery", patience(), func(context.Context) error {
		out, err := b.command("up").CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	})
	b.check(err)
	b.deploy()
	if now := b.processes("kubectl proxy"); !slices.Equal(now, pods) {
		t.Errorf("the pod's process was %q and is %q", pods, now)
	}
	out, _ := b.command("status").CombinedOutput()
	if !strings.Contains(string(out), "killed by") {
		t.Errorf("status does not tell of the restarts:\n%s", out)
	}
	b.must("down")
	b.expectNothingLeft()
}

func TestCluster_ComesUpAfterTheNodeWasKilled(t *testing.T) {
	b := newBench(t)
	b.must("up")
	b.deploy()
	for _, line := range b.processes("node-first-process") {
		var pid int
		_, err := fmt.Sscan(line, &pid)
		b.check(err)
		b.check(unix.Kill(pid, unix.SIGKILL))
	}
	b.must("up")
	b.deploy()
	b.must("down")
	b.expectNothingLeft()
}

// halfWay starts `up` and waits until the API server's process runs.
func (b *bench) halfWay() (*exec.Cmd, *bytes.Buffer) {
	b.t.Helper()
	up := b.command("up")
	var out bytes.Buffer
	up.Stdout, up.Stderr = &out, &out
	b.check(up.Start())
	err := health.Until(b.t.Context(), "half the way", patience(), func(context.Context) error {
		if len(b.runs("kube-apiserver")) == 0 {
			return errors.New("the API server was not started")
		}
		return nil
	})
	b.check(err)
	return up, &out
}

func TestUp_CleansUpWhenInterrupted(t *testing.T) {
	b := newBench(t)
	up, out := b.halfWay()
	b.check(up.Process.Signal(os.Interrupt))
	if err := up.Wait(); err == nil {
		t.Error("an interrupted up reports success")
	}
	if !strings.Contains(out.String(), "interrupted") {
		t.Errorf("it says:\n%s", out)
	}
	b.expectNothingLeft()
}

func TestDown_RemovesWhatAKilledLauncherLeft(t *testing.T) {
	b := newBench(t)
	up, _ := b.halfWay()
	b.check(up.Process.Kill())
	_ = up.Wait()
	b.must("down")
	b.expectNothingLeft()
}

func TestUp_RefusesASecondOneAtTheSameTime(t *testing.T) {
	b := newBench(t)
	up, out := b.halfWay()
	second, err := b.command("up").CombinedOutput()
	if err == nil || !strings.Contains(string(second), "is changing this cluster") {
		t.Errorf("the second up: %v\n%s", err, second)
	}
	if err := up.Wait(); err != nil {
		t.Errorf("the first up: %v\n%s", err, out)
	}
	b.must("down")
	b.expectNothingLeft()
}

func TestUp_NamesThePartThatFailsAndItsLog(t *testing.T) {
	b := newBench(t)
	broken := b.place.Bin("containerd")
	b.check(os.Remove(broken)) // only the link: the program itself is the user's
	b.check(os.WriteFile(broken, []byte("#!/bin/sh\necho the disk is on fire\nexit 3\n"), 0o755))
	out, err := b.command("up").CombinedOutput()
	if err == nil {
		t.Fatal("up succeeds without a container runtime")
	}
	log := filepath.Join(b.place.Cache(), "failed-logs", "containerd.log")
	for _, part := range []string{"containerd: exit status 3", "the disk is on fire", log} {
		if !strings.Contains(string(out), part) {
			t.Errorf("%q is missing in:\n%s", part, out)
		}
	}
	if _, err := os.Stat(log); err != nil {
		t.Error(err)
	}
	b.expectNothingLeft()
}
