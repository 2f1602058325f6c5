package message

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parse reads a request as a server does: the end of its head first.
func parse(raw string) (*Request, error) {
	var r Request
	var end HeadEnd
	n, err := end.Find([]byte(raw))
	if err == nil && n == 0 {
		err = errIncomplete
	}
	if err != nil {
		return &r, err
	}
	return &r, r.ParseRequest([]byte(raw[:n]))
}

// head is a request's head with a Host, and these lines beside it.
func head(first string, lines ...string) string {
	var b strings.Builder
	for _, line := range append([]string{first, "Host: h"}, lines...) {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n"
}

func TestParseRequest_TakesTheTargetApart(t *testing.T) {
	for target, want := range map[string]Request{
		"/":                   {Path: "/"},
		"/a/b%20c":            {Path: "/a/b%20c"},
		"/a/../b//c/.":        {Path: "/a/../b//c/."},
		"/a?":                 {Path: "/a", HasQuery: true},
		"/a?b=c?d":            {Path: "/a", Query: "b=c?d", HasQuery: true},
		"//other/a":           {Path: "//other/a"},
		"/\xc3\xa4":           {Path: "/\xc3\xa4"},
		"http://other":        {Path: "/", Scheme: "http", Host: "other"},
		"http://other:81/a?b": {Path: "/a", Query: "b", HasQuery: true, Scheme: "http", Host: "other:81"},
		"HTTPS://Other?b":     {Path: "/", Query: "b", HasQuery: true, Scheme: "https", Host: "Other"},
		"http://[::1]:81/":    {Path: "/", Scheme: "http", Host: "[::1]:81"},
	} {
		got, err := parse(head("GET " + target + " HTTP/1.1"))
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		want.Method, want.Target, want.Version = "GET", target, HTTP11
		if want.Host == "" {
			want.Host = "h"
		}
		want.Fields = Fields{{Name: "Host", Value: "h", Known: Host}}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
}

func TestParseRequest_OptionsOfTheServerAndConnectHaveTargetsOfTheirOwn(t *testing.T) {
	if r, err := parse(head("OPTIONS * HTTP/1.1")); err != nil || r.Path != "*" {
		t.Errorf("%q, %v", r.Path, err)
	}
	if r, err := parse(head("CONNECT other:443 HTTP/1.1")); err != nil || r.Path != "" || r.Target != "other:443" {
		t.Errorf("%q, %q, %v", r.Path, r.Target, err)
	}
}

func TestParseRequest_KeepsTheFieldsAsTheyCame(t *testing.T) {
	r, err := parse("GET / HTTP/1.1\r\nhOsT:h\r\nSec-WebSocket-Key:  a b\t\r\nx-empty:\r\nX-Empty: \t \r\nv: \xe4\tb\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Fields{
		{Name: "hOsT", Value: "h", Known: Host}, {Name: "Sec-WebSocket-Key", Value: "a b"},
		{Name: "x-empty"}, {Name: "X-Empty"}, {Name: "v", Value: "\xe4\tb"},
	}
	if diff := cmp.Diff(want, r.Fields); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseRequest_SaysHowLongTheBodyIs(t *testing.T) {
	for lines, want := range map[string]int64{
		"":                                   0,
		"Content-Length: 0":                  0,
		"content-length: 5":                  5,
		"Content-Length:   0042  ":           42,
		"Transfer-Encoding: chunked":         -1,
		"transfer-encoding: \t CHUNKED":      -1,
		"Content-Length: 999999999999999999": 999999999999999999,
	} {
		r, err := parse("POST / HTTP/1.1\r\nHost: h\r\n" + strings.TrimPrefix(lines+"\r\n", "\r\n") + "\r\n")
		if err != nil || r.Length != want || r.HasBody() != (want != 0) {
			t.Errorf("%q: %d, %v, %v", lines, r.Length, r.HasBody(), err)
		}
	}
}

func TestParseRequest_SaysWhetherTheConnectionGoesOn(t *testing.T) {
	for _, c := range []struct {
		version, connection string
		ends                bool
	}{
		{"1.1", "", false}, {"1.1", "keep-alive", false}, {"1.1", "close", true}, {"1.1", "Close", true},
		{"1.1", "foo, , close ,bar", true}, {"1.1", "closed", false}, {"1.1", "close;x", false}, {"1.1", "keep-alive, close", true},
		{"1.2", "", false}, // a minor version that is not known yet is spoken as 1.1
		{"1.0", "", true}, {"1.0", "keep-alive", false}, {"1.0", "x,Keep-Alive", false}, {"1.0", "keep-alive;x", true},
		{"1.0", "keep-alive, close", true},
	} {
		r, err := parse("GET / HTTP/" + c.version + "\r\nHost: h\r\nConnection: " + c.connection + "\r\n\r\n")
		if err != nil || r.Close != c.ends {
			t.Errorf("HTTP/%s, Connection %q: closes is %v, %v", c.version, c.connection, r.Close, err)
		}
	}
}

func TestParseRequest_TwoConnectionFieldsSayTogetherWhatOneDoes(t *testing.T) {
	r, err := parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n")
	if err != nil || !r.Close || r.Upgrade != "websocket" {
		t.Errorf("close is %v, upgrade %q, %v", r.Close, r.Upgrade, err)
	}
}

func TestParseRequest_OffersTheFirstProtocolThatMayBe(t *testing.T) {
	get, upgrade := "GET / HTTP/1.1", "Connection: Upgrade"
	for name, c := range map[string]struct{ raw, want string }{
		"one":                  {head(get, upgrade, "Upgrade: websocket"), "websocket"},
		"with a version":       {head(get, upgrade, "Upgrade: foo/1.1"), "foo/1.1"},
		"the first of two":     {head(get, upgrade, "Upgrade: foo, websocket"), "foo"},
		"the first of fields":  {head(get, upgrade, "Upgrade: foo", "Upgrade: websocket"), "foo"},
		"HTTP/2 is passed by":  {head(get, upgrade, "Upgrade: h2c, websocket"), "websocket"},
		"in another field too": {head(get, upgrade, "Upgrade: H2C", "Upgrade: websocket"), "websocket"},
		"HTTP is passed by":    {head(get, upgrade, "Upgrade: HTTP/2.0, TLS/1.0"), "TLS/1.0"},
		"HTTP/2 alone":         {head(get, upgrade, "Upgrade: h2c"), ""},
		"HTTP/2 over TLS":      {head(get, upgrade, "Upgrade: h2"), ""},
		"what is none":         {head(get, upgrade, "Upgrade: a b, c/d/e, ,f/"), ""},
		"nothing":              {head(get, upgrade, "Upgrade:"), ""},
		"not in Connection":    {head(get, "Upgrade: websocket"), ""},
		"in HTTP/1.0":          {head("GET / HTTP/1.0", "Connection: keep-alive, upgrade", "Upgrade: websocket"), ""},
		"with a body":          {head("POST / HTTP/1.1", upgrade, "Upgrade: websocket", "Content-Length: 1"), ""},
		"with chunks":          {head("POST / HTTP/1.1", upgrade, "Upgrade: websocket", "Transfer-Encoding: chunked"), ""},
		"with no body":         {head("POST / HTTP/1.1", upgrade, "Upgrade: websocket", "Content-Length: 0"), "websocket"},
	} {
		if r, err := parse(c.raw); err != nil || r.Upgrade != c.want {
			t.Errorf("%s: %q, %v; want %q", name, r.Upgrade, err, c.want)
		}
	}
}

func TestParseRequest_KnowsWhatTheClientWaitsForAndTakes(t *testing.T) {
	for name, c := range map[string]struct {
		raw              string
		expect, trailers bool
	}{
		"a body that is held back":       {head("POST / HTTP/1.1", "Expect: 100-Continue", "Content-Length: 3"), true, false},
		"chunks":                         {head("POST / HTTP/1.1", "Expect: 100-continue", "Transfer-Encoding: chunked"), true, false},
		"no body":                        {head("POST / HTTP/1.1", "Expect: 100-continue"), false, false},
		"HTTP/1.0":                       {head("POST / HTTP/1.0", "Expect: 100-continue", "Content-Length: 3"), false, false},
		"trailers":                       {head("GET / HTTP/1.1", "TE: gzip;q=0.5, trailers"), false, true},
		"trailers in a second field":     {head("GET / HTTP/1.1", "TE: gzip", "TE: Trailers"), false, true},
		"what only begins with it":       {head("GET / HTTP/1.1", "TE: trailers-x, gzip"), false, false},
		"trailers, not as a field of TE": {head("GET / HTTP/1.1", "Trailer: trailers"), false, false},
	} {
		r, err := parse(c.raw)
		if err != nil || r.Expect != c.expect || r.Trailers != c.trailers {
			t.Errorf("%s: expect %v, trailers %v, %v", name, r.Expect, r.Trailers, err)
		}
	}
}

func TestParseRequest_AnAbsoluteTargetGoesBeforeTheHostField(t *testing.T) {
	if r, err := parse("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"); err != nil || r.Host != "a" {
		t.Errorf("%q, %v", r.Host, err)
	}
	if r, err := parse("GET http://a/ HTTP/1.0\r\n\r\n"); err != nil || r.Host != "a" {
		t.Errorf("%q, %v", r.Host, err)
	}
	if r, err := parse("GET / HTTP/1.0\r\n\r\n"); err != nil || r.Host != "" {
		t.Errorf("HTTP/1.0 needs none: %q, %v", r.Host, err)
	}
	if _, err := parse("GET http://a/ HTTP/1.1\r\n\r\n"); err == nil {
		t.Error("HTTP/1.1 needs a Host field all the same")
	}
}

func TestParseRequest_TakesEveryFormOfHost(t *testing.T) {
	for _, host := range []string{
		"", "h", "H.example.", "h:80", "h:", "1.2.3.4:1", "a_b~c-d.e", "[::1]", "[::1]:80", "[::1]:", "[::ffff:1.2.3.4]",
		"a!$&'()*+;=b",
	} {
		if r, err := parse("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); err != nil || r.Host != host {
			t.Errorf("%q: %q, %v", host, r.Host, err)
		}
	}
	for _, host := range []string{
		"a b", "a/b", "u@h", "a,b", "a%41", "h:8a", "h:80:80", "::1", ":80", ":", "[::1", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[::1]x", "[::1]80", "[::1]:8a", "[]", "[h]", "[1.2.3.4]",
		"a[::1]", "::1]", "a]", "a\\b", "a#", "a?", "\"", "<", "\xe4", "a\tb",
	} {
		if _, err := parse("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); err == nil {
			t.Errorf("%q was taken", host)
		}
	}
}

func TestReset_LeavesNothingOfTheLastRequest(t *testing.T) {
	first := head("POST http://a/b?c HTTP/1.1", "Connection: close", "Expect: 100-continue", "TE: trailers", "Transfer-Encoding: chunked")
	r, err := parse(first)
	if err != nil {
		t.Fatal(err)
	}
	all := r.Fields
	r.Reset()
	if len(r.Fields) != 0 || cap(r.Fields) == 0 {
		t.Errorf("%d fields, room for %d", len(r.Fields), cap(r.Fields))
	}
	for i := range all {
		if all[i] != (Field{}) {
			t.Errorf("%v is held", all[i])
		}
	}
	if err := r.ParseRequest([]byte(head("GET / HTTP/1.1"))); err != nil {
		t.Fatal(err)
	}
	fresh, _ := parse(head("GET / HTTP/1.1"))
	if diff := cmp.Diff(fresh, r); diff != "" {
		t.Errorf("(-fresh +after a reset):\n%s", diff)
	}
}
