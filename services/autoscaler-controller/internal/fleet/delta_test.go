package fleet

import (
	"math/rand/v2"
	"testing"
)

func delta(sequence int64, busy ...Key) Report {
	r := part(sequence, 0, false, busy...)
	r.Epoch, r.Delta = "e", true
	return r
}

func (f *Fleet) verdict(r Report, seconds float64) Verdict {
	_, v := f.Report(r, at(seconds))
	return v
}

func TestReport_OfWhatChangedLeavesTheRestAsItWas(t *testing.T) {
	f, k := manyApplications(3)
	if v := f.verdict(part(1, 0, false, k[0], k[1]), 1); v != Taken {
		t.Fatal(v)
	}
	idle := delta(2)
	idle.Applications = []Traffic{{Key: k[1]}}
	if v := f.verdict(idle, 2); v != Taken {
		t.Fatal(v)
	}
	if v := f.verdict(delta(3), 3); v != Taken {
		t.Fatal(v)
	}
	if inFlight(f, k[0]) != 1 || inFlight(f, k[1]) != 0 || inFlight(f, k[2]) != 0 {
		t.Errorf("in flight: %d, %d, %d", inFlight(f, k[0]), inFlight(f, k[1]), inFlight(f, k[2]))
	}
	if b := f.balancers["lb"]; b.version != "v3" || !b.last.Equal(at(3)) {
		t.Errorf("a report that names nothing is no sign of life: %+v", b)
	}
	if v := f.verdict(part(4, 0, false), 4); v != Taken || inFlight(f, k[0]) != 0 {
		t.Errorf("%s: of everything it was not named, and has %d in flight", v, inFlight(f, k[0]))
	}
}

func TestReport_ThatBuildsOnWhatIsNotKnownIsAnsweredWithAWishForEverything(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(f *Fleet)
		change  func(r *Report)
		want    Verdict
	}{
		"it follows":                        {nil, nil, Taken},
		"nothing came before":               {func(f *Fleet) { delete(f.balancers, "lb") }, nil, Resync},
		"of another life":                   {nil, func(r *Report) { r.Epoch = "d" }, Resync},
		"of none":                           {nil, func(r *Report) { r.Epoch = "" }, Resync},
		"one was lost":                      {nil, func(r *Report) { r.Sequence++ }, Resync},
		"it came before":                    {nil, func(r *Report) { r.Sequence = 1 }, Old},
		"it has restarted":                  {nil, func(r *Report) { r.StartedAt = at(1) }, Resync},
		"a part before it was lost":         {func(f *Fleet) { f.Report(part(2, 1, true), at(2)) }, func(r *Report) { r.Sequence = 3 }, Resync},
		"its own first part was lost":       {nil, func(r *Report) { r.Part = 2 }, Resync},
		"an application was added since":    {func(f *Fleet) { f.Observe(seen(1), at(1)) }, nil, Resync},
		"only awaited, from the one before": {func(f *Fleet) { delete(f.balancers, "lb"); f.Lead(at(1), []string{"lb"}) }, nil, Resync},
	} {
		f, k := manyApplications(2)
		f.Report(part(1, 0, false, k[0]), at(1))
		if c.prepare != nil {
			c.prepare(f)
		}
		r := delta(2)
		if c.change != nil {
			c.change(&r)
		}
		if got := f.verdict(r, 3); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if v := f.verdict(part(9, 0, false), 4); r.StartedAt.Equal(day) && v != Taken {
			t.Errorf("%s: then everything is %s", name, v)
		}
	}
}

func TestReport_OfWhatChangedComesInPartsToo(t *testing.T) {
	f, k := manyApplications(4)
	f.Report(part(1, 0, false, k[3]), at(1))
	for i, r := range []Report{part(2, 1, true, k[0]), part(3, 2, true, k[1]), part(4, 3, false, k[2])} {
		r.Epoch, r.Delta = "e", true
		if v := f.verdict(r, 2); v != Taken {
			t.Fatalf("part %d: %s", i+1, v)
		}
	}
	for _, one := range k {
		if inFlight(f, one) != 1 {
			t.Errorf("%s has %d in flight", one, inFlight(f, one))
		}
	}
	if len(f.balancers["lb"].busy) != 4 {
		t.Errorf("busy %v", f.balancers["lb"].busy)
	}
}

// A load balancer that tells changes, with losses and repetitions, and one that tells everything each
// time come to the same.
func TestReport_OfChangesComesToTheSameAsOfEverything(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 5))
		told, k := manyApplications(6)
		busy, changed := map[Key]bool{}, map[Key]bool{}
		sequence, whole := int64(0), true
		for second := range 60 {
			for range random.IntN(3) {
				one := k[random.IntN(len(k))]
				busy[one], changed[one] = !busy[one], true
			}
			if random.IntN(15) == 0 { // one application is taken out, and comes back
				o := seen(1, pod("p"))
				o.Key = k[random.IntN(len(k))]
				told.Forget(o.Key)
				told.Observe(o, at(float64(second)))
			}
			sequence++
			r := Report{Balancer: "lb", StartedAt: day, Sequence: sequence, Epoch: "e", Delta: !whole}
			for _, one := range k {
				if whole || changed[one] {
					t := Traffic{Key: one}
					if busy[one] {
						t.InFlight = 1
					}
					r.Applications = append(r.Applications, t)
				}
			}
			if random.IntN(10) == 0 { // it is lost
				whole = true
				continue
			}
			if whole = told.verdict(r, float64(second)) == Resync; whole {
				continue
			}
			clear(changed)
			for _, one := range k {
				if got := inFlight(told, one) == 1; got != busy[one] {
					t.Fatalf("seed %d, second %d: %s is busy: %v", seed, second, one, got)
				}
			}
		}
	}
}
