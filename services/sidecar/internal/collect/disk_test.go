package collect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, path string, size int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
}

func measure(t *testing.T, paths ...string) uint64 {
	t.Helper()
	bytes, err := used(paths, maxFiles)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func TestUsed_CountsEachFileOnceWhereverItLies(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	empty := measure(t, a, b)
	write(t, filepath.Join(a, "x"), 1<<20)
	write(t, filepath.Join(a, "deep", "er", "y"), 2<<20)
	write(t, filepath.Join(b, "z"), 3<<20)
	before := measure(t, a, b) - empty
	if before < 6<<20 || before > 6<<20+64<<10 {
		t.Errorf("6 MiB take %d bytes", before)
	}
	if err := os.Link(filepath.Join(a, "x"), filepath.Join(a, "again")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(b, filepath.Join(a, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if after := measure(t, a, b) - empty; after > before+8<<10 {
		t.Errorf("a second name and a symbolic link add %d bytes", after-before)
	}
}

func TestUsed_SaysWhyThereIsNoSum(t *testing.T) {
	full := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(full, name), 1)
	}
	if _, err := used([]string{full}, 2); err == nil || !strings.Contains(err.Error(), "more than 2 files") {
		t.Errorf("error is %v", err)
	}
	if _, err := used([]string{filepath.Join(full, "none")}, 2); err == nil {
		t.Error("a folder that is not there has no use")
	}
}

func TestUsed_AFolderThatCannotBeReadLeavesNoHalfSum(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "private"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := used([]string{root}, maxFiles); err == nil {
		t.Error("it was left out without a word")
	}
}

func TestDisk_WalksTakeAHundredthOfTheTimeAtMost(t *testing.T) {
	root := t.TempDir()
	d := &disk{paths: []string{root}}
	at := time.Unix(0, 0)
	now := func() time.Time { at = at.Add(50 * time.Millisecond); return at } // so long a walk takes
	first, err := d.read(now)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "x"), 1<<20)
	at = at.Add(4 * time.Second)
	if second, _ := d.read(now); second != first {
		t.Errorf("%d bytes, 4 s after a walk of 50 ms: it walked again", second)
	}
	at = at.Add(time.Second)
	if third, _ := d.read(now); third < first+1<<20 {
		t.Errorf("%d bytes after 5 s: it did not walk again", third)
	}
}
