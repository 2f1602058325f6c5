// Package message holds the head of an HTTP message as one small value, and the syntax of HTTP/1.1
// around it: parsing, the framing of bodies, writing. It is pure: bytes in, values out; who reads
// them from where is the engines' business.
//
// A head is parsed into its fields as they came, in their order and spelling. Nobody changes them:
// what must not be passed on is marked (Field.Dropped), and what is added stands beside them. The
// strings of a head are parts of one text, so a head costs one allocation, whatever it holds.
//
// The parser takes less than net/http's: what could be read in two ways is refused (RFC 9112,
// section 11). A fuzz test holds the two together.
package message

import "strings"

// Version is the version of HTTP that a message came in.
type Version uint8

// The versions.
const (
	HTTP10 Version = 10
	HTTP11 Version = 11
	HTTP2  Version = 20
)

// String is the version's number, as logs and dashboards have it.
func (v Version) String() string {
	switch v {
	case HTTP10:
		return "1.0"
	case HTTP2:
		return "2"
	default:
		return "1.1"
	}
}

// Field is one line of a head, as it came.
type Field struct {
	Name    string
	Value   string
	Known   Known // which well-known field it is; Other is none
	Dropped bool  // it is not passed on
}

// Is tells whether the field has this name; lower is in lower case.
func (f *Field) Is(lower string) bool { return foldedEqual(f.Name, lower) }

// Fields are those of a head, in their order.
type Fields []Field

// First is the value of the first such field; "" when there is none.
func (fs Fields) First(k Known) string {
	for i := range fs {
		if fs[i].Known == k {
			return fs[i].Value
		}
	}
	return ""
}

// Named is the value of the first field of that name, in lower case; "" when there is none.
func (fs Fields) Named(lower string) string {
	for i := range fs {
		if fs[i].Is(lower) {
			return fs[i].Value
		}
	}
	return ""
}

// Has tells whether there is such a field.
func (fs Fields) Has(k Known) bool {
	for i := range fs {
		if fs[i].Known == k {
			return true
		}
	}
	return false
}

// Drop marks every such field.
func (fs Fields) Drop(k Known) {
	for i := range fs {
		if fs[i].Known == k {
			fs[i].Dropped = true
		}
	}
}

// DropHopByHop marks what concerns one connection only (RFC 9110, section 7.6.1): the fields that
// say so, and those that a Connection field names.
func (fs Fields) DropHopByHop() {
	for i := range fs {
		f := &fs[i]
		if !f.Known.hopByHop() {
			continue
		}
		f.Dropped = true
		if f.Known == Connection && !foldedEqual(f.Value, "keep-alive") && !foldedEqual(f.Value, "close") {
			fs.dropNamed(f.Value)
		}
	}
}

// dropNamed marks the fields that the value of a Connection field names.
func (fs Fields) dropNamed(list string) {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.Trim(name, " \t")
		if name == "" {
			continue
		}
		for i := range fs {
			if strings.EqualFold(fs[i].Name, name) && !fs[i].Known.framing() {
				fs[i].Dropped = true
			}
		}
	}
}

// lists tells whether a comma-separated value has the word, in lower case.
func lists(value, lower string) bool {
	for item := range strings.SplitSeq(value, ",") {
		if foldedEqual(strings.Trim(item, " \t"), lower) {
			return true
		}
	}
	return false
}

// Request is the head of a request.
type Request struct {
	Method   string
	Target   string // as it came
	Path     string // of the target, as it came: "/" at least, or "*"; "" for CONNECT
	Query    string // of the target, without the "?"
	HasQuery bool   // there is a "?", whatever follows it
	Scheme   string // that the target names, in lower case; "" is none
	Host     string // that is asked for, with its port; an absolute target's goes before the field's
	Version  Version
	Fields   Fields
	Length   int64  // of the body; -1: it is as long as its chunks, or its frames, say
	Close    bool   // the connection ends after this exchange
	Upgrade  string // the protocol that the client would change to; "" is none
	Expect   bool   // the client waits for 100 Continue before it sends the body
	Trailers bool   // the client takes trailers
}

// HasBody tells whether a body follows the head, which may turn out to be empty.
func (r *Request) HasBody() bool { return r.Length != 0 }

// Reset makes room for the next head; the fields' memory is kept, and holds nothing any more.
func (r *Request) Reset() {
	clear(r.Fields)
	*r = Request{Fields: r.Fields[:0]}
}

// Response is the head of an answer.
type Response struct {
	Status   int
	Reason   string // the phrase behind the status, as it came
	Version  Version
	Fields   Fields
	Length   int64  // of the body; -1 is not known
	Chunked  bool   // the body comes in chunks
	Close    bool   // the connection ends after this answer
	Upgrade  string // of 101: the protocol that is changed to
	KeepIdle int    // seconds that the server keeps the connection for, as Keep-Alive says; 0: it does not say
}

// Reset makes room for the next head.
func (r *Response) Reset() {
	clear(r.Fields)
	*r = Response{Fields: r.Fields[:0]}
}

// Informational tells whether another head follows this one.
func (r *Response) Informational() bool { return r.Status < 200 && r.Status != 101 }
