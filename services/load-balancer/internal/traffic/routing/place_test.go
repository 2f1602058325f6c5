package routing

import (
	"slices"
	"testing"
)

func places() Route {
	return Route{
		Application: Application{Namespace: "default", Deployment: "shop"}, Prefix: "/api/", StripPrefix: true, ServiceAddress: "shop.default.svc:80",
		AlsoAt: []Place{{Prefix: "/ui", ServiceAddress: "shop.default.svc:81"}, {Prefix: "/", Hosts: []string{"shop.example"}, StripPrefix: true, RewriteAnswers: true, Protocol: H2C}},
	}
}

func TestFurtherAt_IsByTheMatchsPrefix(t *testing.T) {
	r := places()
	for prefix, want := range map[string]int{"/api": -1, "/ui": 0, "": 1, "/other": -1} {
		if got := r.FurtherAt(prefix); got != want {
			t.Errorf("%q: %d, want %d", prefix, got, want)
		}
	}
	if only := (Route{Prefix: "/now"}); only.FurtherAt("/before") != -1 {
		t.Error("the only address is the route's own, however it was called before")
	}
}

func TestPlace_IsTheRoutesOwnOrAFurtherOne(t *testing.T) {
	r := places()
	if own := r.Place(-1); own.Prefix != "/api/" || !own.StripPrefix || own.RewriteAnswers || own.ServiceAddress != "shop.default.svc:80" {
		t.Errorf("%+v", own)
	}
	if further := r.Place(1); further.Protocol != H2C || !further.RewriteAnswers {
		t.Errorf("%+v", further)
	}
	if gone := r.Place(7); gone.Prefix != "/api/" {
		t.Errorf("%+v", gone)
	}
}

func TestResolve_NamesFurtherAddressesToo(t *testing.T) {
	r := places()
	for target, want := range map[string]Target{
		"/api/x":                          {Prefix: "/api", Path: "/x"},
		"/ui/x?a=b":                       {Prefix: "/ui", Path: "/x", Query: "a=b"},
		"http://shop.default.svc:80/x":    {Prefix: "/api", Path: "/x"},
		"http://shop.default.svc:81/ui/x": {Prefix: "", At: "/ui", Path: "/ui/x"}, // its prefix stays in the path
	} {
		got, err := Resolve([]Route{r}, target)
		if err != nil || got.Application != r.Application || got.Prefix != want.Prefix || got.Path != want.Path || got.Query != want.Query || want.At != "" && got.At != want.At {
			t.Errorf("%s: %+v, %v", target, got, err)
		}
	}
	if names := r.Names(); !slices.Equal(names, []string{"http://shop.default.svc:80", "/api/", "http://shop.default.svc:81", "/ui"}) {
		t.Errorf("%v", names)
	}
}
