package redirect

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestTo_LeadsToTheSameOverTLS(t *testing.T) {
	for _, c := range []struct {
		host, target string
		port         int
		want         string
	}{
		{"shop.example", "/", 443, "https://shop.example/"},
		{"shop.example:80", "/a?b=c", 443, "https://shop.example/a?b=c"},
		{"shop.example:8080", "/a%2Fb?x=%20", 8443, "https://shop.example:8443/a%2Fb?x=%20"},
		{"SHOP.example.", "/?", 443, "https://SHOP.example./?"},
		{"shop.example:", "/", 443, "https://shop.example/"},
		{"10.0.0.1:8080", "/", 443, "https://10.0.0.1/"},
		{"[2001:db8::1]:80", "/", 443, "https://[2001:db8::1]/"},
		{"[2001:db8::1]", "/", 8443, "https://[2001:db8::1]:8443/"},
		{"my_host", "//evil.example/x", 443, "https://my_host//evil.example/x"},
		{"other.example", "http://shop.example:80/a", 443, "https://shop.example/a"},
		{"other.example", "HTTP://shop.example", 443, "https://shop.example/"},
		{"other.example", "http://shop.example?x=1", 443, "https://shop.example/?x=1"},
		{"shop.example", "/\xc3\xa4?\xff", 443, "https://shop.example/%C3%A4?%FF"},
	} {
		got, clear := To(Request{Host: c.host, Target: c.target}, c.port)
		if got != c.want || !clear {
			t.Errorf("%q %q: %q, %v; want %q", c.host, c.target, got, clear, c.want)
		}
	}
}

func TestTo_MakesNoURLOfWhatCouldLeadElsewhere(t *testing.T) {
	for _, c := range [][2]string{
		{"", "/"}, {"a@evil.example", "/"}, {"evil.example/x", "/"}, {"a b", "/"}, {"a\r\nx: y", "/"}, {"a:b", "/"}, {"a:123456", "/"},
		{"a:80:80", "/"}, {"::1", "/"}, {"[::1", "/"}, {"::1]", "/"}, {"[::1]x", "/"}, {"[fe80::1%25eth0]", "/"}, {"[10.0.0.1]", "/"},
		{"a?b", "/"}, {"a#b", "/"}, {"a\\b", "/"}, {"ä.example", "/"}, {strings.Repeat("a", 254), "/"},
		{"a", ""}, {"a", "*"}, {"a", "x"}, {"a", "/\r\n"}, {"a", "/ "}, {"a", "/#x"}, {"a", "/\x7f"}, {"a", "https://b/"}, {"a", "http:///x"},
		{"a", "http://u:p@b/x"},
	} {
		if got, clear := To(Request{Host: c[0], Target: c[1]}, 443); got != "" || !clear {
			t.Errorf("%q %q: %q, %v; want no URL, and that it came in clear", c[0], c[1], got, clear)
		}
	}
}

func TestTo_LeavesAloneWhatCameOverTLS(t *testing.T) {
	for _, c := range []struct {
		r     Request
		clear bool
	}{
		{Request{Secure: true}, false},
		{Request{Trusted: true, ForwardedProto: "https"}, false},
		{Request{Trusted: true, ForwardedProto: " HTTPS , http"}, false},
		{Request{Trusted: true, ForwardedProto: "http, https"}, true},
		{Request{Trusted: true}, true},
		{Request{ForwardedProto: "https"}, true}, // anybody may say so
	} {
		c.r.Host, c.r.Target = "shop.example", "/"
		if got, clear := To(c.r, 443); clear != c.clear || (got != "") != c.clear {
			t.Errorf("%+v: %q, %v", c.r, got, clear)
		}
	}
}

func TestStatus_KeepsMethodAndBody(t *testing.T) {
	if Status != http.StatusPermanentRedirect {
		t.Error(Status)
	}
}

// What is answered must be a URL of that very host, in one header field.
func FuzzTo(f *testing.F) {
	for _, seed := range [][2]string{{"shop.example:80", "/a?b"}, {"[::1]:80", "http://x/y"}, {"a@b", "//x"}, {"a", "/\xff"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, host, target string) {
		got, clear := To(Request{Host: host, Target: target}, 8443)
		if !clear {
			t.Fatal("a request in clear is not seen as one")
		}
		if got == "" {
			return
		}
		u, err := url.Parse(got)
		if strings.ContainsAny(got, "\r\n \x00") || err == nil && (u.Scheme != "https" || u.User != nil || u.Port() != "8443" || u.Fragment != "") {
			t.Fatalf("%q %q: %q (%+v)", host, target, got, u)
		}
		if _, absolute := cutScheme(target); err == nil && !absolute && !strings.HasPrefix(host, "[") && !strings.HasPrefix(host, u.Hostname()) {
			t.Fatalf("%q %q: %q leads to another host", host, target, got)
		}
	})
}
