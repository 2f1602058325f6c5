package scaling

import "strings"

// Wording is a text without its numbers and times, to tell whether two say the same: an age that grows,
// or the port that a connection was refused on, is no news. Digits within a name stay, for they are
// another thing's name.
func Wording(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if digit(text[i]) && (i == 0 || !named(text[i-1])) {
			b.WriteByte('#')
			i = afterNumber(text, i)
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String()
}

// afterNumber is where a number that begins at i has ended: 12, 12.3, 12,300, 1m30.5s, 250ms, 250 ms.
func afterNumber(text string, i int) int {
	for i < len(text) {
		switch {
		case digit(text[i]), (text[i] == '.' || text[i] == ',') && i+1 < len(text) && digit(text[i+1]):
			i++
		default:
			n := unit(text[i:])
			if n == 0 {
				return i
			}
			i += n
		}
	}
	return i
}

// unit is how long the unit of time is that a text begins with; 0: it begins with none.
func unit(text string) int {
	if rest, spaced := strings.CutPrefix(text, " "); spaced {
		if n := bare(rest); n > 0 && (len(rest) == n || !digit(rest[n])) {
			return 1 + n
		}
		return 0
	}
	return bare(text)
}

func bare(text string) int {
	for _, u := range []string{"ms", "µs", "us", "ns", "h", "m", "s"} {
		if strings.HasPrefix(text, u) && (len(text) == len(u) || digit(text[len(u)]) || !named(text[len(u)])) {
			return len(u)
		}
	}
	return 0
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// named tells whether a digit after it is part of a name.
func named(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || digit(c) || c == '-' || c == '_' || c == '.' || c >= 0x80
}
