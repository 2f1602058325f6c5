package accesslog

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What follows appends JSON members to a buffer. Every member ends with a comma, which the end of its
// object replaces: nobody must know which of them is the last. The names of members come with what
// stands around them (`"path":"`), so that each is one copy.

// text appends a text that is known; name ends with the opening quote.
func text(b []byte, name, value string, limit int) []byte {
	if value == "" {
		return b
	}
	return append(appendText(append(b, name...), value, limit), `",`...)
}

func number(b []byte, name string, n int64) []byte {
	return append(appendInt(append(b, name...), n), ',')
}

// appendInt is strconv's, but quicker for small numbers, which most are.
func appendInt(b []byte, n int64) []byte {
	switch {
	case n >= 0 && n < 10:
		return append(b, byte('0'+n))
	case n >= 100 && n < 1000:
		return append(b, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
	}
	return strconv.AppendInt(b, n, 10)
}

// positive appends a number that is 0 when it is not known.
func positive(b []byte, name string, n int64) []byte {
	if n <= 0 {
		return b
	}
	return number(b, name, n)
}

// closeObject ends an object whose name begins at from and has so many bytes, with the brace. One that
// has no member is left out, with its name.
func closeObject(b []byte, from, name int) []byte {
	if len(b) == from+name {
		return b[:from]
	}
	b[len(b)-1] = '}'
	return append(b, ',')
}

// millis appends a duration that is 0 when it is not known, in milliseconds, as the object that holds
// them: its unit stands in the field's name.
func millis(b []byte, name string, d time.Duration) []byte {
	if d <= 0 {
		return b
	}
	b = append(b, name...)
	us := d.Microseconds()
	b = appendInt(b, us/1000)
	if part := us % 1000; part > 0 {
		b = append(b, '.', byte('0'+part/100), byte('0'+part/10%10), byte('0'+part%10))
	}
	return append(b, `},`...)
}

const digits = "0123456789abcdef"

// hexID appends an id that is all zeros when there is none.
func hexID(b []byte, name string, id []byte) []byte {
	var any byte
	for _, c := range id {
		any |= c
	}
	if any == 0 {
		return b
	}
	b = append(b, name...)
	for _, c := range id {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return append(b, `"},`...)
}

// plain tells which bytes stand in a JSON string as they are.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendText appends what stands between the quotes of a JSON string: s, of at most limit bytes.
// What is no UTF-8 becomes U+FFFD. Nearly all texts are plain, so it copies first and looks then.
func appendText(b []byte, s string, limit int) []byte {
	if len(s) > limit {
		s = whole(s[:limit])
	}
	from := len(b)
	b = append(b, s...)
	if isPlain(b[from:]) {
		return b
	}
	return escape(b[:from], s)
}

// isPlain tells whether all bytes are plain, eight at a time.
func isPlain(b []byte) bool {
	if len(b) < 8 {
		for _, c := range b {
			if !plain[c] {
				return false
			}
		}
		return true
	}
	for ; len(b) > 8; b = b[min(8, len(b)-8):] { // the last eight overlap those before
		if !arePlain(binary.LittleEndian.Uint64(b)) {
			return false
		}
	}
	return arePlain(binary.LittleEndian.Uint64(b))
}

// arePlain tells of eight bytes whether none is a control character, a quote, a backslash or beyond
// ASCII: each leaves the top bit of its byte.
func arePlain(x uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	control, quote, slash := (x-' '*ones)&^x, x^'"'*ones, x^'\\'*ones
	return (x|control|(quote-ones)&^quote|(slash-ones)&^slash)&tops == 0
}

// escape appends a text in which some byte is not plain.
func escape(b []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += size
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		from = i
	}
	return append(b, s[from:]...)
}

// whole drops the part of a character that was cut in two at the end of s.
func whole(s string) string {
	for i := len(s) - 1; i >= 0 && i > len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			if !utf8.FullRuneInString(s[i:]) {
				return s[:i]
			}
			return s
		}
	}
	return s
}

// cut shortens s to limit bytes, at a whole character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}
