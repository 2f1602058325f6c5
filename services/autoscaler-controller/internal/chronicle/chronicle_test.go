package chronicle

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

var (
	cart = fleet.Key{Namespace: "shop", Deployment: "cart"}
	menu = fleet.Key{Namespace: "cafe", Deployment: "menu"}
)

// world is a fleet, a store and a meter.
type world struct {
	mu      sync.Mutex
	samples []fleet.Sample
	terms   fleet.Terms // of all
	kept    map[fleet.Key][]byte
	saves   []int // the places that were written
	failing error // what the store answers
	hangs   bool  // saving ends with its context
	loads   int
	faults  int
}

func (w *world) Samples(_ time.Time, yield func(fleet.Sample)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.samples {
		yield(s)
	}
}

func (w *world) Terms(k fleet.Key, _ time.Time) (fleet.Terms, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.samples {
		if s.Key == k {
			return w.terms, true
		}
	}
	return fleet.Terms{}, false
}

func (w *world) set(s ...fleet.Sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples = s
}

func (w *world) Load(_ context.Context, yield func(fleet.Key, []byte)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loads++
	if w.failing != nil {
		return w.failing
	}
	for k, kept := range w.kept {
		yield(k, kept)
	}
	return nil
}

func (w *world) Place(k fleet.Key) int { return len(k.Namespace+k.Deployment) % 2 }
func (w *world) Places() int           { return 2 }
func (w *world) Room() int             { return 1000 }

func (w *world) Save(ctx context.Context, place int, of map[fleet.Key][]byte) error {
	if w.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing != nil {
		return w.failing
	}
	w.saves = append(w.saves, place)
	for k, kept := range of {
		if w.kept[k] = kept; kept == nil {
			delete(w.kept, k)
		}
	}
	return nil
}

func (w *world) saved(k fleet.Key) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kept[k]
}

func (w *world) HistoryKept(err error)   { w.fault(err) }
func (w *world) HistoryLoaded(err error) { w.fault(err) }
func (w *world) fault(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.faults++
	}
}

func (w *world) new() *Chronicle {
	return New(Options{
		Fleet: w, Store: w, Meter: w, Log: slog.New(slog.DiscardHandler), Shards: 1, Ours: func(ns string) bool { return ns != "elsewhere" },
	})
}

func TestSample_WhoDecidesDoesNotWaitForAllApplications(t *testing.T) {
	w := &world{}
	c := w.new()
	c.of = map[fleet.Key]*record{cart: {history: &history.History{}}}
	c.Fleet = between{w, func() {
		if !c.mu.TryLock() {
			t.Error("all wait while one application after the other is looked at")
			return
		}
		c.mu.Unlock()
		c.Decided(fleet.Record{Key: cart})
	}}
	w.set(fleet.Sample{Key: menu}, fleet.Sample{Key: cart})
	now := time.Unix(1e9, 0)
	c.sample(now)
	c.sample(now.Add(history.Every))
	series, _, _ := c.Read(cart, []history.Resolution{history.Minutes}, now.Add(history.Every))
	if len(series) != 1 || series[0].Slots[len(series[0].Slots)-1].Decisions == 0 {
		t.Errorf("what was decided between is lost: %+v", series)
	}
}

func TestSample_WhatHasGoneIsNotHeldForEverWhereTheStoreCannotBeTold(t *testing.T) {
	w := &world{failing: errors.New("no right to write")}
	c := w.new()
	c.of = map[fleet.Key]*record{}
	now := time.Unix(1e9, 0)
	w.set(fleet.Sample{Key: cart}, fleet.Sample{Key: menu})
	c.sample(now)
	w.set(fleet.Sample{Key: menu})
	for ; now.Before(time.Unix(1e9, 0).Add(loseFor)); now = now.Add(time.Hour) {
		c.sample(now)
		for place := range w.Places() {
			c.save(t.Context(), place, saveTimeout)
		}
		if c.of[cart] == nil {
			t.Fatalf("it is lost after %v", now.Sub(time.Unix(1e9, 0)))
		}
	}
	c.sample(now.Add(time.Hour))
	if c.of[cart] != nil || c.of[menu] == nil {
		t.Errorf("held are %v", slices.Collect(maps.Keys(c.of)))
	}
}

// between has something happen before each sample.
type between struct {
	*world
	do func()
}

func (b between) Samples(now time.Time, yield func(fleet.Sample)) {
	b.world.Samples(now, func(s fleet.Sample) {
		b.do()
		yield(s)
	})
}

// lead has a chronicle lead for a time, with what happens meanwhile.
func lead(c *Chronicle, d time.Duration, meanwhile func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var leading sync.WaitGroup
	leading.Go(func() { c.Lead(ctx) })
	time.Sleep(d)
	synctest.Wait()
	if meanwhile != nil {
		meanwhile()
	}
	cancel()
	leading.Wait()
}

func minutes(t *testing.T, c *Chronicle, k fleet.Key) (arrivals int64, decisions int64, seen float64) {
	t.Helper()
	series, _, known := c.Read(k, []history.Resolution{history.Minutes}, time.Now())
	if !known {
		t.Fatalf("%s has no history", k)
	}
	for _, s := range series[0].Slots {
		arrivals, decisions, seen = arrivals+s.Arrivals, decisions+s.Decisions, seen+s.Observed
	}
	return arrivals, decisions, seen
}

func TestChronicle_SamplesWhatTheFleetSaysAndKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}}
		w.set(fleet.Sample{Key: cart, Pods: 2, Replicas: 2, Ready: 2, Maximum: 3, Arrived: 1000}, fleet.Sample{Key: menu, Maximum: 1})
		c := w.new()
		lead(c, 61*time.Second, func() {
			c.Decided(fleet.Record{Key: cart})
			c.Decided(fleet.Record{Key: fleet.Key{Namespace: "shop", Deployment: "unknown"}})
			w.set(fleet.Sample{Key: cart, Pods: 2, Replicas: 2, Ready: 2, Maximum: 3, Arrived: 1007}, fleet.Sample{Key: menu, Maximum: 1})
			time.Sleep(5 * time.Second)
			synctest.Wait()
			arrivals, decisions, _ := minutes(t, c, cart)
			if arrivals != 7 || decisions != 1 {
				t.Errorf("%d requests and %d decisions; what came before nobody saw", arrivals, decisions)
			}
			s, _ := c.Savings(menu)
			if total := c.Stats().Totals; s.Asleep != 65 || total.PodSeconds != 130 || total.SavedAgainstMaximum != 130 || total.SavedAgainstOne != 65 {
				t.Errorf("saved %+v, all together %+v", s, total)
			}
		})
		if len(w.kept) != 2 {
			t.Errorf("at the end of the term all is kept: %d", len(w.kept))
		}
		if _, _, known := c.Read(cart, nil, time.Now()); known {
			t.Error("who does not lead has no history")
		}
	})
}

func TestChronicle_TheNextLeaderGoesOnWithWhatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}}
		w.set(fleet.Sample{Key: cart, Pods: 1})
		lead(w.new(), 120*time.Second, nil)
		time.Sleep(180 * time.Second)
		next := w.new()
		lead(next, 60*time.Second, func() {
			if _, _, seen := minutes(t, next, cart); seen < 2.75 || seen > 3.25 {
				t.Errorf("%v minutes of two and one were seen", seen)
			}
			if s, _ := next.Savings(cart); math.Abs(s.PodSeconds-180) > 5 {
				t.Errorf("%+v", s)
			}
		})
	})
}

func TestChronicle_KeepsNothingBeforeItKnowsWhatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}}
		w.set(fleet.Sample{Key: cart, Pods: 1})
		lead(w.new(), time.Hour, nil)
		before := maps.Clone(w.kept)
		w.failing, w.saves = errors.New("away"), nil
		c := w.new()
		lead(c, 12*time.Minute, func() {
			w.mu.Lock()
			if len(w.saves) > 0 || w.loads < 10 || w.faults < 10 {
				t.Errorf("%d writes, %d reads, %d faults", len(w.saves), w.loads, w.faults)
			}
			w.failing = nil
			w.mu.Unlock()
			time.Sleep(loadRetry)
			synctest.Wait()
			if s, _ := c.Savings(cart); s.PodSeconds < 3600+12*60-20 {
				t.Errorf("what was seen meanwhile stands behind what was kept: %+v", s)
			}
		})
		if len(w.kept[cart]) <= len(before[cart])/2 {
			t.Error("less was written over more")
		}
	})
}

func TestChronicle_WritesOnePlaceAfterTheOtherEachInFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}}
		w.set(fleet.Sample{Key: cart}, fleet.Sample{Key: fleet.Key{Namespace: "shop", Deployment: "carts"}})
		lead(w.new(), 10*time.Minute+time.Second, func() {
			if !slices.Equal(w.saves, []int{0, 1, 0, 1}) {
				t.Errorf("%v", w.saves)
			}
		})
	})
}

func TestChronicle_WhatIsGoneIsDroppedAnHourLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}}
		w.set(fleet.Sample{Key: cart, Pods: 1}, fleet.Sample{Key: menu, Pods: 1})
		c := w.new()
		lead(c, 10*time.Minute, func() {
			w.set(fleet.Sample{Key: menu, Pods: 1})
			time.Sleep(50 * time.Minute)
			if w.saved(cart) == nil {
				t.Error("it is kept for an hour")
			}
			time.Sleep(20 * time.Minute)
			synctest.Wait()
			if w.saved(cart) != nil || w.saved(menu) == nil {
				t.Error("then it is dropped, and nothing else")
			}
			if _, known := c.Savings(cart); known {
				t.Error("and forgotten")
			}
		})
	})
}

func TestChronicle_TheEndDoesNotWaitForAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}}
		w.set(fleet.Sample{Key: cart})
		var began time.Time
		lead(w.new(), time.Minute, func() { w.hangs, began = true, time.Now() })
		if took := time.Since(began); took > finalTimeout {
			t.Errorf("the end took %v", took)
		}
	})
}

func TestChronicle_WhatIsNotOursOrCannotBeReadIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := fleet.Key{Namespace: "elsewhere", Deployment: "x"}
		good, _ := (&history.History{}).Encode(1000)
		w := &world{kept: map[fleet.Key][]byte{other: good, cart: []byte("nonsense"), menu: good}}
		c := w.new()
		lead(c, time.Minute, func() {
			for k, want := range map[fleet.Key]bool{other: false, cart: false, menu: true} {
				if _, _, known := c.Read(k, nil, time.Now()); known != want {
					t.Errorf("%s: known %v", k, known)
				}
			}
		})
		if w.kept[other] == nil {
			t.Error("another shard's was touched")
		}
	})
}

func TestChronicle_ManyShareTheRoomOfAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}}
		var all []fleet.Sample
		for i := range 8 { // of one place
			all = append(all, fleet.Sample{Key: fleet.Key{Namespace: "shop", Deployment: string(rune('a'+i)) + "x"}})
		}
		c := w.new()
		for hour := range 40 {
			for i := range all {
				all[i].Pods, all[i].Replicas = int32(hour%7), int32(hour%7)
			}
			w.set(all...)
			lead(c, time.Minute, nil)
			time.Sleep(time.Hour)
		}
		total := 0
		for _, kept := range w.kept {
			total += len(kept)
		}
		if total > w.Room() || total < w.Room()/2 || c.Stats().Cut != 8 {
			t.Errorf("%d bytes of %d, %d were cut", total, w.Room(), c.Stats().Cut)
		}
	})
}
