package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

func TestRun_WritesADayOfEachThatAControllerReadsAndAConfigMapHolds(t *testing.T) {
	const n, most = 1000, 1 << 20
	var names strings.Builder
	for i := range n {
		fmt.Fprintf(&names, "bench-%03d app-%05d %s\n", i/100, i, map[bool]string{true: "busy", false: "asleep"}[i%10 == 0])
	}
	var out bytes.Buffer
	now := time.Date(2026, 3, 2, 6, 0, 30, 0, time.UTC)
	if err := run(strings.NewReader(names.String()), &out, now); err != nil {
		t.Fatal(err)
	}
	busy, asleep := 0, 0
	for list := json.NewDecoder(&out); list.More(); {
		var m struct {
			Metadata   struct{ Name string }
			BinaryData map[string][]byte
		}
		if err := list.Decode(&m); err != nil || !strings.HasPrefix(m.Metadata.Name, "history-") {
			t.Fatalf("%q: %v", m.Metadata.Name, err)
		}
		size := 0
		for _, value := range m.BinaryData {
			size += len(value)
			h, err := history.Decode(value[len("_bench-000_app-00000"):])
			if err != nil {
				t.Fatal(err)
			}
			minutes, _ := h.Read(history.Minutes, now)
			if got := len(minutes.Slots); got < 24*60 {
				t.Errorf("%d minutes", got)
			}
			if h.Bytes() > 14_000 {
				busy++
			} else if h.Bytes() < 1_000 {
				asleep++
			}
		}
		if size > most {
			t.Errorf("%s has %d bytes", m.Metadata.Name, size)
		}
	}
	if busy != n/10 || asleep != n-n/10 {
		t.Errorf("%d are busy and %d asleep", busy, asleep)
	}
	if err := run(strings.NewReader("bench-000\n"), &out, now); err == nil {
		t.Error("a line that names no application is taken")
	}
}

func TestRun_LeavesOutTheOldestWhereThereIsNoRoom(t *testing.T) {
	var names strings.Builder
	for i := range 16 * 200 {
		fmt.Fprintf(&names, "bench app-%05d busy\n", i)
	}
	var out bytes.Buffer
	if err := run(strings.NewReader(names.String()), &out, time.Now()); err != nil {
		t.Fatal(err)
	}
	for list := json.NewDecoder(&out); list.More(); {
		var m struct{ BinaryData map[string][]byte }
		if err := list.Decode(&m); err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, value := range m.BinaryData {
			size += len(value)
		}
		if size > 1<<20 {
			t.Errorf("%d bytes", size)
		}
	}
}
