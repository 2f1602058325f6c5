package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

const eventStream = "text/event-stream"

// How often a client hears of the progress. Informational answers come at doubled distances and at
// most four: there are clients that give up at the sixth (Go's before 1.23), and the pod may send its
// own.
const (
	commentEvery = 2 * time.Second
	informFirst  = 3 * time.Second
	mostInforms  = 4
)

// progressField tells the progress in an informational answer, as a structured field (RFC 8941).
const progressField = "Nemesis-Progress"

// waitWithProgress waits, and says meanwhile how far the start is: in comments to who accepts an
// event stream, else in informational answers. What starts within the first pause is answered as
// ever.
func (x *exchange) waitWithProgress() error {
	// Who still sends a body may take the head of an answer for a reason to stop.
	if x.r.Method != http.MethodHead && x.body.complete && accepts(x.r.Fields, eventStream) {
		return x.waitTelling(commentEvery, x.comment)
	}
	if x.mistakesInforms() {
		return x.visit.Wait(x.c.Gone())
	}
	informs := 0
	return x.waitTelling(informFirst, func() (time.Duration, error) {
		if informs++; informs > mostInforms {
			return 0, nil
		}
		return informFirst << informs, x.c.Inform(x.informOfProgress())
	})
}

// mistakesInforms tells whether the client is one that takes a 103 for the answer: Python's
// http.client passes over 100 alone.
func (x *exchange) mistakesInforms() bool {
	agent := x.r.Fields.First(message.UserAgent)
	for _, beginning := range []string{"python-requests/", "python-urllib3/", "Python-urllib/"} {
		if strings.HasPrefix(agent, beginning) {
			return true
		}
	}
	return false
}

// waitTelling waits for a pod and calls tell after the first pause, and then after each that tell
// returns; 0 ends that.
func (x *exchange) waitTelling(first time.Duration, tell func() (time.Duration, error)) error {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-x.visit.Settled():
			return x.visit.Wait(x.c.Gone())
		case <-x.c.Gone():
			return x.visit.Wait(x.c.Gone())
		case <-timer.C:
		}
		next, err := tell()
		if err != nil {
			return fmt.Errorf("%w: write to the client: %w", ErrGone, err)
		}
		if next > 0 {
			timer.Reset(next)
		}
	}
}

// comment sends a comment, the first one behind the head.
func (x *exchange) comment() (time.Duration, error) {
	if !x.early {
		if err := x.beginEarly(); err != nil {
			return 0, err
		}
	}
	if err := x.write([]byte(": " + progressText(x.progress()) + "\n\n")); err != nil {
		return 0, err
	}
	return commentEvery, x.c.Flush()
}

// beginEarly begins an event stream before there is a pod.
func (x *exchange) beginEarly() error {
	x.early, x.status = true, http.StatusOK
	x.answerAdd = append(x.answerAdd[:0],
		message.Field{Name: "Content-Type", Value: eventStream, Known: message.ContentType},
		message.Field{Name: "Cache-Control", Value: "no-store", Known: message.CacheControl},
		message.Field{Name: "X-Accel-Buffering", Value: "no"}) // proxies before us shall not hold it back
	x.answered = x.answerAdd
	return x.begin(Head{Status: x.status, Reason: http.StatusText(x.status), Add: x.answerAdd, Length: -1, Close: !x.body.ended.Load()})
}

func (x *exchange) progress() dispatch.Progress { return x.match.Target.Progress(x.p.o.Now()) }

// informOfProgress is an informational answer with the progress.
func (x *exchange) informOfProgress() *message.Response {
	p := x.progress()
	value := strconv.Itoa(int(p.Elapsed.Seconds()))
	if p.Expected > 0 {
		value += ";of=" + strconv.Itoa(seconds(p.Expected))
	}
	return &message.Response{
		Status: http.StatusEarlyHints, Reason: http.StatusText(http.StatusEarlyHints), Version: message.HTTP11,
		Fields: message.Fields{{Name: progressField, Value: value}},
	}
}

// progressText is the progress for people.
func progressText(p dispatch.Progress) string {
	elapsed := int(p.Elapsed.Seconds())
	switch {
	case p.Serving:
		return "waiting for a place on a pod"
	case p.Blocked.Reason != "":
		return "no pod can start as things stand: " + p.Blocked.Reason
	case p.Expected > 0:
		return fmt.Sprintf("pod starting, %d of about %d s", elapsed, seconds(p.Expected))
	}
	return fmt.Sprintf("pod starting, %d s", elapsed)
}

// errNoStream is that the answer does not fit behind a head that was sent before there was one.
var errNoStream = errors.New("the application's answer is no event stream")

// joinEarly lets the pod's stream follow the comments. Any other answer ends the stream with an error
// event: its head cannot be sent any more.
func (x *exchange) joinEarly(head *message.Response) error {
	coding := head.Fields.First(message.ContentEncoding)
	if head.Status == http.StatusOK && isEventStream(head) && (coding == "" || strings.EqualFold(coding, "identity")) {
		return nil
	}
	return fmt.Errorf("%w: status %d, %q", errNoStream, head.Status, head.Fields.First(message.ContentType))
}

// noStream is the problem of such an answer. A pod's error keeps its status.
func (x *exchange) noStream() *fault.Error {
	code, status := fault.BadGateway, x.answer.Head().Status
	if status >= http.StatusBadRequest {
		code = fault.FromStatus(status)
	}
	return fault.New(code, "the application answered, but with no event stream: %d %s", status, http.StatusText(status))
}

// writeErrorEvent ends an early event stream with a problem document.
func (x *exchange) writeErrorEvent(document []byte) error {
	event := append([]byte("event: error\ndata: "), bytes.TrimSpace(document)...)
	if err := x.write(append(event, "\n\n"...)); err != nil {
		return err
	}
	return x.endAnswer(nil)
}
