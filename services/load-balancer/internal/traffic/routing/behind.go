package routing

import (
	"bytes"
	"strings"
)

// behind is what stands behind the prefix in a path as the client sent it, at least "/"; false where
// a server could read that as leading out of the application. The path is well formed, and its
// normalised form begins with the prefix.
func behind(raw, prefix string) (string, bool) {
	end, ok := endOf(raw, prefix)
	if !ok {
		return "", false
	}
	rest := raw[end:]
	if rest == "" {
		rest = "/"
	}
	if leaves(rest) || hidesSeparator(rest) && leaves(separated(rest)) {
		return "", false
	}
	return rest, true
}

// endOf is where the prefix first stands whole in the path, all segments before it resolved.
func endOf(raw, prefix string) (int, bool) {
	resolved := make([]byte, 0, len(prefix)+len(raw))
	for end := 0; ; {
		if string(resolved) == prefix {
			return end, true
		}
		if end == len(raw) {
			return 0, false
		}
		segment := segmentAt(raw, end)
		end += 1 + len(segment)
		switch plain := plainSegment(segment); plain {
		case "", ".":
		case "..":
			resolved = resolved[:max(0, bytes.LastIndexByte(resolved, '/'))]
		default:
			resolved = append(append(resolved, '/'), plain...)
		}
	}
}

// leaves reports whether the dot segments of a path lead above its root, at any point of it. Segments
// with parameters (..;a=b) count: some servers drop those before they resolve.
func leaves(path string) bool {
	depth := 0
	for end := 0; end < len(path); {
		segment := segmentAt(path, end)
		end += 1 + len(segment)
		plain, _, _ := strings.Cut(plainSegment(segment), ";")
		switch plain {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// segmentAt is the segment after the slash at i.
func segmentAt(path string, i int) string {
	segment, _, _ := strings.Cut(path[i+1:], "/")
	return segment
}

// plainSegment is a segment of a well-formed path without needless escapes.
func plainSegment(segment string) string {
	if strings.IndexByte(segment, '%') < 0 {
		return segment
	}
	plain, err := undoNeedlessEscapes(segment)
	if err != nil {
		return segment
	}
	return plain
}
