// Package wiretest holds requests as bytes, and what is right of each: the spec of the parser of
// heads, chunks and trailers, and of the paths that are routed. The conformance suite of the data
// port sends them through the whole program, and fuzz targets begin with them. Pod is a pod that does
// on its connections what a test says. No program imports it.
//
// What is right stands in RFC 9110 and 9112. Where they leave a choice the stricter one is taken,
// for what two programs could read in two ways is how requests are smuggled; where both are sound a
// request May be taken.
package wiretest

import (
	"slices"
	"strconv"
)

// Part is where the fault of a request is.
type Part string

// The parts.
const (
	None Part = ""     // the request is good
	Head Part = "head" // in the request line or the fields: nothing of it reaches a pod
	Body Part = "body" // in the chunks or the trailer: no pod gets it whole
	Path Part = "path" // the message is well-formed, but the path must not be routed
)

// Request is the bytes of one request. In them "/app" is the prefix of an application, which is
// stripped, "/%61pp" the same with an escape, and "app.root" the host of an application that has all
// paths; each time of one that has a pod which answers everything.
type Request struct {
	Name string
	Raw  string

	Fault    Part
	Statuses []int // of the refusal; none is 400
	May      bool  // it may be taken nevertheless; then, as if it were good, the rest holds

	Line    string   // "METHOD target" as the pod gets it; "" is "GET /"
	Fields  []string // "Name: value" that the pod gets, so spelled and, ours apart, in this order; "-Name" is one that it does not get
	Body    string   // that the pod gets
	Trailer []string // like Fields
	Close   bool     // the connection ends after the answer
	Open    bool     // the connection may stay open after the refusal, though the fault is in the head
	Host    bool     // the application is the one of app.root
}

// At is the line that the pod gets.
func (r Request) At() string {
	if r.Line == "" {
		return "GET /"
	}
	return r.Line
}

// Refusals are the statuses that a refusal may have.
func (r Request) Refusals() []int {
	if len(r.Statuses) == 0 {
		return []int{400}
	}
	return r.Statuses
}

// Requests are all requests of this package.
func Requests() []Request {
	return slices.Concat(Lines(), Fields(), Lengths(), Codings(), Chunks(), Trailers(), Targets(), Hosts())
}

// The statuses of what is refused for want of support.
var (
	unsupported = []int{400, 501} // of a coding
	version     = []int{400, 505}
	tooLarge    = []int{400, 413}
	notFound    = []int{400, 404}
)

// headed is a GET with one line more in its head.
func headed(line string) string { return "GET /app HTTP/1.1\r\nHost: h\r\n" + line + "\r\n\r\n" }

// post is a POST with lines more in its head, and what follows the head.
func post(lines, body string) string {
	return "POST /app HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n\r\n" + body
}

// chunked is a POST whose body is these chunks.
func chunked(body string) string { return post("Transfer-Encoding: chunked", body) }

// to is a GET of a target.
func to(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n" }

// bad makes requests with a fault in that part out of names and bytes.
func bad(part Part, statuses []int, named ...[2]string) []Request {
	all := make([]Request, 0, len(named))
	for _, n := range named {
		all = append(all, Request{Name: n[0], Raw: n[1], Fault: part, Statuses: statuses})
	}
	return all
}

// each makes a request of each.
func each[T any](of []T, request func(T) Request) []Request {
	all := make([]Request, 0, len(of))
	for _, one := range of {
		all = append(all, request(one))
	}
	return all
}

// printable is a text for the name of a request.
func printable(text string) string {
	quoted := strconv.QuoteToASCII(text)
	return quoted[1 : len(quoted)-1]
}
