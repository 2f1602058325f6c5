package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// relay brings the answer to the client: the head, the body as it comes, the trailers.
func (x *exchange) relay() {
	head := x.answer.Head()
	x.visit.Answer = x.kind(head)
	x.visit.Answered(head.Status, x.lately())
	if head.Status == http.StatusSwitchingProtocols {
		x.tunnel()
		return
	}
	if x.early {
		if err := x.joinEarly(head); err != nil {
			x.refuse(err)
			return
		}
	}
	if err := x.beginAnswer(head); err != nil {
		x.fault = err
		return
	}
	x.tapIfTelling(head)
	if err := x.copyBody(); err != nil {
		x.fault = err
		return
	}
	if err := x.c.End(x.answer.Trailer()); err != nil {
		x.fault = fmt.Errorf("write to the client: %w", err)
	}
}

func (x *exchange) beginAnswer(from *message.Response) error {
	if x.early {
		return nil // what was begun goes on
	}
	from.Fields.DropHopByHop()
	noBody := bodiless(x.r.Method, from.Status)
	if !noBody || from.Status == http.StatusNoContent { // which has no length, whatever the pod says
		from.Fields.Drop(message.ContentLength)
	}
	x.rewriteAnswer(from.Fields)
	if x.session {
		mark(from.Fields, x.visit.Pod.Name)
	}
	x.answerAdd = x.answerAdd[:0]
	if from.Chunked {
		x.answerAdd = announced(x.answerAdd, from.Fields)
	}
	if x.visit.Waited > 0 {
		value := "wait;dur=" + strconv.FormatFloat(milliseconds(x.visit.Waited), 'f', 1, 64)
		x.answerAdd = append(x.answerAdd, message.Field{Name: "Server-Timing", Value: value})
	}
	x.status, x.answered = from.Status, from.Fields
	err := x.begin(Head{
		Status: from.Status, Reason: from.Reason, Fields: from.Fields, Add: x.answerAdd,
		Length: from.Length, Now: x.lately(), Bodiless: noBody, Close: !x.body.ended.Load() && !x.converses(from),
	})
	if err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	return nil
}

// heads are those that were begun: an engine keeps none.
var heads = sync.Pool{New: func() any { return new(Head) }}

// begin puts the head of the answer into the client's buffer.
func (x *exchange) begin(h Head) error {
	shown := heads.Get().(*Head) //nolint:forcetypeassert // the pool holds nothing else
	*shown = h
	err := x.c.Begin(shown)
	*shown = Head{}
	heads.Put(shown)
	return err
}

// converses tells whether an answer that begins before its request has ended may be the other half of
// a conversation, after which the connection goes on. Every other one is a verdict on the head, and
// the rest of the request is of no use.
func (x *exchange) converses(answer *message.Response) bool {
	return answer.Status < http.StatusMultipleChoices && answer.Length < 0 && !x.answer.Whole()
}

// copyBody passes the body on as it comes: what is there is sent before anything is waited for.
func (x *exchange) copyBody() error {
	for {
		if x.answer.Buffered() == 0 {
			if err := x.awaitBody(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
		space := x.c.Space()
		n, err := x.answer.Read(space)
		if n > 0 {
			x.note(space[:n])
		}
		if fault := x.c.Commit(n); fault != nil {
			return fmt.Errorf("write to the client: %w", fault)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return x.brokeOff(err)
		}
	}
}

// awaitBody waits for more of the body, io.EOF at its end. What is there is sent before.
func (x *exchange) awaitBody() error {
	if x.answer.Ended() {
		return io.EOF
	}
	x.waited()
	err := x.answer.Await(x.c)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if _, ok := errors.AsType[*FlushError](err); ok {
		return err
	}
	return x.brokeOff(err)
}

// note takes down what passes.
func (x *exchange) note(part []byte) {
	now := x.lately()
	if x.sent == 0 {
		x.first = now.Sub(x.began)
		x.visit.FirstByte(now)
	}
	x.sent += int64(len(part))
	if x.tap != nil {
		x.tap.Take(part)
	}
	x.visit.Touch(now)
	x.waited() // perhaps, until the next part
}

// brokeOff notes that the answer has ended before its end, which is the pod's fault unless the client
// has gone, or its body failed, or we have.
func (x *exchange) brokeOff(err error) error {
	_ = x.c.Flush() // what came is the client's
	if fault, ok := errors.AsType[*FaultError](err); ok {
		x.ours = true
		x.p.caught(fault.Fault, fault.Stack)
		return errFault
	}
	if isBodyError(err) {
		return err
	}
	if !x.c.HasGone() {
		x.broken = true
		kind := "broke-off"
		if errors.Is(err, ErrSilent) {
			kind = "silent"
		}
		x.p.o.Metrics.failures.of(x.visit.App.ID, kind).Inc()
	}
	return fmt.Errorf("read from the pod: %w", err)
}

// announced adds the fields that say which trailers follow a body in chunks: they concern one
// connection only, as chunks do, and go on as the trailers do.
func announced(add []message.Field, fields message.Fields) []message.Field {
	for i := range fields {
		if fields[i].Known == message.Trailer {
			add = append(add, message.Field{Name: fields[i].Name, Value: fields[i].Value})
		}
	}
	return add
}
