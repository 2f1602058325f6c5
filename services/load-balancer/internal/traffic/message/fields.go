package message

import "strings"

// parseFields reads the lines behind the first one; raw and text are the same bytes. When lenient,
// folded lines are joined, and lines may end with a line feed alone.
func parseFields(into Fields, raw []byte, text string, lenient bool) (Fields, error) {
	for at, lines := 0, 0; ; lines++ {
		end := strings.IndexByte(text[at:], '\n')
		if end < 0 {
			return into, errIncomplete
		}
		end += at
		line := end
		if line > at && text[line-1] == '\r' {
			line--
		} else if !lenient {
			return into, bad("line end", "a line must end with CR LF")
		}
		if line == at {
			return into, nil
		}
		if lines == MaxFields {
			return into, bad("head", "it may have 256 fields at most")
		}
		if c := text[at]; c == ' ' || c == '\t' {
			if !lenient || len(into) == 0 {
				return into, bad("field line", "a line must not be folded")
			}
			if hasControl(raw[at:line]) {
				return into, bad("field value", "it must not have control characters")
			}
			into[len(into)-1].fold(strings.Trim(text[at:line], " \t"))
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

// fold adds what a folded line goes on with.
func (f *Field) fold(part string) {
	switch {
	case part == "":
	case f.Value == "":
		f.Value = part
	default:
		f.Value += " " + part
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
		if !into[i].Known.trailing() || !trailingName(strings.ToLower(into[i].Name)) {
			into[i].Dropped = true
		}
	}
	return into, nil
}

// trailingName is the same of the fields that nothing here acts upon.
func trailingName(lower string) bool {
	switch lower {
	case "pragma", "range", "realm", "www-authenticate":
		return false
	}
	return !strings.HasPrefix(lower, "if-")
}

// maxOptions bounds what Connection fields may name: each name is looked for among all fields.
const maxOptions = 64

// options are what the Connection fields of a head say.
type options struct {
	close, keep, upgrade bool
	names                int
}

func (o *options) take(value string) error {
	for item := range strings.SplitSeq(value, ",") {
		item = strings.Trim(item, " \t")
		switch {
		case item == "":
			continue
		case foldedEqual(item, "close"):
			o.close = true
		case foldedEqual(item, "keep-alive"):
			o.keep = true
		case foldedEqual(item, "upgrade"):
			o.upgrade = true
		}
		if o.names++; o.names > maxOptions {
			return bad("Connection", "it may name 64 options at most")
		}
	}
	return nil
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
	default:
	}
	return nil
}
