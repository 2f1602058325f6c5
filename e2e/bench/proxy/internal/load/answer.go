package load

import (
	"bytes"
	"errors"
	"fmt"
)

// maxHead is of an answer.
const maxHead = 16 << 10

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\ncontent-length:")
)

var errFraming = errors.New("an answer without Content-Length, where one was expected")

// answer reads one answer after the other from what comes on a connection.
type answer struct {
	partial []byte // a head that is not complete yet
	inBody  bool
	left    int // of the body
}

// feed takes what came, and says whether it ends an answer. There is one request at a time, so
// nothing may follow it.
func (a *answer) feed(p []byte) (done bool, err error) {
	if !a.inBody {
		head, body, err := a.head(p)
		if head == nil || err != nil {
			return false, err
		}
		if a.left, err = bodyLength(head); err != nil {
			return false, err
		}
		a.inBody = true
		p = body
	}
	a.left -= len(p)
	if a.left < 0 {
		return false, fmt.Errorf("%d bytes follow the answer", -a.left)
	}
	if a.left > 0 {
		return false, nil
	}
	a.inBody = false
	return true, nil
}

// head is the head with its last empty line, nil when it is not complete, and what came of the body.
func (a *answer) head(p []byte) (head, body []byte, err error) {
	if len(a.partial) > 0 {
		a.partial = append(a.partial, p...)
		p = a.partial
	}
	end := bytes.Index(p, headEnd)
	if end < 0 {
		if len(p) > maxHead {
			return nil, nil, fmt.Errorf("a head of more than %d bytes", maxHead)
		}
		a.partial = append([]byte(nil), p...)
		return nil, nil, nil
	}
	a.partial = nil
	head, body = p[:end+len(headEnd)], p[end+len(headEnd):]
	if !ok(head) {
		return nil, nil, fmt.Errorf("refused: %q", p[:min(len(p), 300)])
	}
	return head, body, nil
}

// ok is whether the status is 200 or 101.
func ok(head []byte) bool {
	const at = len("HTTP/1.1 ")
	return len(head) > at+3 && (string(head[at:at+3]) == "200" || string(head[at:at+3]) == "101")
}

func bodyLength(head []byte) (int, error) {
	at := indexFold(head, contentLength)
	if at < 0 {
		return 0, errFraming
	}
	n, digits := 0, 0
	for _, c := range head[at+len(contentLength):] {
		if c == ' ' && digits == 0 {
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		n, digits = n*10+int(c-'0'), digits+1
	}
	if digits == 0 {
		return 0, errFraming
	}
	return n, nil
}

// indexFold is bytes.Index for a lower-case sep that begins with a byte which has no case.
func indexFold(p, sep []byte) int {
	for from := 0; ; {
		at := bytes.IndexByte(p[from:], sep[0])
		if at < 0 || from+at+len(sep) > len(p) {
			return -1
		}
		from += at
		if bytes.EqualFold(p[from:from+len(sep)], sep) {
			return from
		}
		from++
	}
}
