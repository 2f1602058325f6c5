package http2

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// readRequest makes a head of what net/http has read: it is written as HTTP/1.1 has it, and parsed.
func readRequest(into *message.Request, r *http.Request) error {
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host {
		into.Version = message.HTTP2
		return &message.Error{Part: "Host", Allowed: "it must be the same as :authority"}
	}
	if r.RequestURI[0] != '/' && r.RequestURI != "*" && r.Method != http.MethodConnect {
		into.Version = message.HTTP2
		return &message.Error{Part: ":path", Allowed: "it must begin with /"}
	}
	b := make([]byte, 0, 1024)
	b = append(append(append(append(b, r.Method...), ' '), r.RequestURI...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, r.Host...), "\r\n"...)
	if len(r.Trailer) > 0 { // net/http took the field out
		b = message.AppendField(b, "Trailer", strings.Join(sortedNames(r.Trailer), ", "))
	}
	b, whole := appendFields(b, r.Header, "Host")
	if !whole || strings.IndexByte(r.Method, '\n') >= 0 || strings.IndexByte(r.RequestURI, '\n') >= 0 || strings.IndexByte(r.Host, '\n') >= 0 {
		into.Version = message.HTTP2 // net/http lets none of that through: what is written must be read as it was
		return &message.Error{Part: "head", Allowed: "it must not have line ends"}
	}
	err := into.ParseRequest(append(b, "\r\n"...))
	into.Version = message.HTTP2
	into.Close, into.Upgrade, into.Expect = false, "", false
	switch {
	case err != nil:
		return err
	case r.ContentLength < 0:
		into.Length = -1
	case into.Length != r.ContentLength: // it is not followed by a body, or by one of another length
		return &message.Error{Part: "Content-Length", Allowed: "it must be the length of the body"}
	}
	return nil
}

// readResponse makes a head of an answer.
func readResponse(into *message.Response, status int, length int64, h http.Header, toHead bool) error {
	b := message.AppendStatusLine(make([]byte, 0, 1024), message.HTTP11, status, "")
	b, whole := appendFields(b, h, "Connection")
	if !whole {
		return errUnwritable
	}
	into.Reset()
	err := into.ParseResponse(append(b, "\r\n"...), toHead)
	into.Version, into.Close, into.Chunked, into.Upgrade = message.HTTP2, false, false, ""
	if into.Length < 0 {
		into.Length = length
	}
	return err
}

// readTrailer makes fields of what follows a body.
func readTrailer(h http.Header) (message.Fields, error) {
	if len(h) == 0 {
		return nil, nil
	}
	b, whole := appendFields(make([]byte, 0, 256), h, "")
	if !whole {
		return nil, errUnwritable
	}
	return message.ParseTrailer(nil, append(b, "\r\n"...))
}

var errUnwritable = errors.New("a field has a control character")

// appendFields writes fields in the order of their names, for a map has none; false when one cannot
// be written.
func appendFields(b []byte, h http.Header, without string) ([]byte, bool) {
	for _, name := range sortedNames(h) {
		if name == without {
			continue
		}
		for _, value := range h[name] {
			if !message.Writable(name, value) {
				return b, false
			}
			b = message.AppendField(b, name, value)
		}
	}
	return b, true
}

func sortedNames(h http.Header) []string {
	names := slices.AppendSeq(make([]string, 0, len(h)), maps.Keys(h))
	slices.Sort(names)
	return names
}

// header writes fields that go out into a map.
func header(into http.Header, fields message.Fields, add []message.Field) {
	put := func(f *message.Field) {
		name := http.CanonicalHeaderKey(f.Name)
		into[name] = append(into[name], f.Value)
	}
	for i := range fields {
		if !fields[i].Dropped {
			put(&fields[i])
		}
	}
	for i := range add {
		put(&add[i])
	}
}
