package wiretest

import (
	"fmt"
	"slices"
	"strings"
)

// Fields are field lines, those apart that frame the message or name the host.
func Fields() []Request {
	return slices.Concat(goodFields(), ours(), bad(Head, nil, [][2]string{
		{"a space before the colon", headed("X-A : 1")},
		{"a tab before the colon", headed("X-A\t: 1")},
		{"a space within a name", headed("X A: 1")},
		{"an empty name", headed(": 1")},
		{"a line without a colon", headed("X-A")},
		{"a folded line", headed("X-A: 1\r\n 2")},
		{"a line folded by a tab", headed("X-A: 1\r\n\t2")},
		{"a folded line of nothing", headed("X-A: 1\r\n ")},
		{"a space before the first line", "GET /app HTTP/1.1\r\n X-A: 1\r\nHost: h\r\n\r\n"},
		{"a tab before the first line", "GET /app HTTP/1.1\r\n\tX-A: 1\r\nHost: h\r\n\r\n"},
		{"a bare line feed behind a value", headed("X-A: 1\nX-B: 2")},
		{"a bare line feed behind the last value", "GET /app HTTP/1.1\r\nHost: h\n\r\n"},
		{"a bare line feed for the empty line", "GET /app HTTP/1.1\r\nHost: h\r\n\n"},
		{"a bare carriage return within a value", headed("X-A: 1\r2")},
		{"a bare carriage return that begins a value", headed("X-A: \rX-B: 2")},
		{"a carriage return too many behind a value", headed("X-A: 1\r")},
		{"a carriage return before a name", headed("\rX-A: 1")},
		{"carriage returns for the empty line", "GET /app HTTP/1.1\r\nHost: h\r\n\r\r\n\r\n"},
		{"a NUL within a value", headed("X-A: 1\x002")},
		{"a NUL within a name", headed("X\x00A: 1")},
		{"a bell within a value", headed("X-A: 1\x072")},
		{"an escape within a value", headed("X-A: \x1b[1m")},
		{"a delete within a value", headed("X-A: 1\x7f2")},
		{"a vertical tab behind a name", headed("X-A\x0b: 1")},
		{"a name beyond ASCII", headed("X-\xc3\x84: 1")},
		{"a no-break space behind a name", headed("X-A\xa0: 1")},
		{"a next line behind a name", headed("Content-Length\x85: 5")},
		{"a name with a slash", headed("X/A: 1")},
		{"a name with brackets", headed("X-A[]: 1")},
		{"a name in quotes", headed("\"X-A\": 1")},
		{"a name with a semicolon", headed("X;A: 1")},
		{"a request line for a field", headed("GET /app HTTP/1.1")},
	}...), []Request{
		{Name: "an expectation that is not known", Raw: headed("Expect: 200-maybe"), Fault: Head, Statuses: []int{400, 417}, Open: true, May: true},
	}, bad(Head, []int{400, 431}, [][2]string{
		{"fields that are too large", headed("X-A: " + strings.Repeat("a", 300<<10))},
		{"fields that are too many", "GET /app HTTP/1.1\r\nHost: h\r\n" + many(40_000) + "\r\n"},
		{"a name that is too long", headed(strings.Repeat("a", 300<<10) + ": 1")},
	}...))
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-%d: 1\r\n", i)
	}
	return b.String()
}

func goodFields() []Request {
	good := func(name, line string, at ...string) Request {
		return Request{Name: name, Raw: headed(line), Fields: at}
	}
	return []Request{
		good("an empty value", "X-A:", "X-A:"),
		good("an empty value behind a space", "X-A: ", "X-A:"),
		good("no space behind the colon", "X-A:1", "X-A: 1"),
		good("spaces around a value", "X-A: \t 1 \t ", "X-A: 1"),
		good("a tab within a value", "X-A: 1\t2", "X-A: 1\t2"),
		good("a colon within a value", "X-A: 1: 2", "X-A: 1: 2"),
		good("bytes beyond ASCII in a value", "X-A: \xc3\xa4\xff", "X-A: \xc3\xa4\xff"),
		good("a name of all that a token may have", "A!#$%&'*+-.^_`|~9: 1", "A!#$%&'*+-.^_`|~9: 1"),
		good("an underscore in a name", "my_field: 1", "my_field: 1"),
		good("one name twice", "X-A: 1\r\nX-B: 2\r\nX-A: 3", "X-A: 1", "X-B: 2", "X-A: 3"),
		good("names as they are spelled", "Sec-WebSocket-Key: 1\r\nx-lower: 2\r\nX-UPPER: 3\r\nx-MiXed: 4",
			"Sec-WebSocket-Key: 1", "x-lower: 2", "X-UPPER: 3", "x-MiXed: 4"),
		good("fields in their order", "Z: 1\r\nB: 2\r\nA: 3\r\nM: 4", "Z: 1", "B: 2", "A: 3", "M: 4"),
		good("a cookie in two lines", "Cookie: a=1\r\nCookie: b=2", "Cookie: a=1", "Cookie: b=2"),
		good("an empty list in Connection", "Connection: ,,", "-Connection"),
		good("a long value", "X-A: "+strings.Repeat("a", 16<<10), "X-A: "+strings.Repeat("a", 16<<10)),
		good("a trace", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ntracestate: a=b",
			"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate: a=b"),
		good("a trace that is not sampled", "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
			"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
		good("a trace that is none", "traceparent: none of yours", "traceparent: none of yours"),
		good("baggage", "baggage: a=1,b=2", "baggage: a=1,b=2"),
		good("no trace", "X-A: 1", "X-A: 1", "-Traceparent", "-Tracestate", "-Baggage"),
		good("one name in two spellings", "x-a: 1\r\nX-A: 2", "x-a: 1", "X-A: 2"),
	}
}

// ours are fields that are not the client's to write, and those that end here.
func ours() []Request {
	line := func(name, line string, at ...string) Request {
		return Request{Name: name, Raw: headed(line + "\r\nX-Last: 1"), Fields: append(at, "X-Last: 1")}
	}
	few := []Request{
		line("who asks, from a stranger", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 127.0.0.1"),
		line("who asks, in small letters", "x-forwarded-for: 6.6.6.6", "X-Forwarded-For: 127.0.0.1"),
		line("the scheme, from a stranger", "X-Forwarded-Proto: https", "X-Forwarded-Proto: http"),
		line("the host, from a stranger", "X-Forwarded-Host: evil", "X-Forwarded-Host: h"),
		line("the prefix, from a stranger", "X-Forwarded-Prefix: /evil", "X-Forwarded-Prefix: /app"),
		line("the port, from a stranger", "X-Forwarded-Port: 6", "-X-Forwarded-Port"),
		line("Forwarded, from a stranger", "Forwarded: for=6.6.6.6", "-Forwarded"),
		line("X-Real-Ip, from a stranger", "X-Real-IP: 6.6.6.6", "-X-Real-Ip"),
		line("what Connection names", "Connection: X-A, keep-alive\r\nX-A: 1", "-X-A", "-Connection"),
		line("what a second Connection names", "Connection: keep-alive\r\nConnection: x-a\r\nX-A: 1", "-X-A", "-Connection"),
		line("ours, named by Connection", "Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Prefix",
			"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: h", "X-Forwarded-Prefix: /app"),
		line("Host, named by Connection", "Connection: Host", "Host: h"),
		line("hop by hop", "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5",
			"-Keep-Alive", "-Proxy-Connection", "-Proxy-Authorization"),
		line("codings that end here", "TE: gzip, deflate;q=0.5", "-TE"),
		line("trailers are welcome", "TE: gzip, trailers", "TE: trailers"),
		line("an upgrade without Connection", "Upgrade: websocket", "-Upgrade", "-Connection"),
		line("h2c is not offered on", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "-Upgrade", "-Connection", "-HTTP2-Settings"),
		{Name: "Content-Length, named by Connection", Raw: post("Connection: Content-Length\r\nContent-Length: 5", "hello"), Line: "POST /", Body: "hello"},
		{Name: "Transfer-Encoding, named by Connection", Raw: post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), Line: "POST /", Body: "hello"},
	}
	// Many servers take an underscore for a hyphen.
	names := []string{"X_Forwarded_For", "X-Forwarded_For", "x_forwarded_proto", "X_Forwarded_Host", "X_Forwarded_Prefix", "X_Real_IP"}
	return slices.Concat(few, each(names, func(name string) Request {
		r := line(name, name+": 6.6.6.6", "-"+name)
		r.Fault, r.May = Head, true
		return r
	}))
}
