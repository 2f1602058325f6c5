package node

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestBoundedLog_KeepsTheLastFilesOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part.log")
	log := newBoundedLog(path)
	block := bytes.Repeat([]byte("x"), logLimit/4)
	for range 11 {
		if n, err := log.Write(block); n != len(block) || err != nil {
			t.Fatalf("wrote %d: %v", n, err)
		}
	}
	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > logLimit {
			t.Errorf("%s has %d bytes, the limit is %d", name, info.Size(), logLimit)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("there are %d files, want 2", len(entries))
	}
}

func TestBoundedLog_GoesOnInAnExistingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part.log")
	for _, text := range []string{"before\n", "after\n"} {
		if _, err := newBoundedLog(path).Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(content) != "before\nafter\n" {
		t.Errorf("%q", content)
	}
}

func TestBoundedLog_NeverFailsItsWriter(t *testing.T) {
	log := newBoundedLog(filepath.Join(t.TempDir(), "missing", "part.log"))
	if n, err := log.Write([]byte("text")); n != 4 || err != nil {
		t.Errorf("wrote %d: %v", n, err)
	}
}
