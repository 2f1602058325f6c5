package fleet

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// manyApplications is a fleet of n applications that have a pod each.
func manyApplications(n int) (*Fleet, []Key) {
	f := New("e")
	keys := make([]Key, n)
	for i := range keys {
		o := seen(1, pod("p"))
		o.Key.Deployment = fmt.Sprintf("app-%d", i)
		keys[i] = o.Key
		f.Observe(o, at(-5))
	}
	return f, keys
}

func part(sequence int64, n int32, continued bool, busy ...Key) Report {
	r := Report{Balancer: "lb", StartedAt: day, Sequence: sequence, RoutesVersion: fmt.Sprintf("v%d", sequence), Part: n, Continued: continued}
	for _, k := range busy {
		r.Applications = append(r.Applications, Traffic{Key: k, InFlight: 1})
	}
	return r
}

// reported is what the load balancer has reported last.
func (f *Fleet) reported(k Key) *reported { return f.apps[k].of(f.balancers["lb"]) }

func inFlight(f *Fleet, k Key) int32 { return f.reported(k).InFlight }

func TestReport_InPartsIsOneReport(t *testing.T) {
	f, k := manyApplications(3)
	f.Report(part(1, 1, true, k[0]), at(1))
	if live, _, _ := f.Reporting(at(1)); live != 0 {
		t.Error("a load balancer counts as heard by a part of its first report")
	}
	f.Report(part(2, 2, false, k[1], k[2]), at(1))
	if live, stale, _ := f.Reporting(at(1)); live != 1 || stale != 0 {
		t.Errorf("%d live, %d stale after the last part", live, stale)
	}
	f.Report(part(3, 1, true, k[0]), at(2))
	if b := f.balancers["lb"]; b.version != "v2" || !b.last.Equal(at(1)) {
		t.Errorf("half a report counts: %+v", b)
	}
	f.Report(part(4, 2, false, k[1]), at(2))
	if inFlight(f, k[0]) != 1 || inFlight(f, k[1]) != 1 || inFlight(f, k[2]) != 0 {
		t.Errorf("in flight: %d, %d, %d; the last was named by no part", inFlight(f, k[0]), inFlight(f, k[1]), inFlight(f, k[2]))
	}
}

func TestReport_OfWhichAPartIsMissingTakesNothingFromAnyone(t *testing.T) {
	for name, parts := range map[string][]Report{
		"the first":  {part(3, 2, true), part(4, 3, false)},
		"the second": {part(3, 1, true), part(4, 3, false)},
		"the last":   {part(3, 1, true), part(4, 2, true)},
	} {
		f, k := manyApplications(2)
		f.Report(part(1, 1, true, k[0]), at(1))
		f.Report(part(2, 2, false, k[1]), at(1))
		for _, p := range parts {
			f.Report(p, at(2))
		}
		if inFlight(f, k[0]) != 1 || inFlight(f, k[1]) != 1 || !f.balancers["lb"].last.Equal(at(1)) {
			t.Errorf("%s is missing: in flight %d and %d", name, inFlight(f, k[0]), inFlight(f, k[1]))
		}
		f.Report(part(9, 0, false, k[1]), at(3)) // the next one is whole again
		if inFlight(f, k[0]) != 0 || inFlight(f, k[1]) != 1 {
			t.Errorf("%s was missing: in flight %d and %d after a whole one", name, inFlight(f, k[0]), inFlight(f, k[1]))
		}
	}
}

// However a report is cut, it says the same.
func TestReport_InAnyPartsSaysTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		whole, keys := manyApplications(12)
		cut, _ := manyApplications(12)
		var sequence int64
		for second := range 6 {
			var busy []Key
			for _, k := range keys {
				if random.IntN(2) == 0 {
					busy = append(busy, k)
				}
			}
			sequence++
			whole.Report(part(sequence, 1, false, busy...), at(float64(second)))
			for n := int32(1); ; n++ {
				size := min(1+random.IntN(5), len(busy))
				sequence++
				cut.Report(part(sequence, n, size < len(busy), busy[:size]...), at(float64(second)))
				if busy = busy[size:]; len(busy) == 0 {
					break
				}
			}
			for _, k := range keys {
				a, b := whole.reported(k), cut.reported(k)
				if a.InFlight != b.InFlight || !a.LastActivity.Equal(b.LastActivity) {
					t.Fatalf("%v: whole %+v, in parts %+v", k, a, b)
				}
			}
		}
	}
}
