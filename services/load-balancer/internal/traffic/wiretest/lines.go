package wiretest

import (
	"slices"
	"strings"
)

// Lines are request lines.
func Lines() []Request {
	return slices.Concat(goodLines(), bad(Head, nil, [][2]string{
		{"two spaces behind the method", "GET  /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"two spaces before the version", "GET /app  HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a tab behind the method", "GET\t/app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a tab before the version", "GET /app\tHTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a space before the method", " GET /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a space behind the version", "GET /app HTTP/1.1 \r\nHost: h\r\n\r\n"},
		{"a space within the target", "GET /app/a b HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a line feed within the target", "GET /app/a\nb HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a carriage return within the target", "GET /app/a\rb HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a carriage return behind the version", "GET /app HTTP/1.1\r\r\nHost: h\r\n\r\n"},
		{"a bare line feed behind the version", "GET /app HTTP/1.1\nHost: h\r\n\r\n"},
		{"bare line feeds alone", "GET /app HTTP/1.1\nHost: h\n\n"},
		{"no method", "/app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"an empty method", " /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a method that is no token", "G@T /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a method with a colon", "GET: /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a method in quotes", "\"GET\" /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a method with a NUL", "G\x00T /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"a method beyond ASCII", "G\xc3\x89T /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"an empty target", "GET  HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"no version", "GET /app\r\nHost: h\r\n\r\n"},
		{"an empty version", "GET /app \r\nHost: h\r\n\r\n"},
		{"HTTP/0.9", "GET /app\r\n\r\n"},
		{"a version in small letters", "GET /app http/1.1\r\nHost: h\r\n\r\n"},
		{"another protocol", "GET /app HTTPS/1.1\r\nHost: h\r\n\r\n"},
		{"words behind the version", "GET /app HTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"letters behind the version", "GET /app HTTP/1.1x\r\nHost: h\r\n\r\n"},
		{"a colon for a line", "GET /app HTTP/1.1\r\n:\r\nHost: h\r\n\r\n"},
	}...), bad(Head, version, [][2]string{
		{"a version with a comma", "GET /app HTTP/1,1\r\nHost: h\r\n\r\n"},
		{"a version of one number", "GET /app HTTP/1\r\nHost: h\r\n\r\n"},
		{"a version of three numbers", "GET /app HTTP/1.1.1\r\nHost: h\r\n\r\n"},
		{"a version with two digits", "GET /app HTTP/1.10\r\nHost: h\r\n\r\n"},
		{"a version with a zero before it", "GET /app HTTP/01.1\r\nHost: h\r\n\r\n"},
		{"a version with a sign", "GET /app HTTP/+1.1\r\nHost: h\r\n\r\n"},
		{"a version with a space", "GET /app HTTP/ 1.1\r\nHost: h\r\n\r\n"},
		{"HTTP/2.0 by name", "GET /app HTTP/2.0\r\nHost: h\r\n\r\n"},
		{"HTTP/0.9 by name", "GET /app HTTP/0.9\r\nHost: h\r\n\r\n"},
		{"HTTP/3.0 by name", "GET /app HTTP/3.0\r\nHost: h\r\n\r\n"},
		{"HTTP/9.9", "GET /app HTTP/9.9\r\nHost: h\r\n\r\n"},
	}...))
}

func goodLines() []Request {
	return []Request{
		{Name: "the least request", Raw: "GET /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{Name: "an empty line before it", Raw: "\r\nGET /app HTTP/1.1\r\nHost: h\r\n\r\n"},
		{Name: "a method of its own", Raw: "PURGE /app HTTP/1.1\r\nHost: h\r\n\r\n", Line: "PURGE /"},
		{Name: "a method in small letters", Raw: "get /app HTTP/1.1\r\nHost: h\r\n\r\n", Line: "get /"},
		{Name: "a method of all that a token may have", Raw: "A!#$%&'*+-.^_`|~9 /app HTTP/1.1\r\nHost: h\r\n\r\n", Line: "A!#$%&'*+-.^_`|~9 /"},
		{Name: "OPTIONS", Raw: "OPTIONS /app/x HTTP/1.1\r\nHost: h\r\n\r\n", Line: "OPTIONS /x"},
		{Name: "DELETE with a body", Raw: "DELETE /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", Line: "DELETE /x", Body: "hello"},
		{Name: "GET with a body", Raw: "GET /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", Line: "GET /x", Body: "hello"},
		{Name: "POST without a length", Raw: "POST /app/x HTTP/1.1\r\nHost: h\r\n\r\n", Line: "POST /x"},
		{Name: "HTTP/1.0", Raw: "GET /app HTTP/1.0\r\nHost: h\r\n\r\n", Close: true},
		{Name: "HTTP/1.0 with a body", Raw: "POST /app HTTP/1.0\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", Line: "POST /", Body: "hello", Close: true},
		{Name: "HTTP/1.0 that keeps", Raw: "GET /app HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"},
		{Name: "HTTP/1.1 that closes", Raw: "GET /app HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", Close: true},
		{Name: "HTTP/1.1 that closes in capitals", Raw: "GET /app HTTP/1.1\r\nHost: h\r\nConnection: CLOSE\r\n\r\n", Close: true},
		{Name: "HTTP/1.1 that keeps and closes", Raw: "GET /app HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n", Close: true},
		{Name: "a newer minor version", Raw: "GET /app HTTP/1.2\r\nHost: h\r\n\r\n", Fault: Head, Statuses: version, May: true},
		{Name: "a long target", Raw: to("/app/" + strings.Repeat("a", 8000)), Line: "GET /" + strings.Repeat("a", 8000)},
		{Name: "a target that is too long", Raw: to("/app/" + strings.Repeat("a", 20<<10)), Fault: Head, Statuses: []int{400, 414, 431}, Open: true},
		{Name: "CONNECT", Raw: "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", Fault: Head, Statuses: []int{400, 405, 501}, Open: true},
		{Name: "CONNECT to a path", Raw: "CONNECT /app HTTP/1.1\r\nHost: h\r\n\r\n", Fault: Head, Statuses: []int{400, 405, 501}, Open: true},
	}
}
