package history

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAdd_WhatIsSeenStandsInTheSlotInWhichItWasSeen(t *testing.T) {
	type look struct {
		at    float64 // seconds
		ready int32
	}
	for _, c := range []struct {
		name  string
		looks []look
		want  []int64 // of the slots of five seconds, from noon on
	}{
		{"on the slots' ends", []look{{0, 0}, {5, 1}, {10, 2}, {15, 0}}, []int64{1, 2, 0}},
		{"between them", []look{{3, 0}, {8, 4}, {13, 0}, {18, 0}}, []int64{0, 4, 0, 0}},
		{"a little late", []look{{0, 0}, {5.1, 3}, {10.2, 0}, {15.3, 0}}, []int64{0, 3, 0, 0}},
		{"seldom: what was seen last counts until the next time", []look{{1, 0}, {3, 2}, {17, 5}, {19, 5}}, []int64{2, 2, 2, 5}},
		{"the most of a slot", []look{{0, 1}, {1, 1}, {2, 7}, {3, 2}, {6, 0}, {9, 0}}, []int64{7, 0}},
	} {
		h := &History{}
		for i, l := range c.looks[1:] {
			if i == 0 {
				h.Add(at(c.looks[0].at-5), at(c.looks[0].at), Sample{Ready: c.looks[0].ready})
			}
			h.Add(at(c.looks[i].at), at(l.at), Sample{Ready: l.ready})
		}
		s := read(t, h, Seconds, at(c.looks[len(c.looks)-1].at-.001))
		got := map[int64]int64{} // by their beginning, in Unix time
		for i, one := range s.Slots {
			got[s.Start.Add(time.Duration(i)*s.Slot).Unix()] = one.Ready
		}
		for i, want := range c.want {
			if from := at(float64(5 * i)).Unix(); got[from] != want {
				t.Errorf("%s: from second %d on %d are ready, want %d (%v)", c.name, 5*i, got[from], want, s.Slots)
			}
		}
	}
}

// Whenever it is looked, no ring shows anything before it was seen, nor longer than until something else was.
func TestAdd_NoRingShowsWhatWasNotSeenYet(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		h, now, before := &History{}, random.Float64()*7, Sample{}
		want := [len(shapes)]map[int64]Slot{}
		for i := range want {
			want[i] = map[int64]Slot{}
		}
		for look := range 200 {
			next := now + .1 + 9*random.Float64()
			s := Sample{Waiting: random.Int32N(30), Replicas: random.Int32N(30), Ready: random.Int32N(30)}
			if look == 0 {
				before = s
			}
			h.Add(at(now), at(next), s)
			for i, of := range shapes {
				last := number(at(next).Add(-1), of.slot)
				for n := number(at(now), of.slot); n <= last; n++ {
					seen := before
					if n == last {
						seen = s
					}
					w := want[i][n]
					w.Waiting, w.Replicas, w.Ready = max(w.Waiting, int64(seen.Waiting)), max(w.Replicas, int64(seen.Replicas)), max(w.Ready, int64(seen.Ready))
					want[i][n] = w
				}
			}
			now, before = next, s
		}
		for i, of := range shapes {
			s := read(t, h, of.resolution, at(now))
			for at, got := range s.Slots {
				w := want[i][number(s.Start, of.slot)+int64(at)]
				if got.Waiting != w.Waiting || got.Replicas != w.Replicas || got.Ready != w.Ready {
					t.Fatalf("%s, slot %d of %d: %+v, want %+v", of.resolution, at, len(s.Slots), got, w)
				}
			}
		}
	}
}
