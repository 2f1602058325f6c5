package wiretest

import "slices"

// Targets are request targets. A path arrives as it was sent, byte for byte behind the prefix. It is
// normalised only to see where it leads; one that leads elsewhere when it is normalised is refused.
func Targets() []Request {
	at := func(target, line string) Request {
		return Request{Name: "target " + printable(target), Raw: to(target), Line: "GET " + line}
	}
	may := func(r Request) Request { r.Fault, r.May = Head, true; return r }
	host := func(r Request) Request { r.Host = true; return r }
	all := []Request{
		at("/app", "/"), at("/app/", "/"), at("/app/x", "/x"), at("/app/x/", "/x/"), at("/app?x=1", "/?x=1"), at("/app/?", "/?"), at("/app?", "/?"),
		at("/app/x?a=b&c=%20d?e=/f", "/x?a=b&c=%20d?e=/f"), at("/app/x?a=/../b", "/x?a=/../b"), at("/app/x?%zz", "/x?%zz"), at("/app/x?a=%00", "/x?a=%00"),
		at("/app//x", "//x"), at("/app/x//y", "/x//y"), at("/app/./x", "/./x"), at("/app/x/.", "/x/."), at("/app/x/../y", "/x/../y"), at("/app/x/..", "/x/.."),
		at("/app/x/%2e%2e/y", "/x/%2e%2e/y"), at("/app/x/%2E./y", "/x/%2E./y"), at("/app/%41%7e", "/%41%7e"), at("/app/%c3%A4", "/%c3%A4"),
		at("/app/a%20b", "/a%20b"), at("/app/a%2fb", "/a%2fb"), at("/app/a%2Fb", "/a%2Fb"), at("/app/a%5cb", "/a%5cb"), at("/app/a%252fb", "/a%252fb"),
		at("/app/a+b", "/a+b"), at("/app/a;v=1,2:@&=$!*'()", "/a;v=1,2:@&=$!*'()"), at("/app/...", "/..."), at("/app/.x", "/.x"), at("/app/x..y", "/x..y"),
		at("/app/%3f%23", "/%3f%23"), at("/app/~-._", "/~-._"), at("/app/http://x/y", "/http://x/y"), at("/app/%0d%0a", "/%0d%0a"),
		at("http://h/app/x?y", "/x?y"), at("HTTP://h/app/x", "/x"), at("http://h:80/app", "/"), at("http://[::1]:80/app", "/"),
		may(at("https://h/app/x", "/x")),
		// They come into the application when normalised, and no other reading names another one.
		may(at("/x/../app/y", "/y")), may(at("/./app/x", "/x")), may(at("/../app/x", "/x")), may(at("//app/x", "/x")), may(at("/%2e/app", "/")), may(at("/%61pp/x", "/x")),
		may(at("/app/\xc3\xa4", "/\xc3\xa4")), may(at("/app/a|b", "/a|b")), may(at("/app/a\"b", "/a\"b")), may(at("/app/<a>", "/<a>")), may(at("/app/a\\b", "/a\\b")), may(at("/app/{a}^`", "/{a}^`")), may(at("/app/[a]", "/[a]")),
		host(at("http://app.root", "/")), host(at("http://app.root/", "/")), host(at("http://app.root?x=1", "/?x=1")), host(at("http://app.root/x", "/x")),
		host(at("http://app.root:80", "/")),
		{Name: "dot segments at a root", Raw: "GET /x/../y HTTP/1.1\r\nHost: app.root\r\n\r\n", Line: "GET /x/../y", Host: true},
		{Name: "slashes at a root", Raw: "GET //x//y HTTP/1.1\r\nHost: app.root\r\n\r\n", Line: "GET //x//y", Host: true, Fault: Path, May: true},
	}
	return slices.Concat(all, badTargets(), starred())
}

func badTargets() []Request {
	refused := func(fault Part, open bool, statuses []int, targets ...string) []Request {
		return each(targets, func(target string) Request {
			return Request{Name: "target " + printable(target), Raw: to(target), Fault: fault, Statuses: statuses, Open: open}
		})
	}
	return slices.Concat(
		refused(Path, true, notFound,
			"/app/..", "/app/../x", "/app/x/../../y", "/app/./../x", "/app/%2e%2e/x", "/app/.%2E/x", "/app/%2e%2e", // leave the prefix
			"/app/..%2fx", "/app/%2e%2e%2fx", "/app/x/..%2f..%2fy", "/app/..%5cx", "/app/x%5c..%5c..%5cy", // leave it for some servers
			"/app%2fx", "/app%5cx", "/x%2f..%2fapp/y", // come into it for some servers
			"/appx", "/ap", "/", "/APP/x", "/app;x/y", "/app%00", // are none of its
		),
		refused(Path, true, nil, "/app/%00", "/app/x%00y", "/app/%", "/app/%2", "/app/%zz", "/app/%u0041", "/app/%%41"),
		refused(Head, true, notFound,
			"app", "app/x", "?x", "#x", "/app#x", "/app/x\x01", "/app/x\x7f", "/app/x\x00", "h:80", "http:", "http:/app", "http://", "http:///app", "http:app",
			"http://user@h/app", "http://user:pass@h/app", "http://h h/app", "http://h:x/app", "http://[::1/app", "http://h/app#x", "http://:80/app", "http://h,i/app", "http://h\\app",
			"ftp://h/app", "file:///app", "mailto:h", "://h/app", "\\app", "/app\tx", "/app/..\\x", "/app\\x", "/app\\..\\x",
		),
	)
}

// starred are requests for the server itself: no application has them.
func starred() []Request {
	star := []int{200, 204, 400, 404, 405, 501}
	return []Request{
		{Name: "OPTIONS of the server", Raw: "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", Fault: Path, Statuses: star},
		{Name: "GET of the server", Raw: "GET * HTTP/1.1\r\nHost: h\r\n\r\n", Fault: Path, Statuses: notFound},
		{Name: "OPTIONS of more than the server", Raw: "OPTIONS *x HTTP/1.1\r\nHost: h\r\n\r\n", Fault: Head, Statuses: notFound, Open: true},
	}
}

// Hosts are who is asked for.
func Hosts() []Request {
	asked := func(host string) Request {
		return Request{Name: "host " + printable(host), Raw: "GET /app HTTP/1.1\r\nHost: " + host + "\r\n\r\n", Fields: []string{"Host: " + host, "X-Forwarded-Host: " + host}}
	}
	may := func(r Request) Request { r.Fault, r.May = Head, true; return r }
	all := []Request{
		asked("h"), asked("h:8080"), asked("H.Example"), asked("h.example."), asked("127.0.0.1"), asked("127.0.0.1:80"), asked("[::1]"), asked("[2001:db8::1]:80"), asked("a-b_c.example"), asked("h:"),
		may(asked("h:99999")), may(asked("h%41")), may(asked("h~")), may(asked("\xc3\xa4.example")),
		{Name: "an empty host", Raw: "GET /app HTTP/1.1\r\nHost:\r\n\r\n", Fault: Head, May: true},
		{Name: "a host in small letters", Raw: "GET /app HTTP/1.1\r\nhost: h\r\n\r\n", Fields: []string{"Host: h"}},
		{Name: "a host behind other fields", Raw: "GET /app HTTP/1.1\r\nX-A: 1\r\nHost: h\r\n\r\n", Fields: []string{"X-A: 1", "Host: h"}},
		{Name: "HTTP/1.0 without a host", Raw: "GET /app HTTP/1.0\r\n\r\n", Close: true},
		{Name: "another host than the target's", Raw: "GET http://h/app/x HTTP/1.1\r\nHost: evil\r\n\r\n", Line: "GET /x", Fields: []string{"Host: h", "X-Forwarded-Host: h"}, Fault: Head, May: true},
		{Name: "another host than the target's, that has an application", Raw: "GET http://h/app/x HTTP/1.1\r\nHost: app.root\r\n\r\n", Line: "GET /x", Fields: []string{"Host: h"}, Fault: Head, May: true},
		{Name: "a host by its name", Raw: "GET /x HTTP/1.1\r\nHost: app.root\r\n\r\n", Line: "GET /x", Host: true, Fields: []string{"Host: app.root"}},
		{Name: "a host with its port", Raw: "GET /x HTTP/1.1\r\nHost: app.root:8080\r\n\r\n", Line: "GET /x", Host: true, Fields: []string{"Host: app.root:8080"}},
		{Name: "a host with a final point", Raw: "GET /x HTTP/1.1\r\nHost: app.root.\r\n\r\n", Line: "GET /x", Host: true, Fields: []string{"Host: app.root."}},
	}
	faulty := bad(Head, nil, [][2]string{
		{"no host", "GET /app HTTP/1.1\r\n\r\n"},
		{"no host beside a whole target", "GET http://h/app HTTP/1.1\r\n\r\n"},
		{"two hosts", "GET /app HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n"},
		{"two equal hosts", "GET /app HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"},
		{"two hosts, apart", "GET /app HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nhost: i\r\n\r\n"},
		{"two hosts of which one is empty", "GET /app HTTP/1.1\r\nHost:\r\nHost: h\r\n\r\n"},
		{"two hosts in HTTP/1.0", "GET /app HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n"},
		{"two hosts beside a whole target", "GET http://h/app HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n"},
		{"a host with a space before the colon", "GET /app HTTP/1.1\r\nHost : h\r\n\r\n"},
		{"a folded host", "GET /app HTTP/1.1\r\nHost:\r\n h\r\n\r\n"},
	}...)
	return slices.Concat(all, faulty, each([]string{
		"h i", "user@h", "user:pass@h", "h/app", "h?x", "h#x", "h,i", "h:x", "h:-80", "h:80:80", "h:80x", "[::1", "::1]", "[::1]x", "[::1]:x", "http://h", "h\\i", "h\x00", "h\ti", "<h>", "h\"i\"", "[h", "h]",
	}, func(host string) Request {
		return Request{Name: "host " + printable(host), Raw: "GET /app HTTP/1.1\r\nHost: " + host + "\r\n\r\n", Fault: Head}
	}))
}
