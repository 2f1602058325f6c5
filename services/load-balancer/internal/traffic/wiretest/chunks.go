package wiretest

import (
	"slices"
	"strings"
)

// Chunks are chunked bodies.
func Chunks() []Request {
	good := func(name, body, want string) Request {
		return Request{Name: name, Raw: chunked(body), Line: "POST /", Body: want}
	}
	may := func(name, body, want string) Request {
		return Request{Name: name, Raw: chunked(body), Line: "POST /", Body: want, Fault: Body, May: true}
	}
	broken := func(name, body string) [2]string { return [2]string{name, chunked(body)} }
	return slices.Concat([]Request{
		good("two chunks", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"),
		good("a chunk of each byte", "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n", "hello"),
		good("a size in small letters", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
		good("a size in capitals", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
		good("a size with zeros before it", "0005\r\nhello\r\n000\r\n\r\n", "hello"),
		good("an extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello"),
		good("an extension without a value", "5;a\r\nhello\r\n0\r\n\r\n", "hello"),
		good("an extension in quotes", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "hello"),
		good("two extensions", "5;a=1;b=2\r\nhello\r\n0\r\n\r\n", "hello"),
		good("line ends within a chunk", "7\r\n\r\nhel\r\n\r\n0\r\n\r\n", "\r\nhel\r\n"),
		good("an end within a chunk", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
		may("a space behind a size", "5 \r\nhello\r\n0\r\n\r\n", "hello"),
		may("spaces around an extension", "5 ; a=b\r\nhello\r\n0\r\n\r\n", "hello"),
		may("an empty extension", "5;\r\nhello\r\n0\r\n\r\n", "hello"),
		may("very many zeros before a size", strings.Repeat("0", 40)+"5\r\nhello\r\n0\r\n\r\n", "hello"),
	}, bad(Body, nil, [][2]string{
		broken("a size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
		broken("a size with a plus", "+5\r\nhello\r\n0\r\n\r\n"),
		broken("a size with a minus", "-5\r\nhello\r\n0\r\n\r\n"),
		broken("a space before a size", " 5\r\nhello\r\n0\r\n\r\n"),
		broken("a space within a size", "0 5\r\nhello\r\n0\r\n\r\n"),
		broken("an underscore within a size", "0_5\r\nhello\r\n0\r\n\r\n"),
		broken("a size with a point", "5.\r\nhello\r\n0\r\n\r\n"),
		broken("a size that is none", "g\r\nhello\r\n0\r\n\r\n"),
		broken("a size with a letter behind it", "5g\r\nhello\r\n0\r\n\r\n"),
		broken("an empty size", "\r\nhello\r\n0\r\n\r\n"),
		broken("an empty size with an extension", ";a=b\r\nhello\r\n0\r\n\r\n"),
		broken("an empty last size", "5\r\nhello\r\n\r\n\r\n"),
		broken("a size behind a NUL", "\x005\r\nhello\r\n0\r\n\r\n"),
		broken("a bare line feed behind a size", "5\nhello\r\n0\r\n\r\n"),
		broken("a bare carriage return behind a size", "5\rhello\r\n0\r\n\r\n"),
		broken("a carriage return too many behind a size", "5\r\r\nhello\r\n0\r\n\r\n"),
		broken("a bare line feed behind a chunk", "5\r\nhello\n0\r\n\r\n"),
		broken("a chunk that is longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
		broken("a chunk that is shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
		broken("nothing behind a chunk", "5\r\nhello0\r\n\r\n"),
		broken("a bare line feed behind the last size", "5\r\nhello\r\n0\n\r\n"),
		broken("a bare line feed for the end", "5\r\nhello\r\n0\r\n\n"),
		broken("bare line feeds alone in chunks", "5\nhello\n0\n\n"),
		broken("a line feed within an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
		broken("a carriage return within an extension", "5\r;a\r\nhello\r\n0\r\n\r\n"),
		broken("a NUL within an extension", "5;a\x00\r\nhello\r\n0\r\n\r\n"),
	}...), bad(Body, tooLarge, [][2]string{
		broken("a size of 64 bits and one", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
		broken("a size of 64 bits", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
		broken("a size of 63 bits and one", "8000000000000000\r\nhello\r\n0\r\n\r\n"),
		broken("a size that is far too long", strings.Repeat("f", 300)+"\r\nhello\r\n0\r\n\r\n"),
		broken("an extension that is too long", "5;"+strings.Repeat("a", 64<<10)+"\r\nhello\r\n0\r\n\r\n"),
	}...))
}

// Trailers are what follows chunks.
func Trailers() []Request {
	behind := func(trailer string) string {
		return post("Trailer: X-Sum\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"+trailer+"\r\n\r\n")
	}
	good := func(name, trailer string, at ...string) Request {
		return Request{Name: name, Raw: behind(trailer), Line: "POST /", Body: "hello", Trailer: at}
	}
	few := []Request{
		good("a trailer", "X-Sum: 1", "X-Sum: 1"),
		good("a trailer in small letters", "x-sum: 1", "x-sum: 1"),
		good("a trailer of nothing", "X-Sum:", "X-Sum:"),
	}
	// A field that steers the message, says who asks, or gives rights, comes too late in a trailer.
	late := each([]string{
		"Authorization", "Proxy-Authorization", "Cookie", "X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP",
		"Content-Length", "Transfer-Encoding", "Host", "Connection", "Trailer", "TE", "Upgrade", "Expect", "Keep-Alive", "Content-Type", "Content-Encoding", "Content-Range",
	}, func(name string) Request {
		r := good("a trailer with "+name, name+": 5\r\nX-Sum: 1", "-"+name)
		r.Fault, r.May = Body, true
		return r
	})
	trailing := func(name, trailer string) [2]string { return [2]string{name, behind(trailer)} }
	return slices.Concat(few, late, bad(Body, nil, [][2]string{
		trailing("a space before the colon of a trailer", "X-Sum : 1"),
		trailing("a trailer without a colon", "X-Sum"),
		trailing("a trailer with an empty name", ": 1"),
		trailing("a folded trailer", "X-Sum: 1\r\n 2"),
		trailing("a trailer that begins with a space", " X-Sum: 1"),
		trailing("a bare line feed in a trailer", "X-Sum: 1\nX-B: 2"),
		trailing("a bare carriage return in a trailer", "X-Sum: 1\r2"),
		trailing("a NUL in a trailer", "X-Sum: 1\x00"),
		trailing("a request for a trailer", "GET /app/smuggled HTTP/1.1"),
	}...), bad(Body, []int{400, 413, 431}, [][2]string{
		trailing("a trailer that is too large", "X-Sum: "+strings.Repeat("a", 300<<10)),
		trailing("trailers that are too many", strings.TrimSuffix(many(40_000), "\r\n")),
	}...))
}
