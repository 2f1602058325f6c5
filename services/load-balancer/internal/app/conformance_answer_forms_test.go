package app_test

import (
	"slices"
	"strings"
	"testing"
)

const okFields = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"

func TestConformance_Answers(t *testing.T) {
	runAnswers(t, newBed(t, nil), slices.Concat(goodAnswers(), unusualAnswers(), brokenAnswers()))
}

func goodAnswers() []answered {
	return []answered{
		{name: "a length", answer: okFields + "\r\nok", fields: []string{"Content-Length: 2"}, body: "ok", loosely: true},
		{name: "no length, and the end", answer: "HTTP/1.1 200 OK\r\n\r\nok", ends: true, fields: []string{"-Content-Length"}, body: "ok", fresh: true},
		{name: "a length, and the end", answer: okFields + "Connection: close\r\n\r\nok", ends: true, body: "ok", fresh: true},
		{name: "chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;a=b\r\nk\r\n0\r\n\r\n", body: "ok"},
		{name: "no chunk but the last", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{name: "a trailer", answer: "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", body: "ok", trailer: []string{"X-Sum: 1"}},
		{name: "a trailer that was not announced", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", body: "ok"}, // it may be lost
		{name: "nothing", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "no reason", answer: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", body: "ok"},
		{name: "no reason, and no space", answer: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", body: "ok"},
		{name: "a reason of its own", answer: "HTTP/1.1 200 All is well: (\xc3\xa4)\r\nContent-Length: 2\r\n\r\nok", body: "ok"},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", body: "ok", fresh: true},
		{name: "HTTP/1.0 without a length", answer: "HTTP/1.0 200 OK\r\n\r\nok", ends: true, body: "ok", fresh: true},
		{name: "a status of its own", answer: "HTTP/1.1 299 Own\r\nContent-Length: 2\r\n\r\nok", status: []int{299}, body: "ok"},
		{name: "a status at the end of the range", answer: "HTTP/1.1 599 Own\r\nContent-Length: 2\r\n\r\nok", status: []int{599}, body: "ok"},
		{name: "names as they are spelled", answer: okFields + "x-lower: 1\r\nX-UPPER: 2\r\nX-miXed: 3\r\nETag: \"4\"\r\nWWW-Authenticate: x\r\n\r\nok", body: "ok",
			fields: []string{"x-lower: 1", "X-UPPER: 2", "X-miXed: 3", "ETag: \"4\"", "WWW-Authenticate: x"}},
		{name: "fields in their order", answer: okFields + "Z: 1\r\nSet-Cookie: b=2\r\nA: 3\r\nSet-Cookie: a=4\r\nM: 5\r\n\r\nok", body: "ok",
			fields: []string{"Z: 1", "Set-Cookie: b=2", "A: 3", "Set-Cookie: a=4", "M: 5"}},
		{name: "bytes beyond ASCII in a value", answer: okFields + "X-A: \xc3\xa4\xff\r\n\r\nok", fields: []string{"X-A: \xc3\xa4\xff"}, body: "ok", loosely: true},
		{name: "an empty value", answer: okFields + "X-A:\r\n\r\nok", fields: []string{"X-A:"}, body: "ok", loosely: true},
		{name: "a date of its own", answer: okFields + "Date: Tue, 01 Jan 2030 00:00:00 GMT\r\n\r\nok", fields: []string{"Date: Tue, 01 Jan 2030 00:00:00 GMT"}, body: "ok", loosely: true},
		{name: "no type", answer: okFields + "\r\nok", fields: []string{"-Content-Type"}, body: "ok"},
		{name: "hop by hop", answer: okFields + "Connection: keep-alive, X-A\r\nX-A: 1\r\nKeep-Alive: timeout=60\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nX-B: 2\r\n\r\nok",
			fields: []string{"-X-A", "-Keep-Alive", "-Proxy-Authenticate", "-Upgrade", "X-B: 2"}, body: "ok", loosely: true},
		{name: "a large head", answer: okFields + "X-A: " + strings.Repeat("a", 60<<10) + "\r\n\r\nok", body: "ok"},
		{name: "a large body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1_000_000), body: strings.Repeat("x", 1_000_000)},
		{name: "HEAD with a length", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX-A: 1\r\n\r\n", fields: []string{"Content-Length: 1000", "X-A: 1"}, loosely: true},
		{name: "HEAD without a length", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", fields: []string{"-Content-Length", "X-A: 1"}, loosely: true},
		{name: "HEAD with chunks", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n", fields: []string{"-Content-Length", "X-A: 1"}, loosely: true},
		{name: "HEAD with an error", method: "HEAD", answer: "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", status: []int{404}, fields: []string{"Content-Length: 9"}, loosely: true},
		{name: "HEAD with nothing", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", fields: []string{"Content-Length: 0"}, loosely: true},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", status: []int{204}, fields: []string{"X-A: 1"}, loosely: true},
		{name: "204 to HEAD", method: "HEAD", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: []int{204}},
		{name: "304", answer: "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", status: []int{304}, fields: []string{"ETag: \"1\""}, loosely: true},
		{name: "304 with a length", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nX-A: 1\r\n\r\n", status: []int{304}, fields: []string{"X-A: 1"}, loosely: true},
		{name: "205", answer: "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", status: []int{205}},
		{name: "OPTIONS", method: "OPTIONS", answer: "HTTP/1.1 200 OK\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n", fields: []string{"Allow: GET"}, loosely: true},
		{name: "DELETE without a body", method: "DELETE", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: []int{204}},
	}
}

// unusualAnswers are what pods do that they should not, and what may be made of it.
func unusualAnswers() []answered {
	return []answered{
		{name: "204 with a length", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", status: []int{204}},
		{name: "204 with a body", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", status: []int{204}, mayCut: true, fresh: true, behind: true},
		{name: "204 with chunks", answer: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: []int{204}, mayCut: true, fresh: true, behind: true},
		{name: "304 with a body", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", status: []int{304}, fresh: true, behind: true},
		{name: "HEAD with a body", method: "HEAD", answer: okFields + "\r\nok", fresh: true, behind: true},
		{name: "bytes behind the body", answer: okFields + "\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", body: "ok", fresh: true, behind: true},
		{name: "bytes behind the chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nevil", body: "ok", fresh: true, behind: true},
		{name: "a trailer that frames", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nConnection: x\r\nX-Sum: 1\r\n\r\n",
			body: "ok", trailer: []string{"-Content-Length", "-Transfer-Encoding", "-Connection"}},
		{name: "a folded line", answer: okFields + "X-A: 1\r\n 2\r\n\r\nok", fields: []string{"X-A: 1 2"}, body: "ok", mayCut: true, loosely: true},
		{name: "bare line feeds", answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", body: "ok", mayCut: true},
		{name: "equal lengths twice", answer: okFields + "Content-Length: 2\r\n\r\nok", fields: []string{"Content-Length: 2"}, body: "ok", mayCut: true, loosely: true},
		{name: "both lengths", answer: okFields + "Transfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n", body: "yes", mayCut: true, fresh: true},
		{name: "a space before the colon", answer: okFields + "X-A : 1\r\n\r\nok", body: "ok", mayCut: true},
		{name: "codings beside chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: []int{502}},
		{name: "identity", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok", ends: true, body: "ok", mayCut: true, fresh: true},
	}
}

// brokenAnswers are no answers: the client gets a 502, and nothing is left in flight.
func brokenAnswers() []answered {
	var all []answered
	for name, answer := range map[string]string{
		"status 000": "HTTP/1.1 000 X\r\nContent-Length: 2\r\n\r\nok", "status 042": "HTTP/1.1 042 X\r\nContent-Length: 2\r\n\r\nok",
		"status 099": "HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nok", "status +12": "HTTP/1.1 +12 X\r\nContent-Length: 2\r\n\r\nok",
		"status -99": "HTTP/1.1 -99 X\r\nContent-Length: 2\r\n\r\nok", "status 600": "HTTP/1.1 600 X\r\nContent-Length: 2\r\n\r\nok",
		"status 999": "HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nok", "status 20": "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
		"status 2000": "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", "status 2x0": "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok",
		"status 0x1": "HTTP/1.1 0x1 OK\r\nContent-Length: 2\r\n\r\nok", "no status": "HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok",
		"an empty status": "HTTP/1.1  OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/2.0": "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/0.9": "HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok", "another protocol": "ICY 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"small letters": "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "a TLS alert": "\x15\x03\x03\x00\x02\x02\x46",
		"text": "hello\r\n\r\n", "a request": "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "a NUL in a value": okFields + "X-A: 1\x00\r\n\r\nok",
		"a carriage return in a value": okFields + "X-A: 1\r2\r\n\r\nok", "no colon": okFields + "X-A\r\n\r\nok", "an empty name": okFields + ": 1\r\n\r\nok",
		"a name with a space": okFields + "X A: 1\r\n\r\nok", "a line that begins with a space": "HTTP/1.1 200 OK\r\n X-A: 1\r\nContent-Length: 2\r\n\r\nok",
		"two lengths": okFields + "Content-Length: 3\r\n\r\nok?", "a list of lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok?",
		"a length with a sign": "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", "a negative length": "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
		"a length that is none": "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", "a length of 64 bits": "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
		"a head without an end": okFields + "X-A: 1", "half a status line": "HTTP/1.1 20", "101 that nobody asked for": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"a head that is too large": okFields + "X-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\nok",
	} {
		all = append(all, answered{name: name, answer: answer, ends: true, status: []int{502}})
	}
	slices.SortFunc(all, func(a, b answered) int { return strings.Compare(a.name, b.name) })
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range [][2]string{
		{"a body that is too short", okFields[:len(okFields)-len("2\r\n")] + "9\r\n\r\nok"}, {"chunks without an end", chunked + "2\r\nok\r\n"}, {"half a chunk", chunked + "9\r\nok"},
		{"a chunk's size with a prefix", chunked + "0x2\r\nok\r\n0\r\n\r\n"}, {"a chunk's size that is none", chunked + "x\r\nok\r\n0\r\n\r\n"},
		{"a chunk's size with a minus", chunked + "-2\r\nok\r\n0\r\n\r\n"}, {"a chunk's size of 64 bits and one", chunked + "10000000000000002\r\nok\r\n0\r\n\r\n"},
		{"a chunk that is too long", chunked + "1\r\nok\r\n0\r\n\r\n"}, {"a last chunk without the empty line", chunked + "2\r\nok\r\n0\r\n"},
		{"half a trailer", chunked + "2\r\nok\r\n0\r\nX-Sum: 1"}, {"a trailer with a NUL", chunked + "2\r\nok\r\n0\r\nX-Sum: \x00\r\n\r\n"},
	} {
		all = append(all, answered{name: c[0], answer: c[1], ends: true, cut: true, mayCut: true})
	}
	return all
}
