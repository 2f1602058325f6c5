package control

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var dawn = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// written has decisions come, one a second; what is held is held back.
type written struct {
	journal
	n int
}

func (w *written) decide(k fleet.Key, held bool) {
	r := &fleet.Record{ID: fmt.Sprint("e-", w.n), Key: k, Time: dawn.Add(time.Duration(w.n) * time.Second)}
	if r.Applied = !held; held {
		r.Wished = 1
	}
	w.n++
	w.add(r, false)
}

func ids(list []fleet.Record) string {
	var all []string
	for _, r := range list {
		all = append(all, strings.TrimPrefix(r.ID, "e-"))
	}
	return strings.Join(all, " ")
}

func app(i int) fleet.Key { return fleet.Key{Namespace: fmt.Sprint("ns-", i), Deployment: "model"} }

// The fleet turns the ring over in seconds: of a quiet application its own last ones are there all the same.
func TestJournal_WhatOthersDoLosesNothingOfAnApplication(t *testing.T) {
	w := &written{}
	w.lead(dawn)
	for i := range 10 {
		w.decide(key, i == 5)
	}
	if got := ids(w.last(fleet.Filter{Key: key}, math.MaxInt)); got != "9 8 7 6 5 4 3 2 1 0" {
		t.Errorf("while the ring has them: %s", got)
	}
	if got := w.complete(key); !got.Equal(dawn) {
		t.Errorf("nothing is lost yet, complete since %v", got)
	}
	for i := range 5 * KeptDecisions {
		w.decide(app(i%50), true)
	}
	for name, c := range map[string]struct {
		filter fleet.Filter
		limit  int
		want   string
	}{
		"its last":             {fleet.Filter{Key: key}, math.MaxInt, "9 8 7 6 5 4 3 2"},
		"at most":              {fleet.Filter{Key: key}, 3, "9 8 7"},
		"what was held":        {fleet.Filter{Key: key, Result: fleet.ResultHeld}, 10, "5"},
		"since a moment":       {fleet.Filter{Key: key, Since: dawn.Add(8 * time.Second)}, 10, "9 8"},
		"by its name alone":    {fleet.Filter{Key: fleet.Key{Deployment: key.Deployment}}, 10, "9 8 7 6 5 4 3 2"},
		"of its namespace":     {fleet.Filter{Key: fleet.Key{Namespace: key.Namespace}}, 10, ""}, // the last of all
		"of another Namespace": {fleet.Filter{Key: fleet.Key{Namespace: "x", Deployment: key.Deployment}}, 10, ""},
	} {
		if got := ids(w.last(c.filter, c.limit)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got, want := w.complete(key), dawn.Add(time.Second+1); !got.Equal(want) {
		t.Errorf("its own are complete since %v, want %v", got, want)
	}
	all := w.last(fleet.Filter{}, math.MaxInt)
	if len(all) != KeptDecisions || !w.complete(fleet.Key{}).Equal(all[len(all)-1].Time.Add(-time.Second+1)) {
		t.Errorf("of all are %d there, complete since %v", len(all), w.complete(fleet.Key{}))
	}
}

// Of whatever there was: no decision twice, the newest first, none missing from when on the answer says so.
func TestJournal_AnswersHaveEachOnceAndAllSinceTheySaySo(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	w := &written{}
	w.lead(dawn)
	var made []fleet.Record
	for range 30_000 {
		k := app(int(math.Pow(random.Float64(), 3) * 200))
		made = append(made, fleet.Record{ID: fmt.Sprint("e-", w.n), Key: k, Time: dawn.Add(time.Duration(w.n) * time.Second)})
		w.decide(k, false)
		if random.IntN(500) == 0 {
			w.forget(app(random.IntN(200)))
		}
		if random.IntN(300) != 0 {
			continue
		}
		asked := []fleet.Key{{}, app(random.IntN(200)), {Namespace: fmt.Sprint("ns-", random.IntN(200))}, {Deployment: "model"}}[random.IntN(4)]
		got, since := w.last(fleet.Filter{Key: asked}, math.MaxInt), w.complete(asked)
		if !slices.IsSortedFunc(got, func(a, b fleet.Record) int { return b.Time.Compare(a.Time) }) {
			t.Fatalf("%v: not the newest first", asked)
		}
		there := map[string]int{}
		for _, r := range got {
			if there[r.ID]++; there[r.ID] > 1 {
				t.Fatalf("%v: %s stands there twice", asked, r.ID)
			}
		}
		for _, r := range made {
			if (fleet.Filter{Key: asked, Since: since}).Matches(r) && there[r.ID] == 0 {
				t.Fatalf("%v: %s is missing, though all since %v are said to be there", asked, r.ID, since)
			}
		}
	}
}

// However many applications there are, the room is divided among them.
func TestJournal_IsBoundedInAll(t *testing.T) {
	w := &written{}
	held := func() (all, most int) {
		for _, f := range w.own {
			all, most = all+len(f.last), max(most, len(f.last))
		}
		return all, most
	}
	for _, c := range []struct{ applications, most int }{{100, 8}, {5000, 8}, {5001, 7}, {10_000, 4}, {20_001, 1}, {50_000, 1}} {
		for i := range c.applications {
			for range 10 {
				w.decide(app(i), false)
			}
		}
		if all, most := held(); most != c.most || all > max(keptOfAll, c.applications) {
			t.Errorf("of %d applications: %d each, %d in all", c.applications, most, all)
		}
	}
	if got := ids(w.last(fleet.Filter{Key: app(7)}, 10)); len(strings.Fields(got)) != 1 {
		t.Errorf("the one that is left is %q", got)
	}
	for i := range 50_000 {
		w.forget(app(i))
	}
	w.decide(app(1), false)
	if all, _ := held(); all != 1 || len(w.own) != 1 || w.most != keptOfEach {
		t.Errorf("%d of %d applications are left, each may keep %d", all, len(w.own), w.most)
	}
}

func TestJournal_WhoDoesNotLeadDoesNotSayThatNothingIsMissing(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		began := time.Now()
		synctest.Wait()
		if got := w.loop.DecisionsSince(key); !got.Equal(began) {
			t.Errorf("complete since %v, leading since %v", got, began)
		}
		if _, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil {
			t.Fatal(err)
		}
		if d := w.loop.Decisions(fleet.Filter{Key: key}, 10); len(d) == 0 {
			t.Error("nothing was decided")
		}
		w.lead()
		synctest.Wait()
		if got := w.loop.DecisionsSince(key); !got.IsZero() {
			t.Errorf("another replica leads, and all since %v are said to be there", got)
		}
		w.loop.Forget(key)
		if w.loop.journal.own[key] != nil {
			t.Error("the application has gone, and its decisions have not")
		}
	})
}
