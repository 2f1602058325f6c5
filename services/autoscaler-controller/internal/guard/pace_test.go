package guard

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

func TestPace_EachCallerHasItsOwn(t *testing.T) {
	now := time.Unix(1000, 0)
	var refused []string
	g := (&world{rights: map[string]bool{"list": true}}).guard(func(o *Options) {
		o.Paces, o.Now = Paces{People: Pace{2, 3}, Pods: Pace{1, 1}}, func() time.Time { return now }
		o.Refused = func(_ context.Context, r Refusal) { refused = append(refused, r.Operation+" "+string(r.Code)) }
	})
	calls := func(token string) (n int) {
		t.Helper()
		for range 10 {
			_, err := g.Judge(t.Context(), "listPods", bearer(token), "")
			if err == nil {
				n++
				continue
			}
			if e := fault.From(err); e.Code != fault.TooMany || e.RetryAfter != time.Second || !strings.Contains(e.Detail, "more than 2 calls a second") {
				t.Fatal(err)
			}
		}
		return n
	}
	if n := calls(jane); n != 3 || len(refused) != 7 || refused[0] != "listPods too-many" {
		t.Errorf("%d calls at once, refused %v", n, refused)
	}
	if n := calls(opaque); n != 3 {
		t.Errorf("jane's calls took omar's: he has %d", n)
	}
	now = now.Add(time.Second)
	if n := calls(jane); n != 2 {
		t.Errorf("%d a second later", n)
	}
	for i, want := range []bool{true, false} {
		if _, err := g.Judge(t.Context(), "submitPodMetrics", bearer(sidecar), ""); (err == nil) != want {
			t.Errorf("push %d: %v", i, err)
		}
	}
	for range 20 { // a load balancer has no pace here
		if _, err := g.Judge(t.Context(), "startApplication", bearer(balancer), "shop"); err != nil {
			t.Fatal(err)
		}
	}
}

// Who comes to a load balancer's admin port has it ask here whose the token is: were that of the same pace, tokens that
// nobody knows would keep applications asleep.
func TestPace_QuestionsAboutOthersTakeNothingFromWhatAServiceDoesItself(t *testing.T) {
	now := time.Unix(1000, 0)
	g := (&world{}).guard(func(o *Options) {
		o.Paces, o.Now = Services(Pace{1, 1}), func() time.Time { return now }
	})
	asked := 0
	for range 20_000 {
		if _, err := g.Judge(t.Context(), "reviewAccess", bearer(balancer), ""); err == nil {
			asked++
		} else if !fault.Is(err, fault.TooMany) {
			t.Fatal(err)
		}
	}
	if asked != g.Paces.Reviews.Burst {
		t.Errorf("it asked %d times at once", asked)
	}
	for _, operation := range []string{"startApplication", "reportTraffic", "watchRoutes"} {
		if _, err := g.Judge(t.Context(), operation, bearer(balancer), "shop"); err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

func TestPace_WhoHasNoTokenAndWhatIsOpenHaveNone(t *testing.T) {
	g := (&world{}).guard(func(o *Options) { o.Optional, o.Paces = true, Services(Pace{1, 1}) })
	for range 100 {
		for _, operation := range []string{"listPods", "getLiveness", "getCustomAutoscaler"} {
			if _, err := g.Judge(t.Context(), operation, http.Header{}, ""); err != nil {
				t.Fatalf("%s: %v", operation, err)
			}
		}
	}
}

// What is passed on to the API server has the pace of who calls too, whatever token that one has made for it.
func TestPace_CallsThatArePassedOnHaveThatOfTheCaller(t *testing.T) {
	now := time.Unix(1000, 0)
	w := &world{}
	var refused []Refusal
	g := w.guard(func(o *Options) {
		o.Paces, o.Now = Services(Pace{1, 3}), func() time.Time { return now }
		o.Refused = func(_ context.Context, r Refusal) { refused = append(refused, r) }
	})
	calls := func(ctx context.Context, header http.Header) (n int) {
		t.Helper()
		for _, operation := range []string{"getCustomAutoscaler", "listCustomAutoscalers", "patchCustomAutoscaler", "deleteCustomAutoscaler", "createCustomAutoscaler"} {
			if grant, err := g.Judge(ctx, operation, header, "shop"); err == nil {
				n++
			} else if !fault.Is(err, fault.TooMany) || grant.Caller.Name != "" {
				t.Fatalf("%+v %v", grant, err)
			}
		}
		return n
	}
	if n := calls(t.Context(), bearer(jane)); n != 3 {
		t.Errorf("jane makes %d calls", n)
	}
	want := Refusal{"createCustomAutoscaler", "shop", "jane", "", fault.TooMany, "jane makes more than 1 calls a second"}
	if len(refused) != 2 || refused[1] != want {
		t.Errorf("refused %+v", refused)
	}
	if _, err := g.Judge(t.Context(), "listPods", bearer(jane), "shop"); !fault.Is(err, fault.TooMany) {
		t.Errorf("of the one pace of all her calls: %v", err)
	}
	if n := calls(t.Context(), bearer(opaque)); n != 3 {
		t.Errorf("omar makes %d calls", n)
	}
	here, there := fairshare.From(t.Context(), "10.0.0.1:1"), fairshare.From(t.Context(), "10.0.0.2:1")
	if n, m := calls(here, http.Header{}), calls(there, http.Header{}); n != 3 || m != 3 {
		t.Errorf("without a token %d and %d calls of two addresses", n, m)
	}
	if n := calls(t.Context(), http.Header{}); n != 5 {
		t.Errorf("of whom nothing is known: %d", n)
	}
	w.down = true // nobody says whose the tokens are: each has its pace, and the API server will judge
	if n, m := calls(t.Context(), bearer("a")), calls(t.Context(), bearer("b")); n != 3 || m != 3 {
		t.Errorf("of two tokens %d and %d calls", n, m)
	}
	w.down = false
	if _, err := g.Judge(t.Context(), "getCustomAutoscaler", bearer("none"), "shop"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a token that is none: %v", err)
	}
}

func TestPace_WhatIsKnownOfCallersIsBounded(t *testing.T) {
	b := newBuckets(Paces{Pods: Pace{1, 1}}, nil, 10)
	for i := range 1000 {
		if err := b.take("submitPodMetrics", &access.Caller{Kind: access.Service, Name: "s", Pod: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if b.known.Len() != 10 {
		t.Errorf("%d callers are known", b.known.Len())
	}
}

func TestPace_OfServicesIsWideEnoughForTheWorst(t *testing.T) {
	p := Services(Pace{1, 1})
	for name, c := range map[string]struct {
		pace           Pace
		second, atOnce float64
	}{
		"a load balancer to which 64 shards are led elsewhere, and 5000 applications wake": {p.Balancers, 64, 5000},
		"a sidecar that pushes every second, and ten times on command":                     {p.Pods, 1, 10},
		"a collector that pushes every second to 64 shards":                                {p.Collectors, 64, 128},
	} {
		if c.pace.PerSecond < c.second || float64(c.pace.Burst) < c.atOnce {
			t.Errorf("%s: %+v", name, c.pace)
		}
	}
}
