package dispatch

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// A sum over visits, whatever the order in which their ends become known, is the integral.
func TestBusy_IsTheSumOfWhatEachVisitTook(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var b busy
		var want int64
		end := int64(1_000_000)
		for range random.IntN(50) {
			from, to := random.Int64N(end), random.Int64N(end)
			from, to = min(from, to), max(from, to)
			switch random.IntN(3) {
			case 0: // it is there still
				b.enter(from)
				want += end - from
			case 1:
				b.enter(from)
				b.leave(to)
				want += to - from
			case 2: // its end became known before its beginning
				b.leave(to)
				b.enter(from)
				want += to - from
			}
		}
		if got := b.seconds(end); math.Abs(got-float64(want)/1e6) > 1e-9 {
			t.Fatalf("%v s, want %v µs", got, want)
		}
	}
}

func TestBusy_HoldsForYearsOfManyRequests(t *testing.T) {
	var b busy
	for range 8000 {
		b.enter(0)
	}
	year := int64(365 * 24 * 3600 * 1e6)
	if got := b.seconds(year); got != 8000*365*24*3600 {
		t.Errorf("%v s", got)
	}
}

func TestBucketOf_IsTheLogarithm(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		ms := math.Exp2(random.Float64()*60 - 30)
		want := min(max(int(math.Ceil(8*math.Log2(ms))), LowestBucket), LowestBucket+sketchBuckets-1)
		if got := bucketOf(ms); got != want {
			t.Fatalf("%v ms is in bucket %d, want %d", ms, got, want)
		}
	}
	for ms, want := range map[float64]int{1: 0, 2: 8, 0.5: -8, 1024: 80, 0: LowestBucket, -1: LowestBucket, math.NaN(): LowestBucket} {
		if got := bucketOf(ms); got != want {
			t.Errorf("%v ms is in bucket %d, want %d", ms, got, want)
		}
	}
}

func BenchmarkSketch(b *testing.B) {
	var s Sketch
	for i := time.Duration(0); b.Loop(); i++ {
		s.add(i * time.Microsecond)
	}
}

// visited is a visit as a test tells it: how long it took until the head, the first byte and the end.
func (w *world) visited(t *testing.T, kind Answer, head, first, end time.Duration, o Outcome) {
	t.Helper()
	v, waits := w.arrive(t)
	if waits {
		t.Fatal("it waits")
	}
	time.Sleep(head)
	v.Answer = kind
	v.Answered(200, time.Now())
	time.Sleep(first)
	v.FirstByte(time.Now())
	time.Sleep(end)
	v.End(o, time.Now())
}

// ms is the mean of a sketch and how many it counts.
func ms(s *Sketch) (mean float64, count int64) {
	if s == nil {
		return 0, 0
	}
	return s.SumMs / float64(s.Count), s.Count
}

func TestTimes_AreCountedByTheKindOfTheAnswer(t *testing.T) {
	const head, first, end = 10 * time.Millisecond, 20 * time.Millisecond, 5 * time.Second
	for name, c := range map[string]struct {
		kind                       Answer
		outcome                    Outcome
		response, firstByte, whole float64 // ms; 0 is none
	}{
		"a whole answer":              {Whole, Outcome{Status: 200}, 5030, 10, 5030},
		"one whose client left":       {Whole, Outcome{Status: 200, Left: true}, 0, 10, 0},
		"one that the pod broke":      {Whole, Outcome{Status: 200, Broken: true}, 5030, 10, 5030},
		"one that we failed":          {Whole, Outcome{Status: 200, Ours: true}, 0, 10, 0},
		"a stream":                    {Stream, Outcome{Status: 200}, 10, 10, 0},
		"a stream whose client left":  {Stream, Outcome{Status: 200, Left: true}, 10, 10, 0},
		"a stream with a late byte":   {StreamToCome, Outcome{Status: 200}, 30, 30, 0},
		"a tunnel":                    {Tunnel, Outcome{Status: 101}, 0, 0, 0},
		"a tunnel whose client left":  {Tunnel, Outcome{Status: 101, Left: true}, 0, 0, 0},
		"a tunnel that the pod broke": {Tunnel, Outcome{Status: 101, Broken: true}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(nil)
				w.follow(routing.Awake, nil, pod("a", nil))
				w.visited(t, c.kind, head, first, end, c.outcome)
				_, traffic := w.Report()
				got := traffic[0]
				for what, both := range map[string]struct {
					sketch *Sketch
					want   float64
				}{"response": {got.Times.Response(), c.response}, "first byte": {got.Times.FirstByte(), c.firstByte}, "whole": {got.Times.Whole, c.whole}} {
					if mean, _ := ms(both.sketch); mean != both.want {
						t.Errorf("%s: %v ms, want %v", what, mean, both.want)
					}
				}
				busy, stream, tunnel := 0.01, 5.02, 0.0
				if c.kind == Tunnel {
					stream, tunnel = 0, 5.02
				}
				if !near(got.BusySeconds, busy) || !near(got.StreamSeconds, stream) || !near(got.TunnelSeconds, tunnel) {
					t.Errorf("busy %v s, streams %v s, tunnels %v s", got.BusySeconds, got.StreamSeconds, got.TunnelSeconds)
				}
				if got.Arrivals != 1 || got.Requests != 1 || got.InFlight != 0 || got.Streaming != 0 || got.Tunnels != 0 {
					t.Errorf("counted %+v", got)
				}
			})
		})
	}
}

func near(got, want float64) bool { return math.Abs(got-want) < 1e-5 }

// A stream speaks when it begins, not when it ends minutes later.
func TestTimes_OfAStreamAreTheOnesOfItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		v, _ := w.arrive(t)
		v.Answer = StreamToCome
		v.Answered(200, time.Now())
		if _, traffic := w.Report(); traffic[0].Times != (Times{}) || traffic[0].Streaming != 1 {
			t.Errorf("before its first byte: %+v", traffic[0])
		}
		time.Sleep(time.Second)
		v.FirstByte(time.Now())
		v.FirstByte(time.Now())
		_, traffic := w.Report()
		if mean, count := ms(traffic[0].Times.Streams); mean != 1000 || count != 1 {
			t.Errorf("at its first byte: %v ms of %d", mean, count)
		}
		time.Sleep(time.Minute)
		v.End(Outcome{Status: 200}, time.Now())
		if _, traffic := w.Report(); traffic[0].Times != (Times{}) || !near(traffic[0].StreamSeconds, 61) {
			t.Errorf("at its end: %+v", traffic[0])
		}
		empty, _ := w.arrive(t)
		empty.Answer = StreamToCome
		empty.Answered(200, time.Now())
		time.Sleep(2 * time.Second)
		empty.End(Outcome{Status: 200}, time.Now())
		_, traffic = w.Report()
		if mean, _ := ms(traffic[0].Times.Streams); mean != 2000 {
			t.Errorf("one without a byte: %v ms", mean)
		}
	})
}

func TestReport_SaysWhatIsThereNowAndTheSumUntilNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		work, _ := w.arrive(t)
		stream, _ := w.arrive(t)
		stream.Answer = Stream
		stream.Answered(200, time.Now())
		tunnel, _ := w.arrive(t)
		tunnel.Answer = Tunnel
		tunnel.Answered(200, time.Now())
		time.Sleep(3 * time.Second)
		_, traffic := w.Report()
		got := traffic[0]
		if got.InFlight != 3 || got.Streaming != 2 || got.Tunnels != 1 || got.Arrivals != 3 || got.Requests != 0 ||
			!near(got.BusySeconds, 3) || !near(got.StreamSeconds, 3) || !near(got.TunnelSeconds, 3) {
			t.Errorf("after three seconds: %+v", got)
		}
		for _, v := range []*Visit{work, stream, tunnel} {
			v.End(Outcome{Status: 200}, time.Now())
		}
		time.Sleep(time.Hour)
		_, traffic = w.Report()
		if got := traffic[0]; !near(got.BusySeconds, 3) || !near(got.StreamSeconds, 3) || !near(got.TunnelSeconds, 3) || got.InFlight != 0 {
			t.Errorf("an hour after the end: %+v", got)
		}
	})
}

func TestArrivals_CountARequestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil), pod("b", nil))
		v := &Visit{}
		if err := v.Announce(w.app(), Arrival{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Arrive(w.app(), Arrival{}, time.Now()); err != nil { // its body is here
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := v.Retry(true, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		v.End(Outcome{Status: 200}, time.Now())
		_, traffic := w.Report()
		if got := traffic[0]; got.Arrivals != 1 || got.Requests != 1 || !near(got.BusySeconds, 2) {
			t.Errorf("counted %+v", got)
		}
	})
}

func TestRestore_GivesBackWhatWasTakenBesideWhatCameMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		w.visited(t, Whole, time.Second, 0, 0, Outcome{Status: 200})
		w.visited(t, Stream, time.Second, 0, 0, Outcome{Status: 200})
		_, taken := w.Report()
		w.visited(t, Whole, 3*time.Second, 0, 0, Outcome{Status: 200})
		w.Restore(taken)
		if mean, count := ms(taken[0].Times.Whole); mean != 1000 || count != 1 {
			t.Errorf("what was taken was altered: %v ms of %d", mean, count)
		}
		_, traffic := w.Report()
		if mean, count := ms(traffic[0].Times.Whole); mean != 2000 || count != 2 {
			t.Errorf("whole answers: %v ms of %d", mean, count)
		}
		if mean, count := ms(traffic[0].Times.Response()); count != 3 || math.Abs(mean-5000.0/3) > 1e-9 {
			t.Errorf("all answers: %v ms of %d", mean, count)
		}
		if _, traffic := w.Report(); traffic[0].Times != (Times{}) {
			t.Errorf("it is told twice: %+v", traffic[0].Times)
		}
	})
}
