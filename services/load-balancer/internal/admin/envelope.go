package admin

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// How much of applications' answers is held in memory to be put into envelopes, in bytes.
const (
	maxAnswer  = 10 << 20 // of one answer
	maxAnswers = 32 << 20 // of all at a time
)

var (
	errAnswerTooLarge = errors.New("the answer is too large for an envelope")
	errAnswersFull    = errors.New("too many answers are held")
)

// budget bounds the bytes that all envelopes together hold.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.give(n)
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// envelope takes an application's answer. Close it.
type envelope struct {
	budget *budget
	header http.Header
	status int
	body   []byte
	fault  error // why the body is not whole
}

func (e *envelope) Header() http.Header { return e.header }

// WriteHeader notes the status of the answer; what is informational goes nowhere.
func (e *envelope) WriteHeader(status int) {
	if status >= http.StatusOK {
		e.status = status
	}
}

func (e *envelope) Write(p []byte) (int, error) {
	switch {
	case e.fault != nil:
	case len(e.body)+len(p) > maxAnswer:
		e.fault = errAnswerTooLarge
	case !e.budget.take(len(p)):
		e.fault = errAnswersFull
	}
	if e.fault != nil {
		return 0, e.fault
	}
	e.body = append(e.body, p...)
	return len(p), nil
}

// FlushError is asked for by streams; there is nobody to flush to.
func (e *envelope) FlushError() error { return nil }

func (e *envelope) close() {
	e.budget.give(len(e.body))
	e.body = nil
}

// refusal is why the answer cannot be put into an envelope.
func (e *envelope) refusal() *fault.Error {
	switch {
	case errors.Is(e.fault, errAnswerTooLarge):
		return fault.New(fault.BadGateway, "the application's answer is larger than %d MiB; ask for it on the data port", maxAnswer>>20).Because(e.fault)
	case errors.Is(e.fault, errAnswersFull):
		return fault.New(fault.Unavailable, "the answers that are held for other requests fill %d MiB", maxAnswers>>20).After(busyRetry).Because(e.fault)
	}
	return fault.New(fault.BadGateway, "the application's answer broke off, or paused for too long")
}

// fill puts the answer in: as JSON where it is, else as text.
func (e *envelope) fill(into *loadbalancer.ProxyResponse) {
	into.Status = int32of(e.status)
	media := e.header.Get("Content-Type")
	if media != "" {
		shown := media[:min(len(media), maxMedia)]
		into.ContentType = &shown
	}
	switch kind, _, _ := mime.ParseMediaType(media); {
	case len(e.body) == 0:
	case (kind == "application/json" || strings.HasSuffix(kind, "+json")) && json.Valid(e.body):
		into.Data = json.RawMessage(e.body)
	default:
		into.Data = string(e.body)
	}
}

// maxMedia is the longest Content-Type that the contract has.
const maxMedia = 256
