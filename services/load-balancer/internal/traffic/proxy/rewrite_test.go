package proxy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

var rewritten = rewriting{prefix: "/shop", known: "/outer/shop", asked: []string{"example.com:8080", "Front.example"}, own: []string{"10.0.0.1:80", "shop.default.svc:5001"}}

func TestLocation_GetsThePrefixWhereItNamesAPathOfTheApplication(t *testing.T) {
	for value, want := range map[string]string{
		// paths
		"/":               "/shop/",
		"/a/b?c=/d#e":     "/shop/a/b?c=/d#e",
		"/shopping":       "/shop/shopping",
		"/a%2Fb//c":       "/shop/a%2Fb//c",
		"/?x":             "/shop/?x",
		"/shop":           "/shop",
		"/shop/a":         "/shop/a",
		"/shop?a":         "/shop?a",
		"/shop#a":         "/shop#a",
		"/outer/shop/a":   "/outer/shop/a",
		"/outer/a":        "/shop/outer/a",
		"/go?to=http://x": "/shop/go?to=http://x",
		// relative ones are right as they are
		"": "", "a": "a", "../a": "../a", "?a": "?a", "#a": "#a", "a/b://c": "a/b://c",
		// URLs of the host that was asked for
		"http://example.com:8080/a":      "http://example.com:8080/shop/a",
		"https://EXAMPLE.com:8080/a?b":   "https://EXAMPLE.com:8080/shop/a?b",
		"http://example.com:8080":        "http://example.com:8080/shop",
		"http://example.com:8080?a":      "http://example.com:8080/shop?a",
		"http://example.com:8080/shop/a": "http://example.com:8080/shop/a",
		"https://front.example/a":        "https://front.example/shop/a",
		"https://front.example:443/a":    "https://front.example:443/shop/a",
		"http://front.example:80/a":      "http://front.example:80/shop/a",
		"//front.example/a":              "//front.example/shop/a",
		// of the pod or its Service, which no client reaches
		"http://10.0.0.1/a":               "/shop/a",
		"http://10.0.0.1:80/shop/a":       "/shop/a",
		"http://shop.default.svc:5001/":   "/shop/",
		"http://shop.default.svc:5001?a":  "/shop?a",
		"//shop.default.svc:5001/a#there": "/shop/a#there",
		// of others
		"http://example.com/a":            "http://example.com/a",
		"http://front.example:81/a":       "http://front.example:81/a",
		"http://front.example:443/a":      "http://front.example:443/a",
		"http://other.example/a":          "http://other.example/a",
		"//other.example/a":               "//other.example/a",
		"http://me@front.example/a":       "http://me@front.example/a",
		"ftp://front.example/a":           "ftp://front.example/a",
		"mailto:a@front.example":          "mailto:a@front.example",
		"http://10.0.0.1:81/a":            "http://10.0.0.1:81/a",
		"http://front.example.evil.com/a": "http://front.example.evil.com/a",
		"http://":                         "http://",
	} {
		if got := rewritten.location(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestLinks_GetThePrefixInTheirTargetsAlone(t *testing.T) {
	for value, want := range map[string]string{
		"</a>": "</shop/a>", "</>; rel=next": "</shop/>; rel=next", "<a>; rel=next": "<a>; rel=next", "": "", "<>": "<>", "/a": "/a",
		`</a?p=2>; rel="next", </a?p=9>; rel="last"`:                          `</shop/a?p=2>; rel="next", </shop/a?p=9>; rel="last"`,
		`<http://front.example/a>; rel=next,<https://other.example/b>;rel=up`: `<http://front.example/shop/a>; rel=next,<https://other.example/b>;rel=up`,
		`</a>; title="</b>, \"</c>"; rel=x, </d>`:                             `</shop/a>; title="</b>, \"</c>"; rel=x, </shop/d>`,
		`</a,b;c>; rel=preload; as=style`:                                     `</shop/a,b;c>; rel=preload; as=style`,
		`<http://10.0.0.1/a>`:                                                 `</shop/a>`,
		`</shop/a>`:                                                           `</shop/a>`,
		`</a`:                                                                 `</a`,
		`</a>; title="</b>`:                                                   `</shop/a>; title="</b>`,
		`</a>; title="\`:                                                      `</shop/a>; title="\`,
	} {
		if got := rewritten.links(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestRefresh_GetsThePrefixInItsReference(t *testing.T) {
	for value, want := range map[string]string{
		"5; url=/a": "5; url=/shop/a", "0;URL=/a?b=c;d": "0;URL=/shop/a?b=c;d", "1, url = /a ": "1, url = /shop/a ",
		`2; url="/a"; x`: `2; url="/shop/a"; x`, "2; url='/a'": "2; url='/shop/a'", `2; url="`: `2; url="`, `2; url="/a`: `2; url="/shop/a`,
		"3; url=http://front.example/a": "3; url=http://front.example/shop/a", "3; url=https://other.example/a": "3; url=https://other.example/a",
		"4": "4", "4;": "4;", "4; url": "4; url", "4; url=": "4; url=", "4; to=/a": "4; to=/a", "4; url=a": "4; url=a", "": "",
	} {
		if got := rewritten.refresh(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestCookie_IsForThePathBehindThePrefix(t *testing.T) {
	for value, want := range map[string]string{
		"a=b; Path=/":                    "a=b; Path=/shop",
		"a=b; path=/x; HttpOnly":         "a=b; path=/shop/x; HttpOnly",
		"a=b;PATH = /x ;Secure":          "a=b;PATH = /shop/x ;Secure",
		"a=b; Path=/x; Path=/y":          "a=b; Path=/shop/x; Path=/shop/y",
		"a=b; Path=/shop/x":              "a=b; Path=/shop/x",
		"a=b; Path=/shop":                "a=b; Path=/shop",
		"a=b; Path=/shopping":            "a=b; Path=/shop/shopping",
		"a=b; Path=/outer/shop":          "a=b; Path=/outer/shop",
		"a=b":                            "a=b",
		"a=b; Secure":                    "a=b; Secure",
		"a=b; Path=":                     "a=b; Path=",
		"a=b; Path":                      "a=b; Path",
		"a=b; Path=x":                    "a=b; Path=x",
		"a=b; Pathology=/x":              "a=b; Pathology=/x",
		"Path=/x":                        "Path=/x",
		"a=b; Domain=front.example":      "a=b; Domain=front.example",
		"__Host-a=b; Path=/; Secure":     "__Host-a=b; Path=/; Secure",
		"__host-a=b; Path=/; Secure":     "__host-a=b; Path=/; Secure",
		"__Secure-a=b; Path=/; Secure":   "__Secure-a=b; Path=/shop; Secure",
		"a=\"x; Path=/y":                 "a=\"x; Path=/shop/y",
		";":                              ";",
		"a=b;; Path=/;":                  "a=b;; Path=/shop;",
		"a=b; Path=/x; Expires=Thu, 01 ": "a=b; Path=/shop/x; Expires=Thu, 01 ",
	} {
		if got := rewritten.cookie(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

const podsAnswer = "HTTP/1.1 302 Found\nX-First: 1\nlocation: /login\nSet-Cookie: a=b; Path=/\nset-cookie: c=d\nContent-Location: /a/b\nX-Path: /login\nLink: </a>; rel=next\nRefresh: 1; url=/a\nContent-Length: 0"

func TestRewriteAnswer_ChangesValuesInPlace(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*Options, *routing.Route)
		changed bool
	}{
		"by default":                {func(_ *Options, r *routing.Route) { r.RewriteAnswers = true }, true},
		"switched off":              {func(_ *Options, r *routing.Route) { r.RewriteAnswers = false }, false},
		"where the prefix stays on": {func(_ *Options, r *routing.Route) { r.RewriteAnswers, r.StripPrefix = true, false }, false},
		"without a prefix":          {func(_ *Options, r *routing.Route) { r.RewriteAnswers, r.Prefix = true, "/" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
				early := &message.Response{}
				if err := early.ParseResponse([]byte(lines("HTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload")), false); err != nil {
					t.Fatal(err)
				}
				r.Inform.Inform(early)
				return answers(r, podsAnswer), nil
			}), test.change)
			c := newClient()
			u.ask(c, "GET /shop/1 HTTP/1.1\nHost: a")
			want := []string{"X-First: 1", "location: /login", "Set-Cookie: a=b; Path=/", "set-cookie: c=d", "Content-Location: /a/b", "X-Path: /login", "Link: </a>; rel=next", "Refresh: 1; url=/a"}
			if test.changed {
				want[1], want[2], want[4] = "location: /shop/login", "Set-Cookie: a=b; Path=/shop", "Content-Location: /shop/a/b"
				want[6], want[7] = "Link: </shop/a>; rel=next", "Refresh: 1; url=/shop/a"
			}
			equal(t, "the answer", c.fields, want)
			hint := map[bool]string{true: "/shop/a.css", false: "/a.css"}[test.changed]
			equal(t, "the hint before it", c.informed, []string{"Early Hints|Link: <" + hint + ">; rel=preload"})
		})
	}
}

func TestRewriteAnswer_KnowsWhatATrustedProxySaysOfItself(t *testing.T) {
	for name, trusted := range map[string]bool{"trusted": true, "a stranger": false} {
		t.Run(name, func(t *testing.T) {
			u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
				return answers(r, "HTTP/1.1 201 Created\nLocation: https://outside.example/a\nContent-Location: /outer/shop/a\nContent-Length: 0"), nil
			}), func(o *Options, r *routing.Route) {
				r.RewriteAnswers = true
				if trusted {
					o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
				}
			})
			c := newClient()
			u.ask(c, "POST /shop/1 HTTP/1.1\nHost: inside\nX-Forwarded-Host: outside.example, other\nX-Forwarded-Prefix: /outer")
			want := []string{"Location: https://outside.example/a", "Content-Location: /shop/outer/shop/a"}
			if trusted {
				want = []string{"Location: https://outside.example/shop/a", "Content-Location: /outer/shop/a"}
			}
			equal(t, "the answer", c.fields, want)
		})
	}
}

func FuzzRewriting(f *testing.F) {
	for _, value := range []string{"/", "/a?b#c", "http://front.example/a", "//10.0.0.1/a", "a=b; Path=/; Secure", "a=b; path = /x;Path=/y", "__Host-a=b; Path=/", "=;=;;Path=//"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		once := rewritten.location(value)
		if twice := rewritten.location(once); twice != once {
			t.Errorf("location %q: %q, and then %q", value, once, twice)
		}
		cookie := rewritten.cookie(value)
		if twice := rewritten.cookie(cookie); twice != cookie {
			t.Errorf("cookie %q: %q, and then %q", value, cookie, twice)
		}
		name, _, _ := strings.Cut(value, ";")
		if got, _, _ := strings.Cut(cookie, ";"); got != name || strings.Count(cookie, ";") != strings.Count(value, ";") {
			t.Errorf("cookie %q: %q", value, cookie)
		}
	})
}
