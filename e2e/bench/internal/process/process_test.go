package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParents_ReadsEveryName(t *testing.T) {
	for _, c := range []struct {
		stat        string
		pid, parent int
		ok          bool
	}{
		{"7 (nginx) S 1 7 7 0", 7, 1, true},
		{"7 (a (b) c) R 42 7", 7, 42, true},
		{"7 () S 3 4", 7, 3, true},
		{"7 nginx S 1", 0, 0, false},
		{"x (nginx) S 1 2", 0, 1, false},
		{"7 (nginx) S", 0, 0, false},
		{"", 0, 0, false},
	} {
		pid, parent, ok := parents([]byte(c.stat))
		if ok != c.ok || ok && (pid != c.pid || parent != c.parent) {
			t.Errorf("%q: %d below %d, %v", c.stat, pid, parent, ok)
		}
	}
}

func FuzzParents(f *testing.F) {
	f.Add([]byte("7 (a (b) c) R 42 7"))
	f.Add([]byte(") ("))
	f.Fuzz(func(_ *testing.T, stat []byte) { parents(stat) })
}

func TestProcess_CountsItsChildrenAndEndsThem(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	// The shell starts a child, says so, and both wait for the end.
	script := `cat <&3 & echo $!; trap 'kill $!; exit 0' TERM; wait`
	fifo := filepath.Join(t.TempDir(), "fifo")
	p, err := Start(Options{Path: "sh", Args: []string{"-c", "mkfifo " + fifo + "; exec 3<>" + fifo + "; " + script}, Out: out})
	if err != nil {
		t.Fatal(err)
	}
	for len(p.tree) < 2 && !p.Ending() {
		if err := p.Settle(); err != nil {
			t.Fatal(err)
		}
	}
	cpu, err := p.CPU()
	if err != nil || cpu <= 0 {
		t.Errorf("CPU %v, %v", cpu, err)
	}
	if rss, err := p.RSS(); err != nil || rss <= 0 {
		t.Errorf("memory %d, %v", rss, err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if !p.Ending() {
		t.Error("it runs after Stop")
	}
	if err := p.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
	if _, err := p.CPU(); err == nil {
		t.Error("a process that has ended has CPU time")
	}
}

func TestStart_WritesWhatItSaysToTheFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	p, err := Start(Options{Path: "sh", Args: []string{"-c", "echo $GREETING; exit 3"}, Env: []string{"GREETING=hello"}, Out: out})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	said, err := os.ReadFile(out)
	if err != nil || strings.TrimSpace(string(said)) != "hello" {
		t.Errorf("%q, %v", said, err)
	}
}

func TestDescendants_HasThisProcessBelowItsParent(t *testing.T) {
	tree, err := descendants(os.Getppid())
	if err != nil || !slices.Contains(tree, os.Getpid()) {
		t.Errorf("%v has no %d, %v", tree, os.Getpid(), err)
	}
}
