package proxy

import (
	"slices"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func TestPath_ArrivesAsItWasSent(t *testing.T) {
	for name, test := range map[string]struct {
		prefix string
		strip  bool
		path   string
		want   string
		shown  []string // X-Forwarded-Prefix
	}{
		"behind the prefix":         {"/shop", true, "/shop/a%2Fb/%41/x;y=z", "/a%2Fb/%41/x;y=z", []string{"/shop"}},
		"the prefix alone":          {"/shop", true, "/shop", "/", []string{"/shop"}},
		"with a doubled slash":      {"/shop", true, "/shop//a//", "//a//", []string{"/shop"}},
		"with dot segments":         {"/shop", true, "/x/../shop/a/./b/..", "/a/./b/..", []string{"/shop"}},
		"without stripping":         {"/shop", false, "/shop/a%2Fb//c", "/shop/a%2Fb//c", nil},
		"without stripping, alone":  {"/shop", false, "/shop", "/shop", nil},
		"without a prefix":          {"/", true, "/a%2Fb//c", "/a%2Fb//c", nil},
		"without a prefix or strip": {"/", false, "/./a", "/./a", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var path string
			var shown []string
			u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
				path = r.Path
				for _, f := range r.Add {
					if f.Name == "X-Forwarded-Prefix" {
						shown = append(shown, f.Value)
					}
				}
				return hello(to, r)
			}), func(_ *Options, r *routing.Route) { r.Prefix, r.StripPrefix = test.prefix, test.strip })
			r := u.ask(newClient(), "GET "+test.path+"?q=%2f HTTP/1.1\nHost: a")
			if path != test.want || r.PodPath != test.want || r.Path != test.path || !slices.Equal(shown, test.shown) {
				t.Errorf("%s, with X-Forwarded-Prefix %q; want %s, %q; the log has %s for %s", path, shown, test.want, test.shown, r.PodPath, r.Path)
			}
		})
	}
}

func TestPath_OfAnOrderIsThePlaceThatItNames(t *testing.T) {
	for name, test := range map[string]struct {
		strip  bool
		target string
		want   string
	}{
		"a URL of the Service":                  {true, "http://shop.default.svc:80/a/b", "/a/b"},
		"a path of clients":                     {true, "/shop/a/b", "/a/b"},
		"a URL, where the prefix stays":         {false, "http://shop.default.svc:80/shop/a", "/shop/a"},
		"a URL outside, where the prefix stays": {false, "http://shop.default.svc:80/health", "/health"},
		"a path, where the prefix stays":        {false, "/shop/a/b", "/shop/a/b"},
	} {
		t.Run(name, func(t *testing.T) {
			path := ""
			u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
				path = r.Path
				return hello(to, r)
			}), func(_ *Options, r *routing.Route) {
				r.StripPrefix, r.ServiceAddress = test.strip, "shop.default.svc:80"
			})
			target, err := routing.Resolve([]routing.Route{u.route}, test.target)
			if err != nil {
				t.Fatal(err)
			}
			if o := u.Call(newClient(), Order{Target: target, Method: "GET"}); o.Refusal != nil || path != test.want {
				t.Errorf("the pod was asked for %s, want %s; %+v", path, test.want, o)
			}
		})
	}
}
