package accesslog

import "strings"

// redacted stands in the place of what is not told.
const redacted = "REDACTED"

// maxName is the length from which on a query parameter's name is no name, and not told.
const maxName = 128

// query writes a query in which only the values of the parameters that are allowed by name are
// told. A parameter without a value may be a secret by itself, so it is one value. What does not
// fit into the limit is left out from the first such parameter on.
func (o *Options) query(b []byte, query string, limit int) []byte {
	for first := true; query != ""; first = false {
		end := 0
		for end < len(query) && query[end] != '&' && query[end] != ';' {
			end++
		}
		item, rest := query[:end], query[min(end+1, len(query)):]
		name, value, valued := strings.Cut(item, "=")
		switch {
		case item == "" || o.kept[name]:
		case len(name) > maxName || !valued:
			name, value, valued = redacted, "", false
		case value != "":
			value = redacted
		}
		limit -= len(name) + len(value) + 2
		if limit < 0 {
			return b
		}
		if !first {
			b = append(b, '&')
		}
		b = appendText(b, name, len(name))
		if valued {
			b = appendText(append(b, '='), value, len(value))
		}
		query = rest
	}
	return b
}

// address writes a URL that someone sent, absolute or not, without user information and fragment,
// its query as query has it.
func (o *Options) address(b []byte, address string, limit int) []byte {
	address, _, _ = strings.Cut(address, "#")
	address, query, queried := strings.Cut(address, "?")
	if scheme, rest, absolute := strings.Cut(address, "//"); absolute {
		scheme = withoutUser(scheme)
		b, limit = append(appendText(b, scheme, limit), "//"...), limit-len(scheme)-2
		address = rest
	}
	authority, path := address, ""
	if slash := strings.IndexByte(address, '/'); slash >= 0 {
		authority, path = address[:slash], address[slash:]
	}
	authority = withoutUser(authority)
	b, limit = appendText(b, authority, max(limit, 0)), limit-len(authority)
	b, limit = appendText(b, path, max(limit, 0)), limit-len(path)
	if queried && limit > 0 {
		b = o.query(append(b, '?'), query, limit-1)
	}
	return b
}

// withoutUser is a host without the name and password that may stand before it.
func withoutUser(host string) string {
	return host[strings.LastIndexByte(host, '@')+1:]
}

// isAddress tells whether a header field's value is a URL.
func isAddress(name string) bool {
	switch name {
	case "referer", "location", "content-location", "x-original-url", "x-original-uri", "x-forwarded-uri", "x-rewrite-url":
		return true
	}
	return false
}
