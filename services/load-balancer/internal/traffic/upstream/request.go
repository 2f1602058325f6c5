package upstream

import (
	"bytes"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// headSize is about how many bytes the head takes.
func headSize(r *proxy.Outgoing) int {
	n := 128 + len(r.Head.Method) + len(r.Path) + len(r.Head.Query) + len(r.Host) + len(r.Upgrade)
	for i := range r.Head.Fields {
		n += len(r.Head.Fields[i].Name) + len(r.Head.Fields[i].Value) + 4
	}
	for i := range r.Add {
		n += len(r.Add[i].Name) + len(r.Add[i].Value) + 4
	}
	return n
}

// appendHead writes the request line and the fields.
func appendHead(b []byte, r *proxy.Outgoing) []byte {
	b = append(b, r.Head.Method...)
	b = append(b, ' ')
	b = append(b, r.Path...)
	if r.Head.HasQuery {
		b = append(b, '?')
		b = append(b, r.Head.Query...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, "\r\n"...)
	b = message.AppendFields(b, r.Head.Fields)
	for i := range r.Add {
		b = message.AppendField(b, r.Add[i].Name, r.Add[i].Value)
	}
	switch {
	case r.Length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.Length > 0 || hasMeaning(r.Head.Method):
		b = message.AppendLength(b, r.Length)
	}
	if r.Expect {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	if r.Upgrade != "" {
		b = message.AppendField(append(b, "Connection: Upgrade\r\n"...), "Upgrade", r.Upgrade)
	}
	return append(b, "\r\n"...)
}

// hasMeaning: with these methods a body is expected, so that its absence is said (RFC 9110, section
// 8.6).
func hasMeaning(method string) bool { return method == "POST" || method == "PUT" || method == "PATCH" }

// errLines: what was parsed has no line breaks in it, so this is an engine's fault.
var errLines = &message.Error{Part: "head", Allowed: "its values must not have line breaks"}

// breaksLines tells whether a head has other lines than it should: a line break in a value would let
// a client write lines of its own. Whoever made the head has looked at it; that no request is smuggled
// past this proxy shall not depend on that.
func breaksLines(head []byte, r *proxy.Outgoing) bool {
	lines := 3 + len(r.Add) // the request line, Host and the empty one
	for i := range r.Head.Fields {
		if !r.Head.Fields[i].Dropped {
			lines++
		}
	}
	if r.Length != 0 || hasMeaning(r.Head.Method) {
		lines++
	}
	if r.Expect {
		lines++
	}
	if r.Upgrade != "" {
		lines += 2
	}
	return bytes.Count(head, []byte{'\n'}) != lines || bytes.Count(head, []byte{'\r'}) != lines || bytes.IndexByte(head, 0) >= 0
}
