package message

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Limits of a head beside its bytes, which the engine bounds.
const (
	MaxFields = 256
	maxEmpty  = 4 // empty lines before a request that are ignored
)

// Error is a message that is refused: which part of it, and what is allowed. It never holds what
// came, but for the part's name.
type Error struct {
	Part    string // "request line", "Content-Length", …
	Allowed string
	Version bool // the version is none that is spoken here
}

func (e *Error) Error() string { return e.Part + ": " + e.Allowed }

func bad(part, allowed string) error { return &Error{Part: part, Allowed: allowed} }

// errIncomplete: more bytes are needed.
var errIncomplete = errors.New("the head is not complete")

// HeadEnd finds the end of a head in what has come so far. The zero value begins; Find goes on where
// it stopped, so that a head that comes byte by byte costs no more than one that comes at once.
type HeadEnd struct {
	next    int // what was not looked at yet
	line    int // where the line begins that is looked at
	lenient bool
}

// Lenient lets lines end with a line feed alone, as many servers' answers do.
func (h *HeadEnd) Lenient() { h.lenient = true }

// Find returns where the head ends, behind its empty line; 0 as long as it does not. The error is
// that of a line that does not end as it must; who asks again gets it again.
func (h *HeadEnd) Find(b []byte) (int, error) {
	for {
		i := bytes.IndexByte(b[h.next:], '\n')
		if i < 0 {
			h.next = len(b)
			return 0, nil
		}
		end := h.next + i
		length := end - h.line
		if length > 0 && b[end-1] == '\r' {
			length--
		} else if !h.lenient {
			h.next = end
			return 0, bad("line end", "a line must end with CR LF")
		}
		h.next = end + 1
		if length == 0 {
			return h.next, nil
		}
		h.line = h.next
	}
}

// EmptyLines is how many bytes of empty lines come before a request: RFC 9112, section 2.2, has them
// ignored.
func EmptyLines(b []byte) int {
	n := 0
	for range maxEmpty {
		if len(b) < n+2 || b[n] != '\r' || b[n+1] != '\n' {
			break
		}
		n += 2
	}
	return n
}

// token tells which bytes a method or a name of a field may have (RFC 9110, section 5.6.2).
var token = func() (table [256]bool) {
	for c := '0'; c <= '9'; c++ {
		table[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		table[c], table[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		table[c] = true
	}
	return table
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !token[s[i]] {
			return false
		}
	}
	return s != ""
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// hasControl tells whether there is a control character other than a tab; eight bytes at a time.
func hasControl(b []byte) bool {
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		low := (w - ones*0x20) &^ w & highs // a byte below 0x20
		del := w ^ ones*0x7f                // a zero byte where there is a DEL
		if low|((del-ones)&^del&highs) != 0 && controlIn(b[:8]) {
			return true
		}
		b = b[8:]
	}
	return controlIn(b)
}

func controlIn(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// decimal reads a number of digits alone; false for everything else, and what is too large.
func decimal(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, true
}
