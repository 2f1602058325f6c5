package message

import "strings"

// parseFields reads the lines behind the first one; raw and text are the same bytes. Folded lines
// are joined when lenient, else refused.
func parseFields(into Fields, raw []byte, text string, lenient bool) (Fields, error) {
	for at := 0; ; {
		end := strings.IndexByte(text[at:], '\n')
		if end < 0 {
			return into, errIncomplete
		}
		end += at
		line := end
		if line > at && text[line-1] == '\r' {
			line--
		}
		if line == at {
			return into, nil
		}
		if len(into) == MaxFields {
			return into, bad("head", "it has too many fields")
		}
		if c := text[at]; c == ' ' || c == '\t' {
			if !lenient || len(into) == 0 {
				return into, bad("field line", "a line must not be folded")
			}
			last := &into[len(into)-1]
			if hasControl(raw[at:line]) {
				return into, bad("field value", "it must not have control characters")
			}
			last.Value += " " + strings.Trim(text[at:line], " \t")
			at = end + 1
			continue
		}
		f, err := parseField(raw[at:line], text[at:line])
		if err != nil {
			return into, err
		}
		into = append(into, f)
		at = end + 1
	}
}

func parseField(raw []byte, text string) (Field, error) {
	colon := strings.IndexByte(text, ':')
	if colon <= 0 {
		return Field{}, bad("field line", "a line must be a name, a colon and a value")
	}
	f := Field{Name: text[:colon], Value: strings.Trim(text[colon+1:], " \t")}
	if !isToken(f.Name) {
		return Field{}, bad("field name", "it must be letters, digits and !#$%&'*+-.^_`|~, and no space may stand before the colon")
	}
	if hasControl(raw[colon+1:]) {
		return Field{}, bad("field value", "it must not have control characters")
	}
	f.Known = KnownAs(f.Name)
	if f.Known == Other && strings.IndexByte(f.Name, '_') >= 0 && forged(f.Name) {
		f.Dropped = true
	}
	return f, nil
}

// ParseTrailer reads the lines that follow a body, the empty one included. Fields that may not stand
// there are marked, as those of a head that are not passed on.
func ParseTrailer(into Fields, raw []byte) (Fields, error) {
	into, err := parseFields(into, raw, string(raw), false)
	if err != nil {
		return into, err
	}
	for i := range into {
		if !into[i].Known.trailing() || strings.HasPrefix(strings.ToLower(into[i].Name), "if-") {
			into[i].Dropped = true
		}
	}
	return into, nil
}

// framing is what the fields say of a body.
type framing struct {
	length  int64 // -1: no Content-Length
	lengths int   // how many Content-Length fields there are
	chunked bool
	codings int // how many Transfer-Encoding fields there are
}

func (f *framing) take(field *Field) error {
	switch field.Known {
	case ContentLength:
		n, ok := decimal(field.Value)
		if !ok {
			return bad("Content-Length", "it must be a number of digits alone")
		}
		if f.lengths > 0 && n != f.length {
			return bad("Content-Length", "it must be there once")
		}
		f.length = n
		f.lengths++
	case TransferEncoding:
		if !foldedEqual(field.Value, "chunked") {
			return bad("Transfer-Encoding", "it must be chunked, and nothing else")
		}
		f.chunked = true
		f.codings++
	}
	return nil
}
