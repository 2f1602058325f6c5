package wiretest

import (
	"fmt"
	"slices"
	"strings"
)

// smuggled is what would be a request of its own if a length were read wrongly.
const smuggled = "GET /app/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

// Lengths are values of Content-Length.
func Lengths() []Request {
	length := func(name, value string) [2]string { return [2]string{name, post(value, "hello")} }
	return slices.Concat([]Request{
		{Name: "a length", Raw: post("Content-Length: 5", "hello"), Line: "POST /", Body: "hello"},
		{Name: "a length in small letters", Raw: post("content-length:5", "hello"), Line: "POST /", Body: "hello"},
		{Name: "a length with spaces around it", Raw: post("Content-Length:  5 \t", "hello"), Line: "POST /", Body: "hello"},
		{Name: "a length of nothing", Raw: post("Content-Length: 0", ""), Line: "POST /"},
		{Name: "a length with zeros before it", Raw: post("Content-Length: 0005", "hello"), Line: "POST /", Body: "hello", Fault: Head, May: true},
		{Name: "a body that looks like a request", Raw: post(fmt.Sprintf("Content-Length: %d", len(smuggled)), smuggled), Line: "POST /", Body: smuggled},
	}, bad(Head, nil, [][2]string{
		length("an empty length", "Content-Length:"),
		length("a length with a plus", "Content-Length: +5"),
		length("a length with a minus", "Content-Length: -5"),
		length("a length of minus nothing", "Content-Length: -0"),
		length("a length in hexadecimal digits", "Content-Length: 0x5"),
		length("a length of letters", "Content-Length: five"),
		length("a length with letters behind it", "Content-Length: 5b"),
		length("a length with a point", "Content-Length: 5.0"),
		length("a length with an exponent", "Content-Length: 5e0"),
		length("a length with an underscore", "Content-Length: 0_5"),
		length("a length with a space within", "Content-Length: 0 5"),
		length("a length with a semicolon", "Content-Length: 5;"),
		length("a length in quotes", "Content-Length: \"5\""),
		length("a length in digits beyond ASCII", "Content-Length: \xd9\xa5"),
		length("a length with a NUL", "Content-Length: 5\x00"),
		length("a length with a vertical tab", "Content-Length: \x0b5"),
		length("a folded length", "Content-Length:\r\n 5"),
		length("a list of equal lengths", "Content-Length: 5, 5"),
		length("a list of lengths", "Content-Length: 5, 6"),
		length("a list with an empty place", "Content-Length: 5,"),
		length("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
		length("two equal lengths", "Content-Length: 5\r\nContent-Length: 5"),
		length("two equal lengths, apart", "Content-Length: 5\r\nX-A: 1\r\ncontent-length: 5"),
		length("a length with a space before the colon", "Content-Length : 5"),
		length("a length behind a folded line", "X-A: 1\r\n Content-Length: 5"),
	}...), bad(Head, tooLarge, [][2]string{
		length("a length of 64 bits", "Content-Length: 18446744073709551621"),
		length("a length of 63 bits and one", "Content-Length: 9223372036854775808"),
		length("a length of many digits", "Content-Length: "+strings.Repeat("9", 100)),
		length("a length above the limit", "Content-Length: 1099511627776"),
	}...))
}

// Codings are values of Transfer-Encoding.
func Codings() []Request {
	const hello = "5\r\nhello\r\n0\r\n\r\n"
	coding := func(name, lines string) [2]string { return [2]string{name, post(lines, hello)} }
	good := func(name, lines string) Request {
		return Request{Name: name, Raw: post(lines, hello), Line: "POST /", Body: "hello"}
	}
	return slices.Concat([]Request{
		good("chunks", "Transfer-Encoding: chunked"),
		good("chunks in capitals", "TRANSFER-ENCODING: CHUNKED"),
		good("chunks with spaces around the name", "Transfer-Encoding: \tchunked "),
		{Name: "no chunk but the last", Raw: chunked("0\r\n\r\n"), Line: "POST /"},
		{Name: "GET with chunks", Raw: "GET /app HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + hello, Body: "hello"},
	}, bad(Head, nil, [][2]string{
		{"both lengths, the coding last", post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nX")},
		{"both lengths, the coding first", post("Transfer-Encoding: chunked\r\nContent-Length: 5", hello)},
		{"both lengths, of nothing", post("Content-Length: 0\r\nTransfer-Encoding: chunked", hello)},
		{"both lengths, and a request behind them", post("Content-Length: 4\r\nTransfer-Encoding: chunked", fmt.Sprintf("%x\r\n", len(smuggled))+smuggled+"\r\n0\r\n\r\n")},
		{"both lengths, one no number", post("Content-Length: x\r\nTransfer-Encoding: chunked", hello)},
		{"a coding in HTTP/1.0", "POST /app HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + hello},
		{"a coding in HTTP/1.0 that keeps", "POST /app HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + hello},
		{"both lengths in HTTP/1.0", "POST /app HTTP/1.0\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + hello},
		coding("a coding with a space before the colon", "Transfer-Encoding : chunked"),
		coding("a folded coding", "Transfer-Encoding:\r\n chunked"),
		coding("a coding behind a bare carriage return", "X-A: 1\rTransfer-Encoding: chunked"),
	}...), bad(Head, unsupported, [][2]string{
		{"both lengths of which one is not known", post("Content-Length: 5\r\nTransfer-Encoding: identity", "hello")},
		coding("an empty coding", "Transfer-Encoding:"),
		coding("another coding", "Transfer-Encoding: gzip"),
		coding("identity", "Transfer-Encoding: identity"),
		coding("another coding before the chunks", "Transfer-Encoding: gzip, chunked"),
		coding("another coding behind the chunks", "Transfer-Encoding: chunked, gzip"),
		coding("identity before the chunks", "Transfer-Encoding: identity, chunked"),
		coding("identity behind the chunks", "Transfer-Encoding: chunked, identity"),
		coding("chunks twice", "Transfer-Encoding: chunked, chunked"),
		coding("chunks in two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
		coding("chunks and another coding in two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
		coding("another coding and chunks in two lines", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked"),
		coding("chunks and nothing in two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding:"),
		coding("an empty place before the chunks", "Transfer-Encoding: ,chunked"),
		coding("an empty place behind the chunks", "Transfer-Encoding: chunked,"),
		coding("a coding with a parameter", "Transfer-Encoding: chunked;q=1"),
		coding("a coding in quotes", "Transfer-Encoding: \"chunked\""),
		coding("a coding that begins otherwise", "Transfer-Encoding: xchunked"),
		coding("a coding that ends otherwise", "Transfer-Encoding: chunkedx"),
		coding("a coding with a vertical tab", "Transfer-Encoding: \x0bchunked"),
		coding("a coding with a NUL", "Transfer-Encoding: chunked\x00"),
		coding("a coding with a no-break space", "Transfer-Encoding: \xa0chunked"),
		coding("a coding with a long s", "Transfer-Encoding: chun\xe2\x84\xaaed"),
	}...))
}
