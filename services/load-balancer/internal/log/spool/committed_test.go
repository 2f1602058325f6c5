package spool

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func TestCommitted_IsReadAsItWasWrittenLast(t *testing.T) {
	dir, random := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	all := []committed{{}, {math.MaxUint64, math.MaxInt64, math.MaxInt64}, {1, 0, 0}, {math.MaxUint64, 1, 1}}
	for range 200 {
		all = append(all, committed{random.Uint64() >> random.IntN(64), random.Int64() >> random.IntN(63), random.Int64() >> random.IntN(63)})
	}
	for _, c := range all {
		if err := c.write(dir); err != nil {
			t.Fatal(err)
		}
		if got := readCommitted(dir); got != c {
			t.Fatalf("%+v is read as %+v", c, got)
		}
		if info, err := os.Stat(filepath.Join(dir, committedFile)); err != nil || info.Size() != committedBytes {
			t.Fatalf("the file has %d bytes, want %d: %v", info.Size(), committedBytes, err)
		}
	}
}

func TestCommitted_TakesThePlaceOfAnOlderVersions(t *testing.T) {
	dir := t.TempDir()
	old, _ := json.Marshal(committed{7, 123456, 99})
	if err := os.WriteFile(filepath.Join(dir, committedFile), append(old, '\n'), fileMode); err != nil {
		t.Fatal(err)
	}
	if got := readCommitted(dir); got != (committed{7, 123456, 99}) {
		t.Fatalf("an older version's is read as %+v", got)
	}
	if err := (committed{8, 1, 1}).write(dir); err != nil {
		t.Fatal(err)
	}
	if got := readCommitted(dir); got != (committed{8, 1, 1}) {
		t.Errorf("after it: %+v", got)
	}
}

func TestCommitted_SaysThatItCannotBeWritten(t *testing.T) {
	if err := (committed{}).write(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error")
	}
}
