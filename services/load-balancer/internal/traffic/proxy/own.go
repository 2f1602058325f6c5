package proxy

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// ownAnswer is a whole answer of ours, in place of a pod's.
type ownAnswer struct {
	status      int
	contentType string
	body        []byte
	retryAfter  int             // in seconds; 0 says nothing
	add         []message.Field // beside those that every such answer has
	close       bool            // the connection shall end, whatever there is of the request's body
}

// writeOwn writes an answer of ours.
func (x *exchange) writeOwn(o ownAnswer) error {
	x.c.Interrupt() // the rest of the request's body is not wanted
	x.status = o.status
	x.answerAdd = append(x.answerAdd[:0],
		message.Field{Name: "Content-Type", Value: o.contentType, Known: message.ContentType},
		message.Field{Name: "X-Content-Type-Options", Value: "nosniff"},
		message.Field{Name: "Cache-Control", Value: "no-store", Known: message.CacheControl})
	if o.retryAfter > 0 {
		x.answerAdd = append(x.answerAdd, message.Field{Name: "Retry-After", Value: strconv.Itoa(o.retryAfter)})
	}
	x.answerAdd = append(x.answerAdd, o.add...)
	x.answered = x.answerAdd
	head := &Head{
		Status: o.status, Reason: http.StatusText(o.status), Add: x.answerAdd, Length: int64(len(o.body)),
		Close: o.close || x.r.HasBody() && !x.body.ended.Load(),
	}
	if x.r.Method == http.MethodHead {
		head.Bodiless = true
		head.Add = append(head.Add, message.Field{Name: "Content-Length", Value: strconv.Itoa(len(o.body))})
	}
	if err := x.c.Begin(head); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	if !head.Bodiless {
		if err := x.write(o.body); err != nil {
			return err
		}
	}
	return x.endAnswer(nil)
}

// write writes a part of an answer's body that is ours.
func (x *exchange) write(part []byte) error {
	for len(part) > 0 {
		n := copy(x.c.Space(), part)
		part = part[n:]
		x.sent += int64(n)
		if err := x.c.Commit(n); err != nil {
			return fmt.Errorf("write to the client: %w", err)
		}
	}
	return nil
}

// endAnswer ends an answer of ours.
func (x *exchange) endAnswer(trailer message.Fields) error {
	if err := x.c.End(trailer); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	return nil
}
