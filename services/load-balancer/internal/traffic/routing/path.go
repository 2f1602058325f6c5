package routing

import (
	"bytes"
	"errors"
	"strings"
)

// The refusals of a path.
var (
	ErrPathForm = errors.New("the path must begin with / and have only well-formed escapes")
	ErrPathNUL  = errors.New("the path must not contain an encoded NUL (%00)")
)

// Normalise brings an escaped path into the one form that is routed by: "." and
// ".." segments resolved (".." above the root stays at the root), "//" made "/", and escapes of
// characters that need none (letters, digits, - . _ ~) undone, so that %2e%2e is seen for what it
// is. Every other escape stays as it came.
func Normalise(path string) (string, error) {
	if path == "" || path[0] != '/' {
		return "", ErrPathForm
	}
	if strings.IndexByte(path, '%') >= 0 {
		var err error
		if path, err = undoNeedlessEscapes(path); err != nil {
			return "", err
		}
	}
	return clean(path), nil
}

// plain reports whether a path has but one reading, the usual case: no escape, no empty segment, and
// none that begins with a dot.
func plain(path string) bool {
	return path != "" && path[0] == '/' && strings.IndexByte(path, '%') < 0 && strings.IndexByte(path, '\\') < 0 &&
		!strings.Contains(path, "/.") && !strings.Contains(path, "//")
}

func undoNeedlessEscapes(path string) (string, error) {
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		if i+2 >= len(path) {
			return "", ErrPathForm
		}
		high, okHigh := unhex(path[i+1])
		low, okLow := unhex(path[i+2])
		if !okHigh || !okLow {
			return "", ErrPathForm
		}
		switch c := high<<4 | low; {
		case c == 0:
			return "", ErrPathNUL
		case unreserved(c):
			b.WriteByte(c)
		default:
			b.WriteString(path[i : i+3])
		}
		i += 2
	}
	return b.String(), nil
}

// clean resolves the segments. A path that is clean already, the usual case, is returned as it is.
func clean(path string) string {
	if !strings.Contains(path, "/.") && !strings.Contains(path, "//") {
		return path
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); {
		end := strings.IndexByte(path[i+1:], '/')
		if end < 0 {
			end = len(path)
		} else {
			end += i + 1
		}
		last := end == len(path)
		switch segment := path[i+1 : end]; segment {
		case "", ".":
			if last {
				out = append(out, '/')
			}
		case "..":
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
			if last {
				out = append(out, '/')
			}
		default:
			out = append(append(out, '/'), segment...)
		}
		i = end
	}
	if len(out) == 0 {
		return "/"
	}
	return string(out)
}

// hidesSeparator reports whether the path has an encoded slash or a backslash, encoded or not, which
// another server may take for a separator.
func hidesSeparator(path string) bool {
	if strings.IndexByte(path, '\\') >= 0 {
		return true
	}
	for i := strings.IndexByte(path, '%'); i >= 0 && i+2 < len(path); {
		if isSeparator(path[i+1 : i+3]) {
			return true
		}
		next := strings.IndexByte(path[i+1:], '%')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// revealed is the path as a server sees it that takes encoded slashes and backslashes for
// separators.
func revealed(path string) string {
	if !hidesSeparator(path) {
		return path
	}
	return clean(separated(path))
}

// withoutParameters is the path as a server sees it that drops the parameters of segments before it
// resolves those (/..;a=b/), as servlet containers do; false where that means the same.
func withoutParameters(path string) (string, bool) {
	path = separated(path)
	if !strings.Contains(path, "/.;") && !strings.Contains(path, "/..;") {
		return "", false
	}
	var b strings.Builder
	b.Grow(len(path))
	for end := 0; end < len(path); {
		segment := segmentAt(path, end)
		end += 1 + len(segment)
		segment, _, _ = strings.Cut(segment, ";")
		b.WriteByte('/')
		b.WriteString(segment)
	}
	return clean(b.String()), true
}

// separated has a slash in place of whatever hides one.
func separated(path string) string {
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '%' && i+2 < len(path) && isSeparator(path[i+1:i+3]):
			b.WriteByte('/')
			i += 2
		case path[i] == '\\':
			b.WriteByte('/')
		default:
			b.WriteByte(path[i])
		}
	}
	return b.String()
}

func isSeparator(escape string) bool {
	return strings.EqualFold(escape, "2f") || strings.EqualFold(escape, "5c")
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
