package accesslog

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// writer appends one JSON object after the other's members. Every member ends with a comma, which
// the end of its object replaces: nobody must know which of them is the last.
type writer struct{ b []byte }

func (w *writer) raw(s string)      { w.b = append(w.b, s...) }
func (w *writer) name(name string)  { w.b = append(append(append(w.b, '"'), name...), '"', ':') }
func (w *writer) begin(name string) { w.name(name); w.b = append(w.b, '{') }

// end closes an object. One that has no member is left out, with its name.
func (w *writer) end() {
	if last := len(w.b) - 1; w.b[last] == ',' {
		w.b = append(w.b[:last], '}', ',')
		return
	}
	i := len(w.b) - len(`":{`) - 1
	for w.b[i] != '"' {
		i--
	}
	w.b = w.b[:i]
}

// text writes a text that is known.
func (w *writer) text(name, value string, limit int) {
	if value != "" {
		w.name(name)
		w.value(value, limit)
	}
}

func (w *writer) value(s string, limit int) {
	w.b = append(w.b, '"')
	w.b = appendText(w.b, s, limit)
	w.b = append(w.b, '"', ',')
}

func (w *writer) number(name string, n int64) {
	w.name(name)
	w.b = append(strconv.AppendInt(w.b, n, 10), ',')
}

// positive writes a number that is 0 when it is not known.
func (w *writer) positive(name string, n int64) {
	if n > 0 {
		w.number(name, n)
	}
}

// span writes a duration that is 0 when it is not known, in milliseconds, as the object that holds
// them: its unit stands in the field's name.
func (w *writer) span(name string, d time.Duration) {
	if d > 0 {
		w.name(name)
		w.raw(`{"ms":`)
		w.milliseconds(d)
		w.raw(`},`)
	}
}

func (w *writer) milliseconds(d time.Duration) {
	us := d.Microseconds()
	w.b = strconv.AppendInt(w.b, us/1000, 10)
	if part := us % 1000; part > 0 {
		w.b = append(w.b, '.', byte('0'+part/100), byte('0'+part/10%10), byte('0'+part%10))
	}
}

func (w *writer) time(name string, t time.Time) {
	w.name(name)
	w.b = append(w.b, '"')
	w.b = t.UTC().AppendFormat(w.b, time.RFC3339Nano)
	w.b = append(w.b, '"', ',')
}

const digits = "0123456789abcdef"

// hex writes an id that is all zeros when there is none.
func (w *writer) hex(name string, id []byte) {
	for _, c := range id {
		if c != 0 {
			w.begin(name)
			w.raw(`"id":"`)
			for _, c := range id {
				w.b = append(w.b, digits[c>>4], digits[c&15])
			}
			w.raw(`",`)
			w.end()
			return
		}
	}
}

// plain tells which bytes stand in a JSON string as they are.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendText appends what stands between the quotes of a JSON string: s, of at most limit bytes.
// What is no UTF-8 becomes U+FFFD.
func appendText(b []byte, s string, limit int) []byte {
	if len(s) > limit {
		s = whole(s[:limit])
	}
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
