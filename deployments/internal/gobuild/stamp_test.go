package gobuild_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/deployments/internal/gobuild"
)

func TestReadStamp_NamesTheCommitAndWhetherFilesChangedSince(t *testing.T) {
	root := newModule(t, map[string]string{"VERSION": "1.2.3\n"})
	expect := func(revision string) {
		t.Helper()
		stamp, err := gobuild.ReadStamp(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		if stamp.Version != "1.2.3" || !regexp.MustCompile("^"+revision+"$").MatchString(stamp.Revision) {
			t.Errorf("stamp is %+v, want revision %s", stamp, revision)
		}
	}
	git := func(args ...string) {
		t.Helper()
		command := exec.Command("git", append([]string{"-C", root, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, said)
		}
	}
	expect("unknown")
	git("init", "--quiet")
	git("add", "VERSION")
	git("commit", "--quiet", "-m", "first")
	git("tag", "v1.2.3")
	expect("[0-9a-f]{40}")
	if err := os.WriteFile(filepath.Join(root, "VERSION"), []byte("1.2.3"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("[0-9a-f]{40}-dirty")
}

func TestReadStamp_IgnoresARepositoryAround(t *testing.T) {
	outer := t.TempDir()
	if said, err := exec.Command("git", "init", "--quiet", outer).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	root := filepath.Join(outer, "inner")
	if err := os.Mkdir(root, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "VERSION"), []byte("1.2.3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stamp, err := gobuild.ReadStamp(t.Context(), root)
	if diff := cmp.Diff(gobuild.Stamp{Version: "1.2.3", Revision: "unknown"}, stamp); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestReadStamp_RefusesWhatIsNoVersion(t *testing.T) {
	for what, files := range map[string]map[string]string{
		"no file":   {},
		"empty":     {"VERSION": ""},
		"with a v":  {"VERSION": "v1.2.3\n"},
		"two lines": {"VERSION": "1.2.3\n1.2.4\n"},
		"a flag":    {"VERSION": "1.2.3 -X main.evil=1"},
	} {
		t.Run(what, func(t *testing.T) {
			if stamp, err := gobuild.ReadStamp(t.Context(), newModule(t, files)); err == nil || !strings.Contains(err.Error(), "VERSION") {
				t.Errorf("got %+v, %v", stamp, err)
			}
		})
	}
}

func TestCompile_LeavesAProgramWithoutAStampAsItIs(t *testing.T) {
	module := newModule(t, map[string]string{"go.mod": goMod, "main.go": "package main\n\nfunc main() {}\n"})
	stamp := gobuild.Stamp{Version: "1.2.3", Revision: "abc"}
	out := filepath.Join(t.TempDir(), "sample")
	if err := gobuild.Compile(t.Context(), gobuild.Program{Module: module, Package: ".", Arch: runtime.GOARCH, Stamp: stamp}, out); err != nil {
		t.Error(err)
	}
}
