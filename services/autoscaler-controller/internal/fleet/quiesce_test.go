package fleet

import "testing"

func TestPodLoads_OfALimitedPodCountEachRequestOnce(t *testing.T) {
	o := seen(2, pod("a"), pod("b"))
	o.Address.Concurrency = 10
	f := leading(o)
	on := func(inFlight, streaming int32) func(*Report) {
		return func(r *Report) {
			r.Applications[0].PodsSaid = true
			r.Applications[0].Pods = []PodTraffic{{Pod: "a", InFlight: inFlight, Streaming: streaming}}
		}
	}
	traffic(f, "lender", 1, now, on(5, 1)) // 3 of them were lent
	traffic(f, "other", 1, now, on(3, 1))
	s, _ := f.Snapshot(key, "", now)
	if l := s.Loads[0]; l.InFlight != 5 || l.Streaming != 2 || len(l.Pending) != 2 {
		t.Errorf("%+v", l)
	}
}

func TestPodLoads_OfAPodWithoutAnAddressWaitForNobody(t *testing.T) {
	f := leading(seen(2, pod("a"), pod("b", bare)))
	traffic(f, "lb", 1, now, func(r *Report) { r.Applications[0].InFlight = 3 }) // it knows one pod, and does not say what is on it
	s, _ := f.Snapshot(key, "", now)
	if a, b := s.Loads[0], s.Loads[1]; len(a.Pending) != 1 || len(b.Pending) != 0 {
		t.Errorf("%v, %v", a.Pending, b.Pending)
	}
}
