package contract

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestClaims_ComeBackFromTheStatusAsTheyWentIn(t *testing.T) {
	want := []Claim{
		{Deployment: "app", Prefix: "/", Hosts: []string{"b.example", "a.example"}, Since: day},
		{Deployment: "app", Prefix: "/shop/", Since: day.Add(1500 * time.Millisecond)},
	}
	written := NewStatus(Standing{Generation: 7, Claims: want}, nil, Status{}, day)
	got, generation := again(t, written).Claims()
	if diff := cmp.Diff(want, got); diff != "" || generation != 7 {
		t.Errorf("of generation %d (-want +got):\n%s", generation, diff)
	}
	raw, err := json.Marshal(written.said.Claims)
	if want := `[{"apiPrefix":"/","claimedSince":"2026-01-02T03:04:05Z","deployment":"app","hosts":["b.example","a.example"]},` +
		`{"apiPrefix":"/shop/","claimedSince":"2026-01-02T03:04:06.5Z","deployment":"app"}]`; err != nil || string(raw) != want {
		t.Errorf("%v\n%s\n%s", err, raw, want)
	}
	if list, generation := (Status{}).Claims(); list != nil || generation != 0 {
		t.Errorf("nothing says %v of %d", list, generation)
	}
}

func TestClaims_AreNotMoreThanTheContractLets(t *testing.T) {
	many := make([]Claim, mostClaims+1)
	if kept := claimed(many); len(*kept) != mostClaims {
		t.Errorf("%d are kept", len(*kept))
	}
	all := make([]autoscaler.ClaimStatus, 1000)
	if read, _ := (Status{autoscaler.CustomAutoscalerStatus{Claims: &all}}).Claims(); len(read) != mostClaims {
		t.Errorf("%d are read", len(read))
	}
}

// A claim that is not written would be lost with this process: it does not wait for other news.
func TestClaims_AreNews(t *testing.T) {
	of := func(claims ...Claim) Status {
		return again(t, NewStatus(Standing{Generation: 1, Claims: claims}, nil, Status{}, day))
	}
	one := Claim{Deployment: "app", Prefix: "/x", Hosts: []string{"h"}, Since: day}
	change := func(do func(*Claim)) Claim { c := one; do(&c); return c }
	for name, c := range map[string]struct {
		now  []Claim
		same bool
	}{
		"the same":           {[]Claim{one}, true},
		"another zone":       {[]Claim{change(func(c *Claim) { c.Since = c.Since.In(time.FixedZone("x", 3600)) })}, true},
		"none":               {nil, false},
		"one more":           {[]Claim{one, one}, false},
		"another time":       {[]Claim{change(func(c *Claim) { c.Since = day.Add(1) })}, false},
		"another Deployment": {[]Claim{change(func(c *Claim) { c.Deployment = "b" })}, false},
		"another prefix":     {[]Claim{change(func(c *Claim) { c.Prefix = "/x/y" })}, false},
		"every host":         {[]Claim{change(func(c *Claim) { c.Hosts = nil })}, false},
	} {
		if before, now := of(one), of(c.now...); before.SameStanding(now) != c.same || before.Covers(now) != c.same {
			t.Errorf("%s: the same standing is %v, it covers is %v", name, before.SameStanding(now), before.Covers(now))
		}
	}
}

// A resource of release 0.1 keeps no claims, and answers without.
func TestClaims_ThatAreNotKeptAreNotWrittenAgainAndAgain(t *testing.T) {
	sent := NewStatus(Standing{Generation: 1, Claims: []Claim{{Deployment: "app", Prefix: "/x", Since: day}}}, nil, Status{}, day)
	answer := again(t, sent)
	answer.said.Claims = nil
	if answer.Covers(sent) || !answer.WithClaimsOf(sent).Covers(again(t, sent)) {
		t.Error("it would be written again, or was never")
	}
	other := NewStatus(Standing{Claims: []Claim{{Deployment: "other", Since: day}}}, nil, Status{}, day)
	if got, _ := sent.WithClaimsOf(other).Claims(); got[0].Deployment != "app" {
		t.Errorf("what is kept gives way to %v", got)
	}
}
