package message

import "strings"

// maxKeepIdle bounds what a Keep-Alive field may say, in seconds.
const maxKeepIdle = 3600

// ParseResponse reads a whole head, its empty line included, into r, which is new or was Reset. What servers are known to do
// in answers is borne: lines that end with a line feed alone, folded lines, a Content-Length twice
// when both are the same or beside chunks. toHead: it answers a HEAD.
func (r *Response) ParseResponse(raw []byte, toHead bool) error {
	text := string(raw)
	end := strings.IndexByte(text, '\n')
	if end < 0 {
		return errIncomplete
	}
	if err := r.parseLine(raw[:end], strings.TrimSuffix(text[:end], "\r")); err != nil {
		return err
	}
	var err error
	if r.Fields, err = parseFields(r.Fields[:0], raw[end+1:], text[end+1:], true); err != nil {
		return err
	}
	return r.interpret(toHead)
}

func (r *Response) parseLine(raw []byte, line string) error {
	const allowed = "it must be HTTP/1.1 or HTTP/1.0 and a status from 100 to 599"
	version, rest, _ := strings.Cut(line, " ")
	switch version {
	case "HTTP/1.1":
		r.Version = HTTP11
	case "HTTP/1.0":
		r.Version = HTTP10
	default:
		return bad("status line", allowed)
	}
	status, reason, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	code, ok := decimal(status)
	if !ok || len(status) != 3 || code < 100 || code > 599 {
		return bad("status line", allowed)
	}
	if len(raw) > 0 && raw[len(raw)-1] == '\r' {
		raw = raw[:len(raw)-1]
	}
	if hasControl(raw) {
		return bad("status line", "it must not have control characters")
	}
	r.Status, r.Reason = int(code), reason
	return nil
}

func (r *Response) interpret(toHead bool) error {
	body := framing{length: -1}
	said := options{}
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.Known {
		case ContentLength, TransferEncoding:
			if err := body.take(f); err != nil {
				return err
			}
		case Connection:
			if err := said.take(f.Value); err != nil {
				return err
			}
		case KeepAlive:
			r.KeepIdle = keepIdle(f.Value)
		case Upgrade:
			r.Upgrade = f.Value
		default:
		}
	}
	r.Close = said.close || r.Version == HTTP10 && !said.keep
	switch {
	case body.codings > 1:
		return bad("Transfer-Encoding", "it must be there once") // twice is chunks within chunks
	case r.Status < 200 || r.Status == 204 || r.Status == 304 || toHead:
		r.Length = 0
	case body.chunked:
		// Two lengths: the chunks count (RFC 9112, section 6.3), and nothing else comes this way.
		r.Chunked, r.Length, r.Close = true, -1, r.Close || body.lengths > 0 || r.Version == HTTP10
	default:
		r.Length = body.length
		r.Close = r.Close || body.length < 0 // then the end of the connection is the body's
	}
	return nil
}

// keepIdle is the timeout that a Keep-Alive field names; 0 when it names none.
func keepIdle(value string) int {
	for item := range strings.SplitSeq(value, ",") {
		name, seconds, _ := strings.Cut(strings.Trim(item, " \t"), "=")
		if foldedEqual(strings.Trim(name, " \t"), "timeout") {
			if n, ok := decimal(strings.Trim(seconds, " \t")); ok {
				return int(min(n, maxKeepIdle))
			}
		}
	}
	return 0
}
