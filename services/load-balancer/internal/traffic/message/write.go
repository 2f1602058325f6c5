package message

import "strconv"

// AppendField writes one line.
func AppendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// AppendFields writes the fields that are passed on, as they came.
func AppendFields(b []byte, fields Fields) []byte {
	for i := range fields {
		if !fields[i].Dropped {
			b = AppendField(b, fields[i].Name, fields[i].Value)
		}
	}
	return b
}

// AppendLength writes a Content-Length.
func AppendLength(b []byte, n int64) []byte {
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, "\r\n"...)
}

// AppendStatusLine writes the first line of an answer.
func AppendStatusLine(b []byte, version Version, status int, reason string) []byte {
	if version == HTTP10 {
		b = append(b, "HTTP/1.0 "...)
	} else {
		b = append(b, "HTTP/1.1 "...)
	}
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, reason...)
	return append(b, "\r\n"...)
}

// AppendChunkSize writes the line before a chunk of n bytes.
func AppendChunkSize(b []byte, n int) []byte {
	return append(strconv.AppendUint(b, uint64(n), 16), "\r\n"...) //nolint:gosec // G115: a length
}

// AppendChunk writes a whole chunk; data must not be empty.
func AppendChunk(b, data []byte) []byte {
	b = AppendChunkSize(b, len(data))
	b = append(b, data...)
	return append(b, "\r\n"...)
}

// AppendLastChunk ends a chunked body.
func AppendLastChunk(b []byte, trailer Fields) []byte {
	b = append(b, "0\r\n"...)
	b = AppendFields(b, trailer)
	return append(b, "\r\n"...)
}

// Writable tells whether a name and a value can stand in one line of a head.
func Writable(name, value string) bool { return isToken(name) && !hasControl([]byte(value)) }
