package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func wordy(name string, pods int) *fleet.Route {
	r := &fleet.Route{Key: fleet.Key{Namespace: "ns", Deployment: name}, State: fleet.Awake, Hash: 7, Address: fleet.Address{Prefix: "/<" + name + ">"}}
	for i := range pods {
		r.Endpoints = append(r.Endpoints, fleet.Endpoint{
			Pod: fmt.Sprint(name, "-", i), Address: "10.0.0.1:80", Ready: true,
			Probes: []fleet.Probe{{HTTP: true, Path: "/healthz", Port: 80, Headers: []fleet.Header{{Name: "Authorization", Value: "secret"}}}},
		})
	}
	return r
}

func TestWords_AreSharedForAMomentAndNotAmongThoseWhoMaySeeOtherThings(t *testing.T) {
	now, r, w := time.Unix(1_000_000, 0), wordy("app", 3), &words{}
	say := func(r *fleet.Route, headers bool, at time.Time) string {
		t.Helper()
		text, err := w.of(r, headers, at)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := say(r, true, now)
	if !strings.Contains(first, "secret") || strings.Contains(say(r, false, now), "secret") || !strings.Contains(say(r, true, now), "secret") {
		t.Error("headers are shown to whom they should not, or not to whom they should")
	}
	other := wordy("other", 1)
	if first == say(other, true, now) {
		t.Error("two routes have the same words")
	}
	kept := w.kept[wordsOf{r, true}]
	if again, _ := w.of(r, true, now.Add(sharedFor)); &again[0] != &kept[0] {
		t.Error("they were not shared")
	}
	if later, _ := w.of(r, true, now.Add(sharedFor+1)); &later[0] == &kept[0] {
		t.Error("they were shared too long")
	}
	if len(w.kept) != 1 {
		t.Errorf("%d are kept of another moment", len(w.kept)-1)
	}
}

func TestWords_OfALeaseAreOfTheMoment(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for what, lease := range map[string]func(*fleet.Route){
		"asleep":   func(r *fleet.Route) { r.AsleepUntil = now.Add(30 * time.Second) },
		"draining": func(r *fleet.Route) { r.Endpoints[1].DrainsUntil = now.Add(30 * time.Second) },
	} {
		w, r := &words{}, wordy("app", 2)
		lease(r)
		before, _ := w.of(r, true, now)
		after, _ := w.of(r, true, now.Add(10*time.Millisecond))
		if string(before) == string(after) || len(w.kept) > 0 {
			t.Errorf("%s: what is left of the lease is shared", what)
		}
	}
}

func TestWords_TakeNoMoreMemoryThanTheyMay(t *testing.T) {
	now, w := time.Unix(1_000_000, 0), &words{}
	for i := range 100 {
		if text, err := w.of(wordy(fmt.Sprint("app", i), 500), true, now); err != nil || !json.Valid(text) {
			t.Fatal(err)
		}
	}
	size := 0
	for _, text := range w.kept {
		size += len(text)
	}
	if size != w.size || size > keptWords || len(w.kept) < 2 || len(w.kept) == 100 {
		t.Errorf("%d bytes of %d routes are kept, by the count %d", size, len(w.kept), w.size)
	}
}

func TestWords_AreTheSameForManyAtOnce(t *testing.T) {
	now, r, w := time.Unix(1_000_000, 0), wordy("app", 50), &words{}
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			if text, err := w.of(r, i%2 == 0, now); err != nil || !json.Valid(text) {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if len(w.kept) != 2 {
		t.Errorf("%d are kept", len(w.kept))
	}
}

// A line is what the contract's type says, whatever it is made of.
func TestLines_SayWhatTheContractSays(t *testing.T) {
	now := time.Now()
	settings := fleet.BalancerSettings{Policy: "round_robin"}
	for what, u := range map[string]fleet.Update{
		"nothing":    {Version: "e.1"},
		"a route":    {Version: "e.2", Routes: []*fleet.Route{wordy("a", 2)}},
		"all":        {Version: "e.3", Complete: true, Routes: []*fleet.Route{wordy("a", 0), wordy("b", 1), wordy("c", 3)}, Settings: &settings, Balancers: []fleet.Balancer{{Name: "lb"}}, Shard: 1, Shards: 4},
		"what went":  {Version: "e.4", Removed: []fleet.Key{{Namespace: "ns", Deployment: "a"}}},
		"an answer":  {Version: "e.5", Complete: true, Buckets: []int32{1, 2}, Routes: []*fleet.Route{wordy("a", 1)}},
		"no routes…": {Version: "e.6", Routes: []*fleet.Route{}, Balancers: []fleet.Balancer{}},
	} {
		for _, headers := range []bool{true, false} {
			for _, more := range []bool{true, false} {
				answer := httptest.NewRecorder()
				l := newLines(answer, &words{})
				l.headers = headers
				if err := l.write(u, more, now); err != nil {
					t.Fatal(err)
				}
				want := routesUpdate(u, now)
				if !headers {
					withoutHeaders(&want)
				}
				if more {
					want.Continued = &more
				}
				wanted, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(wanted)+"\n", answer.Body.String()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
				var read autoscaler.RoutesUpdate
				if err := json.Unmarshal(answer.Body.Bytes(), &read); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				l.end()
			}
		}
	}
}
