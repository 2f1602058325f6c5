package routing

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

var targets = []Route{
	{Application: Application{"default", "fib"}, Prefix: "/fibonacci", StripPrefix: true, ServiceAddress: "fibonacci-service.default.svc:5001"},
	{Application: Application{"web", "site"}, Prefix: "/", Hosts: []string{"site.example"}, ServiceAddress: "site.web.svc:80"},
	{Application: Application{"web", "all"}, Prefix: "/", ServiceAddress: "all.web.svc:8080"},
	{Application: Application{"web", "podless"}, Prefix: "/fibonacci/deep/"},
}

func TestResolve_FindsServicesAndPrefixes(t *testing.T) {
	for target, want := range map[string]string{
		"http://fibonacci-service.default.svc:5001/fib/30":                   "default/fib /fibonacci /fib/30 ",
		"http://fibonacci-service.default.svc.cluster.local:5001/fib/30?a=b": "default/fib /fibonacci /fib/30 a=b",
		"http://Fibonacci-Service.default:5001":                              "default/fib /fibonacci / ",
		"http://fibonacci-service.default.svc.cluster.local.:5001/":          "default/fib /fibonacci / ",
		"HTTP://site.web/x/../y#part":                                        "web/site  /y ",
		"http://all.web:8080/fibonacci/x":                                    "web/all  /fibonacci/x ",
		"/fibonacci/fib/30?n=a b\u00e9":                                      "default/fib /fibonacci /fib/30 n=a%20b%C3%A9",
		"/fibonacci":                                                         "default/fib /fibonacci / ",
		"/fibonacci/deep/x":                                                  "web/podless /fibonacci/deep /x ",
		"/other/%2e%2e/there":                                                "web/all  /there ",
		"/fibonacci/a%2fb":                                                   "default/fib /fibonacci /a%2fb ",
	} {
		got, err := Resolve(targets, target)
		if text := got.Application.String() + " " + got.Prefix + " " + got.Path + " " + got.Query; err != nil || text != want {
			t.Errorf("%s: %q, %v, want %q", target, text, err, want)
		}
	}
}

func TestResolve_RefusesEverythingElse(t *testing.T) {
	for target, want := range map[string]error{
		"http://example.com/":                                       ErrUnknownTarget,
		"http://fibonacci-service.default.svc/":                     ErrUnknownTarget, // another port
		"http://fibonacci-service.default.svc:5002/":                ErrUnknownTarget,
		"http://fibonacci-service:5001/":                            ErrUnknownTarget, // no namespace
		"http://fibonacci-service.other.svc:5001/":                  ErrUnknownTarget,
		"https://fibonacci-service.default.svc:5001/":               ErrUnknownTarget,
		"ftp://fibonacci-service.default.svc:5001/":                 ErrUnknownTarget,
		"//fibonacci-service.default.svc:5001/":                     ErrUnknownTarget,
		"http://me@fibonacci-service.default.svc:5001/":             ErrUnknownTarget,
		"http://fibonacci-service.default.svc:5001@example.com/":    ErrUnknownTarget,
		"http://169.254.169.254/latest/meta-data":                   ErrUnknownTarget,
		"http://10.88.0.17:5001/":                                   ErrUnknownTarget,
		"http://[::1]:5001/":                                        ErrUnknownTarget,
		"http://podless.web:80/":                                    ErrUnknownTarget,
		"http:/fibonacci":                                           ErrTargetForm,
		"http:fibonacci":                                            ErrTargetForm,
		"fibonacci-service.default.svc:5001/":                       ErrTargetForm,
		"file:///etc/passwd":                                        ErrUnknownTarget,
		"fibonacci":                                                 ErrTargetForm,
		"http://[::1":                                               ErrTargetForm,
		"http://fibonacci-service.default.svc:5001/\r\nX: y":        ErrTargetForm,
		"http://fibonacci-service.default.svc:5001/../x":            ErrLeaves,
		"http://fibonacci-service.default.svc:5001/a/%2e%2e/../x":   ErrLeaves,
		"http://fibonacci-service.default.svc:5001/..%2fx":          ErrLeaves,
		"http://fibonacci-service.default.svc:5001/a%5c..%5c..%5cx": ErrLeaves,
		"http://all.web:8080/../x":                                  ErrLeaves,
		"http://all.web:8080/%00":                                   ErrPathNUL,
		"/fibonacci%2fx":                                            ErrAmbiguous,
		"/%zz":                                                      ErrTargetForm,
	} {
		if got, err := Resolve(targets, target); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v, want %v", target, got, err, want)
		}
	}
	if _, err := Resolve(targets[:1], "/other"); !errors.Is(err, ErrUnknownTarget) {
		t.Errorf("a path of no route: %v", err)
	}
}

func TestChoose_ByNameOrTheOnlyOne(t *testing.T) {
	routes := slices.Concat(targets[:3], []Route{{Application: Application{"other", "fib"}, Prefix: "/o"}})
	for name, want := range map[string]string{"site": "web/site", "web/site": "web/site", "other/fib": "other/fib"} {
		if r, _, err := Choose(routes, name); err != nil || r.Application.String() != want {
			t.Errorf("%q: %v, %v", name, r.Application, err)
		}
	}
	for name, want := range map[string]error{"fib": ErrManyTargets, "": ErrManyTargets, "web": ErrUnknownTarget, "web/fib": ErrUnknownTarget} {
		if _, meant, err := Choose(routes, name); !errors.Is(err, want) || name == "fib" && len(meant) != 2 {
			t.Errorf("%q: %v, %v", name, meant, err)
		}
	}
	if r, _, err := Choose(routes[:1], ""); err != nil || r.Application.Deployment != "fib" {
		t.Errorf("the only one: %v, %v", r, err)
	}
	if _, _, err := Choose(nil, ""); !errors.Is(err, ErrUnknownTarget) {
		t.Errorf("none: %v", err)
	}
}

// Whatever is asked for, what comes out is a place in an application that is known, and as a
// request line can carry it.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{
		"http://fibonacci-service.default.svc:5001/fib/30?x=1", "/fibonacci/../x", "/fibonacci/%2e%2e%2fx", "//a/b", "http://a@b/", "/x?a b", "http://all.web:8080/..",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got, err := Resolve(targets, target)
		if err != nil {
			return
		}
		var route Route
		for _, r := range targets {
			if r.Application == got.Application {
				route = r
			}
		}
		if route.Prefix == "" || got.Prefix != trimPrefix(route.Prefix) {
			t.Fatalf("%q leads to %+v, which is no route", target, got)
		}
		if !strings.HasPrefix(got.Path, "/") || strings.ContainsAny(got.Path+got.Query, " \r\n\x00\t") {
			t.Fatalf("%q gives the request target %q?%q", target, got.Path, got.Query)
		}
		if plain, err := url.PathUnescape(got.Path); err != nil || strings.Contains(plain+"/", "/../") && !hidesSeparator(got.Path) {
			t.Fatalf("%q gives the path %q, %v", target, got.Path, err)
		}
		if again, err := within(got.Prefix, got.Path); err != nil || again != got.Path {
			t.Fatalf("%q gives the path %q, which is not normal: %q, %v", target, got.Path, again, err)
		}
	})
}
