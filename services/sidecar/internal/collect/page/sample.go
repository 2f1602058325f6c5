package page

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// metric is a sample: its labels, in the order in which they stand there, and its value.
type metric struct {
	labels []pair
	value  float64
}

// pair is a label.
type pair struct{ name, value string }

// family parses the lines of one name, as split.go leaves them: the name, labels or none, a blank, a value. Prometheus'
// own parser would do it too, with Protocol Buffers, which are a fifth of this program and a good part of the memory that it
// needs beside every application. A test holds the two together.
func family(name, lines string) ([]metric, error) {
	var out []metric
	for line := range strings.Lines(lines) {
		rest := strings.TrimSuffix(line[len(name):], "\n")
		i := strings.LastIndexByte(rest, ' ') // a value has none
		m, err := labelsOf(rest[:i])
		if err != nil {
			return nil, err
		}
		if m.value, err = float(rest[i+1:]); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// float is a value as the format has it: Go's own notations with p and _ are not.
func float(text string) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || strings.ContainsAny(text, "pP_") {
		return 0, fmt.Errorf("%q is no value", text)
	}
	return value, err //nolint:wrapcheck // it quotes the value
}

var errLabels = errors.New("the labels are not in Prometheus' text format")

// labelsOf reads what stands between braces; "" has none.
func labelsOf(text string) (m metric, err error) {
	text = blanks(text)
	if text == "" {
		return m, nil
	}
	if text[0] != '{' {
		return m, errLabels
	}
	text = blanks(text[1:])
	for text != "}" {
		var l pair
		if l, text, err = labelOf(text); err != nil {
			return m, err
		}
		for _, other := range m.labels {
			if other.name == l.name {
				return m, fmt.Errorf("the label %q is there twice", l.name)
			}
		}
		m.labels = append(m.labels, l)
		if after, more := strings.CutPrefix(text, ","); more {
			text = blanks(after)
		} else if text != "}" {
			return m, errLabels
		}
	}
	return m, nil
}

// labelOf reads a label; left begins with what follows it.
func labelOf(text string) (l pair, left string, err error) {
	if strings.HasPrefix(text, `"`) { // in quotes a name may be any text
		if l.name, text, err = inQuotes(text); err != nil {
			return l, "", err
		}
	} else {
		end := 0
		for end < len(text) && ofName(text[end], end) {
			end++
		}
		l.name, text = text[:end], text[end:]
	}
	if l.name == "" || l.name == "__name__" || !utf8.ValidString(l.name) {
		return l, "", fmt.Errorf("%q is no label's name", l.name)
	}
	text, ok := strings.CutPrefix(blanks(text), "=")
	if text = blanks(text); !ok || !strings.HasPrefix(text, `"`) {
		return l, "", fmt.Errorf("the label %q has no value in quotes", l.name)
	}
	if l.value, text, err = inQuotes(text); err != nil {
		return l, "", err
	}
	if !utf8.ValidString(l.value) {
		return l, "", fmt.Errorf("the label %q has a value that is not UTF-8", l.name)
	}
	return l, blanks(text), nil
}

// inQuotes reads a text in quotes; left is what follows them.
func inQuotes(text string) (value, left string, err error) {
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return out.String(), text[i+1:], nil
		case '\\':
			if i++; i == len(text) {
				return "", "", errLabels
			}
			switch text[i] {
			case '"', '\\':
				out.WriteByte(text[i])
			case 'n':
				out.WriteByte('\n')
			default:
				return "", "", fmt.Errorf("there is no escape %q", text[i-1:i+1])
			}
		default:
			out.WriteByte(c)
		}
	}
	return "", "", errLabels
}

// ofName tells whether a label's name may have this byte at a place.
func ofName(c byte, at int) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || at > 0 && '0' <= c && c <= '9'
}

func blanks(text string) string { return strings.TrimLeft(text, " \t") }
