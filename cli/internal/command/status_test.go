package command

import (
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestSummary_CountsThemByState(t *testing.T) {
	falling := awake()
	falling.State = autoscaler.ApplicationStateFallingAsleep
	unknown := asleep()
	unknown.State = autoscaler.ApplicationStateUnknown
	if got, want := summary([]autoscaler.Application{awake(), falling, asleep(), unknown}, now), "4 applications, 1 awake, 1 falling asleep, 1 asleep, 1 in an unknown state, 2 pods"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// refusedClaim is one that a namespace which may be seen keeps, or which may not.
func refusedClaim(deployment string, by string) autoscaler.RefusedClaim {
	c := autoscaler.RefusedClaim{
		Namespace: "shop", Deployment: deployment, Autoscaler: "late", ApiPrefix: "/buy", Reason: autoscaler.ClaimRefused,
		Message: deployment + ": apiPrefix /buy overlaps what an application of another namespace holds",
	}
	if by != "" {
		c.HeldBy = &struct {
			Autoscaler string `json:"autoscaler"`
			Namespace  string `json:"namespace"`
		}{"older", by}
	}
	return c
}

// The Kubernetes metrics API knows a new pod a while later: who has just been woken is well.
func TestTroubles_WhatANewPodUsesMayNotBeKnownYet(t *testing.T) {
	for since, want := range map[time.Duration]int{0: 0, time.Minute: 0, 119 * time.Second: 0, 2 * time.Minute: 1, time.Hour: 1} {
		a := autoscaler.Application{Conditions: []autoscaler.Condition{{
			Type: "ThresholdsActive", Status: autoscaler.ConditionStatusFalse, Reason: "MetricsMissing", Message: new("not known: CPU_USAGE"), LastTransitionTime: now.Add(-since),
		}}}
		if got := troubles(a, now); len(got) != want {
			t.Errorf("after %v: %q", since, got)
		}
	}
}

func TestStatus_SaysWhichClaimsAreRefused(t *testing.T) {
	w, cart := newWorld(t), awake()
	cart.RefusedClaims = &[]autoscaler.RefusedClaim{refusedClaim("cart", "bank")}
	w.apps, w.refused = []autoscaler.Application{asleep(), cart}, &[]autoscaler.RefusedClaim{refusedClaim("lost", "")}
	const own = "claim refused: cart: apiPrefix /buy overlaps what an application of another namespace holds (it is held by the CustomAutoscaler bank/older)"
	out := w.run(t, "status").ok(t)
	for _, want := range []string{own, "1 in need of attention", "! shop/lost, for which the CustomAutoscaler late asks: claim refused: lost: apiPrefix /buy overlaps what an application of another namespace holds\n"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, out)
		}
	}
	if cartAt, searchAt := strings.Index(out, "cart "), strings.Index(out, "search "); cartAt > searchAt {
		t.Errorf("it does not come first:\n%s", out)
	}
	for _, verb := range []string{"status", "why"} {
		if out := w.run(t, verb, "cart").ok(t); !strings.Contains(out, "! "+own) {
			t.Errorf("%s does not say it:\n%s", verb, out)
		}
		if out := w.run(t, verb, "search").ok(t); strings.Contains(out, "refused:") {
			t.Errorf("%s says it of another one:\n%s", verb, out)
		}
	}
	w.apps = nil
	if out := w.run(t, "status").ok(t); !strings.Contains(out, "No applications in shop") || !strings.Contains(out, "! shop/lost") {
		t.Errorf("without applications:\n%s", out)
	}
}
