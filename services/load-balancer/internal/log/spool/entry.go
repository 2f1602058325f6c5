package spool

import "bytes"

// maxEntry bounds one entry, in bytes. The records that are written are far smaller; a line that is
// longer is no entry of ours.
const maxEntry = 256 << 10

var (
	actionStart = []byte(`{"create":{"_index":"`)
	actionEnd   = []byte(`"}}`)
)

// isAction tells whether a line, without its newline, is the first one of an entry. It is strict: a
// bulk request is refused as a whole for one action that is none.
func isAction(line []byte) bool {
	if !bytes.HasPrefix(line, actionStart) || !bytes.HasSuffix(line, actionEnd) || len(line) < len(actionStart)+len(actionEnd) {
		return false
	}
	inner := line[len(actionStart) : len(line)-len(actionEnd)]
	index, id, ok := bytes.Cut(inner, []byte(`","_id":"`))
	return ok && isName(index) && isName(id)
}

// isName tells whether a text has only what the names of indices and the ids of entries have.
func isName(text []byte) bool {
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return len(text) > 0
}

// isDocument tells whether a line, without its newline, may be the second one of an entry. What is
// in it is not looked at, but for the zeros that a file system may leave when a node dies.
func isDocument(line []byte) bool {
	return len(line) >= 2 && line[0] == '{' && line[len(line)-1] == '}' &&
		!bytes.HasPrefix(line, actionStart) && bytes.IndexByte(line, 0) < 0
}

// split cuts an entry into its two lines; ok is whether it is one entry, whole and nothing more.
func split(entry []byte) (action, document []byte, ok bool) {
	first := bytes.IndexByte(entry, '\n')
	if first < 0 || len(entry) > maxEntry || entry[len(entry)-1] != '\n' || len(entry) == first+1 {
		return nil, nil, false
	}
	action, document = entry[:first], entry[first+1:len(entry)-1]
	return action, document, isAction(action) && isDocument(document) && bytes.IndexByte(document, '\n') < 0
}

// first finds the first whole entry in data: data[from:to]. Without one, to is 0, and from is how
// many bytes can be passed over whatever comes after them: what remains may be the beginning of an
// entry.
func first(data []byte) (from, to int) {
	for at := 0; ; {
		line := bytes.IndexByte(data[at:], '\n')
		if line < 0 {
			if len(data)-at > maxEntry {
				return len(data), 0
			}
			return at, 0
		}
		next := at + line + 1
		if !isAction(data[at : next-1]) {
			at = next
			continue
		}
		line = bytes.IndexByte(data[next:], '\n')
		if line < 0 {
			if len(data)-at > maxEntry {
				return len(data), 0
			}
			return at, 0
		}
		if end := next + line + 1; end-at <= maxEntry && isDocument(data[next:end-1]) {
			return at, end
		}
		at = next
	}
}

// last finds the last whole entry in data, which ends where a line ends, and begins anywhere unless
// it is whole: data[from:to]. Without one, from is -1, and to is how much of data is still to be
// looked at together with what stands before it.
func last(data []byte, whole bool) (from, to int) {
	for end := len(data); end > 0; {
		second := bytes.LastIndexByte(data[:end-1], '\n') + 1
		if second == 0 { // the line may begin before data
			return -1, end
		}
		begin := bytes.LastIndexByte(data[:second-1], '\n') + 1
		if isDocument(data[second:end-1]) && end-begin <= maxEntry {
			if begin == 0 && !whole {
				return -1, end
			}
			if isAction(data[begin : second-1]) {
				return begin, end
			}
		}
		end = second
	}
	return -1, 0
}
