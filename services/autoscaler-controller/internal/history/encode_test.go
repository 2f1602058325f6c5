package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// lived is a history of some hours, of a seed.
func lived(seed uint64, hours float64) *History {
	random, h := rand.New(rand.NewPCG(seed, 3)), &History{}
	s := Sample{Maximum: 5}
	for t := 0.0; t < hours*3600; t += 5 {
		if random.IntN(30) == 0 {
			s.Pods, s.Waiting = random.Int32N(5), random.Int32N(20)
			s.Replicas, s.Ready = s.Pods, s.Pods
		}
		if s.Arrivals = 0; s.Pods > 0 {
			s.Arrivals = float64(random.IntN(50))
		}
		h.Add(at(t), at(t+5), s)
	}
	return h
}

func TestEncode_WhatIsReadBackIsTheSame(t *testing.T) {
	for _, hours := range []float64{0, .01, 1, 30, 100} {
		h := lived(uint64(hours), hours)
		kept, cut := h.Encode(MaxBytes)
		if cut {
			t.Fatalf("%v h: cut", hours)
		}
		back, err := Decode(kept)
		if err != nil {
			t.Fatalf("%v h: %v", hours, err)
		}
		now := at(hours * 3600)
		for _, of := range []Resolution{Minutes, Hours} {
			want, got := read(t, h, of, now), read(t, back, of, now)
			if !got.Start.Equal(want.Start) || !slices.Equal(got.Slots, want.Slots) {
				t.Errorf("%v h, %s: %d slots from %v, want %d from %v", hours, of, len(got.Slots), got.Start, len(want.Slots), want.Start)
			}
		}
		if !back.Savings().Since.Equal(h.Savings().Since) || back.Savings().PodSeconds != h.Savings().PodSeconds || !back.Until().Equal(h.Until()) {
			t.Errorf("%v h: %+v until %v, want %+v until %v", hours, back.Savings(), back.Until(), h.Savings(), h.Until())
		}
		if again, _ := back.Encode(MaxBytes); !bytes.Equal(again, kept) {
			t.Errorf("%v h: kept again it is something else", hours)
		}
	}
}

func TestEncode_WhatDoesNotFitIsTheOldestOfTheFinest(t *testing.T) {
	h := lived(5, 200)
	now := at(200 * 3600)
	whole, _ := h.Encode(MaxBytes)
	minutes, hours := read(t, h, Minutes, now), read(t, h, Hours, now)
	for most := range whole {
		kept, cut := h.Encode(most)
		if len(kept) > most || !cut {
			t.Fatalf("of %d bytes %d were taken, cut: %v", most, len(kept), cut)
		}
		if kept == nil {
			continue
		}
		back, err := Decode(kept)
		if err != nil {
			t.Fatalf("%d bytes: %v", most, err)
		}
		m, hr := read(t, back, Minutes, now), read(t, back, Hours, now)
		if len(m.Slots) > 1 && len(hr.Slots) < len(hours.Slots) {
			t.Fatalf("%d bytes: %d minutes are kept, and %d of %d hours", most, len(m.Slots), len(hr.Slots), len(hours.Slots))
		}
		if newest := minutes.Slots[len(minutes.Slots)-len(m.Slots):]; !slices.Equal(m.Slots, newest) {
			t.Fatalf("%d bytes: what is kept are not the newest minutes", most)
		}
		if newest := hours.Slots[len(hours.Slots)-len(hr.Slots):]; !slices.Equal(hr.Slots, newest) {
			t.Fatalf("%d bytes: what is kept are not the newest hours", most)
		}
	}
}

func TestDecode_RefusesWhatIsNone(t *testing.T) {
	good, _ := lived(1, 30).Encode(MaxBytes)
	for n := 0; n < len(good); n += 1 + n/40 {
		if _, err := Decode(good[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
	changed := func(f func(b []byte) []byte) []byte { return f(slices.Clone(good)) }
	for name, b := range map[string][]byte{
		"nothing":         {},
		"another version": changed(func(b []byte) []byte { b[0] = 3; return b }),
		"more behind":     changed(func(b []byte) []byte { return append(b, 0) }),
		"no number":       changed(func(b []byte) []byte { copy(b[1+6:], bytes.Repeat([]byte{0xff}, 8)); return b }),
		"endless runs":    append(slices.Clone(good[:1+6+40+6]), binary.AppendUvarint([]byte{1, 2}, 1<<60)...),
	} {
		if _, err := Decode(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode_IsNeverMoreThanTheBoundAndKeepsTheSame(f *testing.F) {
	for _, hours := range []float64{0, .01, 2, 40} {
		b, _ := lived(uint64(hours), hours).Encode(MaxBytes)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		if h.Bytes() > MaxBytes {
			t.Errorf("%d bytes in memory", h.Bytes())
		}
		kept, _ := h.Encode(MaxBytes)
		back, err := Decode(kept)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if again, _ := back.Encode(MaxBytes); !bytes.Equal(again, kept) {
			t.Error("kept again it is something else")
		}
		(&History{}).Follow(h)
		h.Add(at(0), at(5), Sample{Pods: 1})
	})
}
