package httpapi

import (
	"strconv"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// What a body may be like beyond its length. Nothing in the contract comes near: it keeps parsers from
// work that a sender has for nothing.
const (
	maxDepth  = 32
	maxNumber = 64 // characters
)

// plain refuses JSON that is nested too deep or that has too long a number. Whether it is JSON at all is
// for those who parse it.
func plain(body []byte) error {
	depth, text := 0, false
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case text:
			switch c {
			case '\\':
				i++
			case '"':
				text = false
			}
		case c == '"':
			text = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fault.New(fault.Invalid, "").With("body", "nested deeper", "at most "+strconv.Itoa(maxDepth)+" levels of objects and lists")
			}
		case c == '}' || c == ']':
			depth--
		case c == '-' || c >= '0' && c <= '9':
			end := numberEnd(body, i)
			if end-i > maxNumber {
				return fault.New(fault.Invalid, "").With("body", string(body[i:i+maxNumber])+"…", "numbers of at most "+strconv.Itoa(maxNumber)+" characters")
			}
			i = end - 1
		}
	}
	return nil
}

// numberEnd is where the number ends that begins at i.
func numberEnd(body []byte, i int) int {
	for ; i < len(body); i++ {
		switch c := body[i]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
		default:
			return i
		}
	}
	return i
}
