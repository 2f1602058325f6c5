package spool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const (
	access  = "logs-nemesis.access-default"
	scaling = "logs-nemesis.scaling-default"
)

// entry is one with a number, padded to about so many bytes.
func entry(index string, n, padding int) string {
	return fmt.Sprintf(`{"create":{"_index":"%s","_id":"id.%d"}}`+"\n"+`{"n":%d,"pad":"%s"}`+"\n", index, n, n, strings.Repeat("x", padding))
}

func document(e string) string { return strings.TrimSuffix(e[strings.IndexByte(e, '\n')+1:], "\n") }

func options(dir string) Options {
	return Options{
		Dir: dir, MaxBytes: 1 << 30, QueueBytes: 16 << 20, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	}
}

func open(tb testing.TB, o Options) *Spool {
	tb.Helper()
	s := Open(o)
	if err := s.Stats().Failing; err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func shut(tb testing.TB, s *Spool) {
	tb.Helper()
	if err := s.Close(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func offer(tb testing.TB, s *Spool, entries ...string) {
	tb.Helper()
	for _, e := range entries {
		if !s.Offer([]byte(e)) {
			tb.Fatalf("refused: %.80q", e)
		}
	}
	if err := s.Flush(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// newest is what a scan gives, and the places.
func newest(tb testing.TB, s *Spool, index, after string) (documents, places []string) {
	tb.Helper()
	scan, err := s.Scan(index, after)
	if err != nil {
		tb.Fatal(err)
	}
	defer scan.Close()
	for {
		d, err := scan.Next()
		if err != nil {
			tb.Fatal(err)
		}
		if d == nil {
			return documents, places
		}
		documents, places = append(documents, string(d)), append(places, scan.Place())
	}
}

// next is the next batch, which must be whole entries, as many as it says.
func next(tb testing.TB, o *Outbox, maxBytes int, maxWait time.Duration) (body string, records int) {
	tb.Helper()
	source, size, records, err := o.Next(tb.Context(), maxBytes, maxWait)
	if err != nil {
		tb.Fatal(err)
	}
	raw := make([]byte, size)
	if n, err := source.ReadAt(raw, 0); n < len(raw) {
		tb.Fatal(err)
	}
	w, found := window{size: size}, 0
	for e, err := w.next(bytes.NewReader(raw)); e != nil || err != nil; e, err = w.next(bytes.NewReader(raw)) {
		if err != nil {
			tb.Fatal(err)
		}
		found++
	}
	if found != records || w.garbage > 0 {
		tb.Fatalf("%d entries and %d bytes of garbage in a batch that says %d: %q", found, w.garbage, records, raw)
	}
	return string(raw), records
}

// ship takes all that there is to ship.
func ship(tb testing.TB, o *Outbox, s *Spool, maxBytes int) string {
	tb.Helper()
	var all strings.Builder
	for s.Stats().UnshippedBytes > 0 {
		body, _ := next(tb, o, maxBytes, 0)
		all.WriteString(body)
		o.Commit()
	}
	return all.String()
}

func dropped(s *Spool, reason string) float64 { return testutil.ToFloat64(s.metrics.records[reason]) }

func TestSpool_ShowsTheNewestFirstAndOfOneIndexAlone(t *testing.T) {
	s := open(t, options(t.TempDir()))
	if got, _ := newest(t, s, access, ""); len(got) != 0 {
		t.Errorf("an empty spool has %v", got)
	}
	offer(t, s, entry(access, 1, 10), entry(scaling, 2, 10), entry(access, 3, 10))
	got, places := newest(t, s, access, "")
	if want := []string{document(entry(access, 3, 10)), document(entry(access, 1, 10))}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	offer(t, s, entry(access, 4, 10))
	if got, _ = newest(t, s, access, places[0]); len(got) != 1 || got[0] != document(entry(access, 1, 10)) {
		t.Errorf("after the first: %v", got)
	}
	for _, other := range []string{"x", "0123456789abcdef.1.0", s.id + ".1", s.id + ".9.0", s.id + ".1.zzzzzz", s.id + ".1.-1"} {
		if _, err := s.Scan(access, other); !errors.Is(err, ErrPlace) {
			t.Errorf("%s: %v", other, err)
		}
	}
}

// The spool does what a list does, whatever is done to both: offers, shipping, scans, restarts, and
// restarts after the last file was torn.
func TestSpool_IsAListThatSurvivesRestarts(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			o := options(t.TempDir())
			o.MaxBytes, o.Outbox = 64<<20, seed%2 == 0
			if seed%3 == 0 {
				o.MaxBytes = 8 * 4096 // many small segments; what is kept stays below
			}
			s := open(t, o)
			out := s.Outbox()
			var kept []string // all, or what was not shipped
			bytes, number := 0, 0
			for range 120 {
				switch op := random.IntN(10); {
				case op < 6:
					var some []string
					for range 1 + random.IntN(20) {
						e := entry([]string{access, scaling}[random.IntN(2)], number, random.IntN(600))
						if bytes += len(e); seed%3 == 0 && bytes > 24<<10 {
							bytes -= len(e)
							break
						}
						number++
						some = append(some, e)
					}
					offer(t, s, some...)
					kept = append(kept, some...)
				case op < 8 && o.Outbox:
					if got := ship(t, out, s, 1+random.IntN(4000)); got != strings.Join(kept, "") {
						t.Fatalf("shipped %d bytes, want %d", len(got), len(strings.Join(kept, "")))
					}
					kept, bytes = nil, 0
				case op < 9 && !o.Outbox:
					var want []string
					for _, e := range slices.Backward(kept) {
						if strings.Contains(e, access) {
							want = append(want, document(e))
						}
					}
					got, places := newest(t, s, access, "")
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatal(diff)
					}
					if n := len(got); n > 0 {
						from := random.IntN(n)
						if rest, _ := newest(t, s, access, places[from]); !slices.Equal(rest, want[from+1:]) {
							t.Fatalf("from %d on: %d, want %d", from, len(rest), n-from-1)
						}
					}
				case op == 9:
					out.Close()
					shut(t, s)
					if random.IntN(2) == 0 { // as a killed process leaves it: half an entry more
						files, _ := filepath.Glob(filepath.Join(o.Dir, "*"+segmentSuffix))
						if len(files) > 0 {
							e := entry(access, -1, 300)
							tear(t, slices.Max(files), e[:1+random.IntN(len(e)-1)])
						}
					}
					o.Registry = prometheus.NewRegistry()
					s = open(t, o)
					out = s.Outbox()
				}
				stats := s.Stats()
				if o.Outbox && (stats.UnshippedRecords != int64(len(kept)) || (stats.UnshippedBytes == 0) != (len(kept) == 0)) || !o.Outbox && stats.Records != int64(len(kept)) {
					t.Fatalf("%+v, want %d", stats, len(kept))
				}
				if stats.OldestUnshipped.IsZero() != (!o.Outbox || len(kept) == 0) {
					t.Fatalf("age: %+v", stats)
				}
			}
		})
	}
}

func tear(t *testing.T, path, more string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(more); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSpool_TheOldestSegmentGoesWhenAllAreFull(t *testing.T) {
	for _, outbox := range []bool{false, true} {
		o := options(t.TempDir())
		o.MaxBytes, o.Outbox = 80<<10, outbox
		s := open(t, o)
		e := entry(access, 0, 1000)
		out := s.Outbox()
		offer(t, s, e)
		old, places := newest(t, s, access, "")
		if outbox { // the shipper holds the first one
			next(t, out, 1, 0)
		}
		const n = 300
		for i := range n {
			offer(t, s, entry(access, i+1, 1000))
			if files, bytes := onDisk(t, o.Dir); bytes > o.MaxBytes || files > leastSegments+1 {
				t.Fatalf("%d files with %d bytes", files, bytes)
			}
		}
		stats := s.Stats()
		lost, aged := dropped(s, dropSpoolFull), testutil.ToFloat64(s.metrics.agedRecords)
		held := 0
		if outbox {
			held = 1
			out.Commit()
		}
		if lost+aged+float64(stats.Records)+float64(held) != n+1 && outbox || outbox == (lost == 0) || outbox != (aged == 0) {
			t.Errorf("outbox %v: %v lost and %v aged of %d: %+v", outbox, lost, aged, n, stats)
		}
		if _, err := s.Scan(access, places[0]); len(old) != 1 || !errors.Is(err, ErrGone) {
			t.Errorf("the place of what is gone: %v", err)
		}
		if outbox {
			got := ship(t, out, s, 5<<10)
			if first := n + 1 - int(stats.Records); !strings.HasPrefix(got, entry(access, first, 1000)) || !strings.HasSuffix(got, entry(access, n, 1000)) {
				t.Errorf("shipped %.60q first", got)
			}
		}
	}
}

func onDisk(t *testing.T, dir string) (files int, bytes int64) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), segmentSuffix) {
			files++
			bytes += info.Size()
		}
	}
	return files, bytes
}

func TestOffer_NeverWaitsAndCountsWhatItRefuses(t *testing.T) {
	o := options(t.TempDir())
	o.QueueBytes = 4 << 10
	s := open(t, o)
	if stats := s.Stats(); !stats.LostAt.IsZero() || stats.LostWhy != "" {
		t.Errorf("something was lost at %v: %q", stats.LostAt, stats.LostWhy)
	}
	if err := os.RemoveAll(o.Dir); err != nil { // nothing can be written any more
		t.Fatal(err)
	}
	taken := 0
	for i := range 100 {
		if s.Offer([]byte(entry(access, i, 100))) {
			taken++
		}
	}
	if stats := s.Stats(); taken == 0 || taken+int(dropped(s, dropQueueFull)) != 100 || stats.QueueBytes > o.QueueBytes || stats.QueueRecords != int64(taken) {
		t.Errorf("%d taken, %v dropped: %+v", taken, dropped(s, dropQueueFull), stats)
	}
	if stats := s.Stats(); stats.LostAt.IsZero() || stats.LostWhy != dropQueueFull {
		t.Errorf("the last one was lost at %v: %q", stats.LostAt, stats.LostWhy)
	}
	for _, bad := range []string{"", "\n", "x\ny\n", strings.TrimSuffix(entry(access, 1, 1), "\n"), entry(access, 1, 1) + entry(access, 2, 1), entry(access, 1, maxEntry), entry("a b", 1, 1)} {
		if s.Offer([]byte(bad)) {
			t.Errorf("taken: %.60q", bad)
		}
	}
	if got := dropped(s, dropMalformed); got != 7 {
		t.Errorf("%v malformed", got)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(over); err == nil || dropped(s, dropClosed) != float64(taken) || !strings.Contains(err.Error(), fmt.Sprintf("%d entries are lost", taken)) {
		t.Errorf("closed: %v, %v lost", err, dropped(s, dropClosed))
	}
	if s.Offer([]byte(entry(access, 1, 1))) {
		t.Error("taken after the end")
	}
}

func TestSpool_ManyOfferWhileOneShipsAndOneLooks(t *testing.T) {
	o := options(t.TempDir())
	o.Outbox, o.MaxBytes = true, 8<<20
	s := open(t, o)
	const writers, each = 8, 2000
	var offering, looking sync.WaitGroup
	for w := range writers {
		offering.Go(func() {
			for i := range each {
				if !s.Offer([]byte(entry(access, w*each+i, 50))) {
					t.Error("refused")
					return
				}
			}
		})
	}
	stop := make(chan struct{})
	looking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			scan, err := s.Scan(access, "")
			if err != nil {
				t.Error(err)
				return
			}
			for range 50 {
				if _, err := scan.Next(); err != nil {
					t.Error(err)
				}
			}
			scan.Close()
			_ = s.Stats()
		}
	})
	out := s.Outbox()
	seen := map[string]int{}
	for len(seen) < writers*each {
		body, _ := next(t, out, 64<<10, time.Millisecond)
		lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
		for i := 0; i < len(lines); i += 2 {
			seen[lines[i]]++
		}
		out.Commit()
	}
	offering.Wait()
	close(stop)
	looking.Wait()
	for action, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", action, n)
		}
	}
	if stats := s.Stats(); stats.UnshippedRecords != 0 || stats.UnshippedBytes != 0 {
		t.Errorf("%+v", stats)
	}
}

// What cannot be opened keeps nobody from serving: entries wait, those that do not fit are counted, and
// when it can be opened the rest is written.
func TestOpen_TriesAgainForAsLongAsItTakes(t *testing.T) {
	for name, mend := range map[string]func(t *testing.T, dir string) func(){
		"in use by another process": func(t *testing.T, dir string) func() {
			t.Helper()
			o := options(dir)
			s := open(t, o)
			return func() { shut(t, s) }
		},
		"not a directory": func(t *testing.T, dir string) func() {
			t.Helper()
			if err := os.WriteFile(dir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := os.Remove(dir); err != nil {
					t.Error(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(filepath.Join(t.TempDir(), "log"))
			o.QueueBytes, o.Outbox = 1<<10, true
			mended := mend(t, o.Dir)
			o.Registry = prometheus.NewRegistry()
			s := Open(o)
			if err := s.Stats().Failing; err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%v", err)
			}
			var taken []string
			for i := range 20 {
				if e := entry(access, i, 100); s.Offer([]byte(e)) {
					taken = append(taken, e)
				}
			}
			if lost := dropped(s, dropQueueFull); len(taken) == 0 || lost == 0 || len(taken)+int(lost) != 20 {
				t.Errorf("%d taken, %v lost", len(taken), lost)
			}
			if _, err := s.Scan(access, ""); !errors.Is(err, ErrShut) {
				t.Errorf("a search finds %v", err)
			}
			mended()
			for s.Flush(t.Context()) != nil { // each try tells of a failure, or that all is written
			}
			if got := ship(t, s.Outbox(), s, 1<<20); got != strings.Join(taken, "") {
				t.Errorf("shipped %q", got)
			}
			shut(t, s)
		})
	}
}

func TestOpen_WhatNeverCouldBeWrittenIsCountedAsLost(t *testing.T) {
	o := options(t.TempDir())
	open(t, o)
	o.Registry = prometheus.NewRegistry()
	s := Open(o)
	for i := range 3 {
		s.Offer([]byte(entry(access, i, 10)))
	}
	if err := s.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "3 entries are lost") || dropped(s, dropClosed) != 3 {
		t.Errorf("%v, %v lost", err, dropped(s, dropClosed))
	}
}

// A start reads the last segment alone: what stands in the others is taken from the index, and
// counted beside the start where it has nothing of them.
func TestOpen_ReadsTheLastSegmentAlone(t *testing.T) {
	for name, index := range map[string]func(path string) error{
		"index":           func(string) error { return nil },
		"no index":        os.Remove,
		"a useless index": func(path string) error { return os.WriteFile(path, []byte("{}\nrubbish\n"), 0o600) },
		"one that is wrong": func(path string) error {
			return os.WriteFile(path, []byte(`{"segment":1,"size":1,"records":7}`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t.TempDir())
			o.MaxBytes, o.Outbox = 80<<10, true
			s := open(t, o)
			for i := range 30 {
				offer(t, s, entry(access, i, 2000))
			}
			shut(t, s)
			if err := index(filepath.Join(o.Dir, indexFile)); err != nil {
				t.Fatal(err)
			}
			o.Registry = prometheus.NewRegistry()
			all, _, err := loadSegments(o.Dir)
			if err != nil || len(all) < 5 || slices.ContainsFunc(all, func(s *segment) bool { return s.uncounted }) != (name != "index") {
				t.Errorf("%d segments: %v", len(all), err)
			}
			s = open(t, o)
			s.counting.Wait()
			if stats := s.Stats(); stats.UnshippedRecords != 30 {
				t.Errorf("%+v", stats)
			}
			shut(t, s)
		})
	}
}

func TestOutbox_WaitsUntilABatchIsFullOrLate(t *testing.T) {
	o := options(t.TempDir())
	o.Outbox = true
	s := open(t, o)
	out := s.Outbox()
	ended, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, _, err := out.Next(ended, 100, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("nothing is there: %v", err)
	}
	offer(t, s, entry(access, 1, 10), entry(access, 2, 10))
	if body, n := next(t, out, 1<<20, time.Millisecond); n != 2 {
		t.Errorf("late: %q", body)
	}
	if body, n := next(t, out, 100, time.Hour); n != 1 || body != entry(access, 1, 10) {
		t.Errorf("full, and the same again: %q", body)
	}
}

func TestOpen_WritesNothingThatCountsAsAcknowledged(t *testing.T) {
	o := options(t.TempDir())
	o.Outbox = true
	s := open(t, o)
	out := s.Outbox()
	offer(t, s, entry(access, 1, 500), entry(access, 2, 500))
	ship(t, out, s, 1<<20)
	shut(t, s)
	files, _ := filepath.Glob(filepath.Join(o.Dir, "*"+segmentSuffix))
	if err := os.Truncate(files[0], int64(len(entry(access, 1, 500))+10)); err != nil { // a node died: its tail is gone
		t.Fatal(err)
	}
	for restart := range 2 {
		o.Registry = prometheus.NewRegistry()
		s = open(t, o)
		if restart == 0 {
			offer(t, s, entry(access, 3, 0))
		}
		if got := s.Stats().UnshippedRecords; got != 1 {
			t.Errorf("start %d: %d to ship", restart, got)
		}
		shut(t, s)
	}
}

func TestOutbox_AFileThatVanishedIsCountedAndPassedOver(t *testing.T) {
	o := options(t.TempDir())
	o.Outbox, o.MaxBytes = true, 80<<10
	s := open(t, o)
	offer(t, s, entry(access, 1, 6000))
	offer(t, s, entry(access, 2, 6000))
	files, _ := filepath.Glob(filepath.Join(o.Dir, "*"+segmentSuffix))
	if len(files) != 2 {
		t.Fatalf("%v", files)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if got := ship(t, s.Outbox(), s, 1<<20); got != entry(access, 2, 6000) || dropped(s, dropVanished) != 1 {
		t.Errorf("%.60q, %v vanished", got, dropped(s, dropVanished))
	}
}

func TestDeadLetters_KeepWhatWasRefusedWithinABound(t *testing.T) {
	dir, registry := t.TempDir(), prometheus.NewRegistry()
	d := NewDeadLetters(dir, 4<<10, time.Now, registry)
	for i := range 100 {
		if err := d.Add([]byte(entry(access, i, 100)), "mapper_parsing_exception: no"); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Add([]byte("no \x00 entry"), "what is this"); err != nil {
		t.Fatal(err)
	}
	var lines, bytes int
	for _, name := range []string{deadFile, oldDeadFile} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(raw)
		lines += strings.Count(string(raw), "\n")
	}
	again := NewDeadLetters(dir, 4<<10, time.Now, prometheus.NewRegistry())
	if err := again.find(); err != nil || again.bytes != d.bytes {
		t.Errorf("opened again: %v %+v %+v", err, again, d)
	}
	if aged := testutil.ToFloat64(d.aged); bytes > 4<<10 || int(aged)+lines != 101 {
		t.Errorf("%d lines of %d bytes, %v aged", lines, bytes, aged)
	}
	raw, _ := os.ReadFile(filepath.Join(dir, deadFile))
	if !strings.Contains(string(raw), `"why":"mapper_parsing_exception: no","action":{"create"`) || !strings.Contains(string(raw), `"raw":"no \u0000 entry"`) {
		t.Errorf("%s", raw)
	}
}

func TestDeadLetters_GoOnAfterHalfALine(t *testing.T) {
	dir := t.TempDir()
	whole := strings.Repeat(`{"why":"`+strings.Repeat("x", 1000)+"\"}\n", 100) // more than is read at once
	if err := os.WriteFile(filepath.Join(dir, deadFile), []byte(whole+`{"why":"half of it`), 0o600); err != nil {
		t.Fatal(err)
	}
	d := NewDeadLetters(dir, 1<<20, time.Now, prometheus.NewRegistry())
	if err := d.Add([]byte(entry(access, 1, 10)), "no"); err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(filepath.Join(dir, deadFile))
	if rest, ok := strings.CutPrefix(string(raw), whole); !ok || !json.Valid([]byte(rest)) {
		t.Errorf("%q", rest)
	}
}

func TestSegment_RemembersWhenItWasWrittenWithinABound(t *testing.T) {
	var s segment
	began := time.Now()
	const seconds = 100 * maxMarks
	for i := range seconds {
		s.wrote(10, 1, began.Add(time.Duration(i)*time.Second))
	}
	if len(s.marks) > maxMarks {
		t.Errorf("%d marks", len(s.marks))
	}
	for i := range seconds {
		if off := began.Add(time.Duration(i) * time.Second).Sub(s.since(int64(10 * i))); off < 0 || off > seconds*time.Second/(maxMarks/4) {
			t.Fatalf("what came after %d s is told to have come %v earlier", i, off)
		}
	}
}
