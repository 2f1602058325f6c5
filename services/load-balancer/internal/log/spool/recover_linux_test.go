package spool

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// wholeOnes are the entries in a file's content, found as simply as can be.
func wholeOnes(content []byte) (all []string) {
	lines := strings.SplitAfter(string(content), "\n")
	for i := 0; i+1 < len(lines); i++ {
		if _, _, ok := split([]byte(lines[i] + lines[i+1])); ok {
			all = append(all, lines[i]+lines[i+1])
			i++
		}
	}
	return all
}

// Whatever is in the files: the spool opens, ships every whole entry and nothing else, shows the
// same ones, and goes on.
func FuzzOpen(f *testing.F) {
	e := entry(access, 1, 20)
	f.Add([]byte(e+e), []byte(e))
	f.Add([]byte(e[:30]+e), []byte(e+e[:60]))
	f.Add([]byte("{\"create\":{}}\n{}\n"+e), []byte(strings.SplitAfter(e, "\n")[0]+e))
	f.Add([]byte("\n\n\x00"+e+"\n{}\n"), []byte(strings.Repeat("y", 3*maxEntry)+"\n"+e))
	f.Add([]byte(strings.Repeat("y", 3*maxEntry)+e), []byte(strings.SplitAfter(e, "\n")[0]+"{"+strings.Repeat("y", maxEntry)+"}\n"+e))
	f.Fuzz(func(t *testing.T, older, newer []byte) {
		o := options(t.TempDir())
		o.Outbox = true
		for n, content := range [][]byte{older, newer} {
			if err := os.WriteFile(segmentPath(o.Dir, uint64(n+1)), content, fileMode); err != nil {
				t.Fatal(err)
			}
		}
		added := entry(access, 2, 1)
		want := slices.Concat(wholeOnes(older), wholeOnes(newer), []string{added})
		s := open(t, o)
		offer(t, s, added)
		var shown []string
		for _, document := range slices.Backward(all(t, s)) {
			shown = append(shown, document)
		}
		if !slices.Equal(shown, documents(want)) {
			t.Errorf("shows %d, want %d", len(shown), len(want))
		}
		out := s.Outbox()
		defer out.Close()
		if got := ship(t, out, s, 1<<10); got != strings.Join(want, "") {
			t.Errorf("ships %q, want %q", got, want)
		}
	})
}

func all(t *testing.T, s *Spool) []string {
	t.Helper()
	found, _ := newest(t, s, access, "")
	return found
}

func documents(entries []string) (all []string) {
	for _, e := range entries {
		if strings.HasPrefix(e, string(actionStart)+access+`"`) {
			all = append(all, document(e))
		}
	}
	return all
}

// A disk that is really full: entries wait in memory, then are lost and counted; what was written
// stays whole; and when there is space all goes on by itself.
func TestSpool_OutlastsAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	o := options(dir)
	o.QueueBytes, o.Outbox = 64<<10, true
	s := open(t, o)
	ballast := dir + "/ballast"
	if err := os.WriteFile(ballast, make([]byte, 100<<10), fileMode); err != nil {
		t.Fatal(err)
	}
	taken, refused := 0, 0
	for i := 0; refused < 10; i++ {
		if s.Offer([]byte(entry(access, taken, 900))) {
			taken++
		} else if refused++; refused == 1 && s.Flush(t.Context()) == nil {
			refused = 0 // the writer was only late
		}
	}
	stats := s.Stats()
	if stats.Failing == nil || int(dropped(s, dropQueueFull)) < 10 || testutil.ToFloat64(s.metrics.writeErrors) == 0 {
		t.Fatalf("the disk is full: %+v", stats)
	}
	if got := all(t, s); len(got) == 0 || len(got) != int(stats.Written) {
		t.Errorf("shows %d of the %d that were written", len(got), stats.Written)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for s.Flush(t.Context()) != nil { // each try tells of a failure, or that all is written
	}
	out := s.Outbox()
	defer out.Close()
	if got := shipped(t, s, out); len(got) != taken || s.Stats().Failing != nil {
		t.Errorf("ships %d of %d: %+v", len(got), taken, s.Stats())
	}
	shut(t, s)
}

func shipped(t *testing.T, s *Spool, out *Outbox) []string {
	t.Helper()
	return wholeOnes([]byte(ship(t, out, s, 1<<20)))
}

// Where nobody ships, a full disk costs the oldest entries and not the newest.
func TestSpool_MakesRoomOnAFullDiskWhereItIsTheStore(t *testing.T) {
	o := options(smallDisk(t))
	o.MaxBytes = 8 * 32 << 10 // as much as the disk, which has less
	s := open(t, o)
	const n = 400
	for i := range n {
		offer(t, s, entry(access, i, 900))
	}
	got := all(t, s)
	if len(got) == 0 || got[0] != document(entry(access, n-1, 900)) || len(got)+int(testutil.ToFloat64(s.metrics.agedRecords)) != n {
		t.Errorf("%d are left, %v went by age, of %d", len(got), testutil.ToFloat64(s.metrics.agedRecords), n)
	}
	if testutil.ToFloat64(s.metrics.writeErrors) == 0 || s.Stats().Failing != nil {
		t.Errorf("the disk was never full, or is: %+v", s.Stats())
	}
	shut(t, s)
}

// smallDisk is a file system of its own, of 256 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system cannot be mounted here (that needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

const killedDir = "NEMESIS_TEST_KILLED_SPOOL"

// TestMain is also the process that is killed: it offers entries as fast as it can, and tells how
// many are written.
func TestMain(m *testing.M) {
	dir, ok := os.LookupEnv(killedDir)
	if !ok {
		os.Exit(m.Run())
	}
	begin, _ := strconv.Atoi(os.Args[1])
	o := options(dir)
	o.MaxBytes, o.Outbox = 64<<20, true
	s := Open(o)
	if err := s.Stats().Failing; err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for n := begin; ; n++ {
		s.Offer([]byte(entry(access, n, 200)))
		if n%16 == 0 {
			fmt.Println(begin + int(s.Stats().Written))
		}
		if n%512 == 0 {
			_ = s.Flush(context.Background())
		}
	}
}

func TestSpool_HasWhatWasWrittenBeforeAKillExactlyOnce(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes, o.Outbox = 64<<20, true
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	next, total := 0, 0
	for kill := range 10 {
		child := exec.CommandContext(t.Context(), os.Args[0], strconv.Itoa(next))
		child.Env = append(os.Environ(), killedDir+"="+o.Dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var begun sync.Once
		killSoon := func() {
			time.AfterFunc(time.Duration(random.IntN(60))*time.Millisecond, func() { _ = child.Process.Kill() })
		}
		if kill%3 == 0 { // maybe before anything is written; on a busy machine that is always
			begun.Do(killSoon)
		}
		written := next
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if written, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			if written > next {
				begun.Do(killSoon)
			}
		}
		_ = child.Wait()

		o.Registry = prometheus.NewRegistry()
		s := open(t, o)
		box := s.Outbox()
		for _, e := range shipped(t, s, box) {
			if want := entry(access, next, 200); e != want {
				t.Fatalf("%q, want %q", e, want)
			}
			next++
			total++
		}
		if next < written {
			t.Fatalf("%d are there of %d that were told to be written", next, written)
		}
		box.Close()
		shut(t, s)
	}
	t.Logf("%d entries over 10 kills, each once", total)
	if total == 0 {
		t.Error("nothing was written before the kills")
	}
}

func BenchmarkOffer(b *testing.B) {
	o := options(b.TempDir())
	o.MaxBytes = 256 << 20
	s := open(b, o)
	e := []byte(entry(access, 1, 1000))
	b.SetBytes(int64(len(e)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Offer(e)
		}
	})
	b.ReportMetric(dropped(s, dropQueueFull)/float64(b.N), "dropped/op")
}

func BenchmarkScan(b *testing.B) {
	o := options(b.TempDir())
	s := open(b, o)
	for i := range 10000 {
		offerOne(b, s, entry(access, i, 1000))
	}
	if err := s.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(s.Stats().Bytes)
	for b.Loop() {
		if found, _ := newest(b, s, scaling, ""); len(found) > 0 {
			b.Fatal("found")
		}
	}
}

func offerOne(b *testing.B, s *Spool, e string) {
	b.Helper()
	for !s.Offer(bytes.Clone([]byte(e))) {
		_ = s.Flush(b.Context())
	}
}
