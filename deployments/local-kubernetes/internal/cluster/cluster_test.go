package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/process"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/progress"
)

func newCluster(t *testing.T) *Cluster {
	t.Helper()
	place := layout.New(t.TempDir())
	if err := makeDirectories(place); err != nil {
		t.Fatal(err)
	}
	return New(place, "", progress.New(os.Stdout))
}

func TestLock_IsForOneAtATime(t *testing.T) {
	c := newCluster(t)
	release, err := c.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.lock(); err == nil || !strings.Contains(err.Error(), "is changing this cluster") {
		t.Errorf("the second lock: %v", err)
	}
	release()
	release, err = c.lock()
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	release()
}

func TestRunning_BelievesOnlyTheVeryProcess(t *testing.T) {
	c := newCluster(t)
	if c.running() != nil {
		t.Error("a cluster runs that was never started")
	}
	self, err := process.Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.writeRecord(record{Node: self, Complete: true}); err != nil {
		t.Fatal(err)
	}
	if found := c.running(); found == nil || !found.Complete {
		t.Errorf("the record of a running node: %+v", found)
	}
	self.StartTicks++
	if err := c.writeRecord(record{Node: self}); err != nil {
		t.Fatal(err)
	}
	if c.running() != nil {
		t.Error("another process with the same number is taken for the node")
	}
	if err := os.WriteFile(c.layout.Record(), []byte("half a rec"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.running() != nil || c.readRecord() != nil {
		t.Error("a broken record is believed")
	}
}

func TestExplain_ShowsTheEndOfTheLogAndKeepsIt(t *testing.T) {
	c := newCluster(t)
	lines := strings.Repeat("an early line\n", 5000) + "the reason\n"
	if err := os.WriteFile(c.layout.Log("etcd"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	err := c.explain(&partError{part: "etcd", what: errors.New("exit status 1")})
	kept := filepath.Join(c.layout.Cache(), "failed-logs", "etcd.log")
	for _, want := range []string{"etcd: exit status 1", "the reason", kept} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if count := strings.Count(err.Error(), "an early line"); count != tailLines-1 {
		t.Errorf("%d lines before the last", count)
	}
	if content, err := os.ReadFile(kept); err != nil || string(content) != lines {
		t.Errorf("the log was not kept: %v", err)
	}
}

func TestExplain_SaysThatALogIsEmpty(t *testing.T) {
	c := newCluster(t)
	err := c.explain(&partError{part: "etcd", what: errors.New("exit status 1")})
	if !strings.Contains(err.Error(), "is empty") {
		t.Error(err)
	}
}

func TestUp_NeedsTheSources(t *testing.T) {
	if _, err := newCluster(t).builds(); err == nil || !strings.Contains(err.Error(), "checkout") {
		t.Errorf("without sources: %v", err)
	}
}
