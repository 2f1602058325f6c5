package dispatch

import (
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func TestNameless_SaysWhyAndNamesNothing(t *testing.T) {
	app := routing.Application{Namespace: "shop", Deployment: "cart"}
	for _, c := range []struct{ reason, message, want string }{
		{startRefused, "shop/cart is not started: it is paused (spec.mode)", "the application is not started: it is paused (spec.mode)"},
		{startRefused, "the Deployment shop/cart does not exist", "its Deployment does not exist"},
		{startRefused, "another team's shop is in the way", startRefused},
		{startRefused, "cart-7 is in the way", startRefused},
		{startRefused, "", startRefused},
		{"ImagePullBackOff", "pod x of search: no image registry.example/team/model", "ImagePullBackOff"},
		{"Paused", "by jane", "Paused"},
	} {
		if got := Nameless(routing.Blocked{Reason: c.reason, Message: c.message}, app); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.reason, c.message, got, c.want)
		}
	}
	if got := refusedTrouble("shop has no room", app); got != (Trouble{"shop has no room", "the controller refused the start"}) {
		t.Errorf("%+v", got)
	}
}
