package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// The largest body of each operation, in bytes: what the contract lets it say, and some room.
const (
	maxPush      = 16 << 10  // some hundred bytes, as sidecars write them
	maxBatch     = 512 << 10 // 500 pushes
	maxReport    = 8 << 20   // 10000 applications, some hundred bytes each
	maxStart     = 16 << 10
	maxPut       = maxSettings
	maxReview    = 128 << 10 // a token of 16 KiB, and 1000 namespaces
	maxChanges   = 640 << 10 // 50 changes, with before and after
	maxObject    = 3 << 20   // as the Kubernetes API server
	maxOtherwise = 64 << 10
)

// What the bodies may have together that are being read and worked on, in bytes that have come: who declares
// much and sends nothing holds nothing. Those that come from many have a budget of their own, so that they
// keep nobody else from being served; so have those of whom nobody has judged who sends them: what is passed on to the
// API server, which does that itself, and what is no operation at all.
const (
	pushBudget     = 16 << 20
	reportBudget   = 32 << 20
	otherBudget    = 16 << 20
	strangerBudget = 16 << 20
)

// firstRead is how much room a body is given before anything of it has come; then it grows with it.
const firstRead = 2 << 10

// How long a body may take to come. That of a push is a packet or two.
const (
	bodyPatience = 10 * time.Second
	pushPatience = 3 * time.Second
)

// BodyFault is why a body was refused before anything was made of it.
type BodyFault string

// What may be wrong with a body as such.
const (
	BodyTooLarge BodyFault = "too-large" // for its operation
	BodyTooMany  BodyFault = "too-many"  // bytes of bodies are worked on
	BodyUnread   BodyFault = "unread"    // it did not come whole, or not in time
	BodyNotPlain BodyFault = "not-plain" // nested too deep, or with too long a number
)

// BodyFaults are all of them.
var BodyFaults = []BodyFault{BodyTooLarge, BodyTooMany, BodyUnread, BodyNotPlain}

// budget bounds the bytes of bodies.
type budget struct {
	most int64
	used atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.most {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// errTooManyBytes is that a body's next bytes have no place in its budget.
var errTooManyBytes = errors.New("more is being sent than is worked on at a time")

// budgeted is a body whose bytes are taken from a budget as they come.
type budgeted struct {
	io.Reader
	from  *budget
	taken int64
}

// Read implements io.Reader.
func (b *budgeted) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if !b.from.take(int64(n)) {
		return 0, errTooManyBytes
	}
	b.taken += int64(n)
	return n, err
}

// give gives back what was taken.
func (b *budgeted) give() { b.from.give(b.taken) }

// allowance is what the body of an operation may have.
type allowance struct {
	most     int64
	from     *budget
	patience time.Duration
	plain    bool // it is looked at before it is parsed; else it is passed on as it is
}

// bodies bounds what requests carry, before anything is parsed: each body by its operation, all of them
// together, and how they are nested and how long their numbers are.
type bodies struct {
	meter  Meter
	next   http.Handler
	judged bool // who sends something has been judged before, as far as it is

	pushes, reports, others, strangers budget
}

func newBodies(meter Meter, next http.Handler) *bodies {
	b := &bodies{meter: meter, next: next}
	b.pushes.most, b.reports.most, b.others.most, b.strangers.most = pushBudget, reportBudget, otherBudget, strangerBudget
	return b
}

// of is what the request's body may have.
func (b *bodies) of(r *http.Request) allowance {
	path := r.URL.Path
	switch {
	case path == pushPath:
		return allowance{maxPush, &b.pushes, pushPatience, true}
	case path == batchPath:
		return allowance{maxBatch, &b.pushes, pushPatience, true}
	case path == "/v1/traffic":
		return allowance{maxReport, &b.reports, bodyPatience, true}
	case strings.HasPrefix(path, "/apis/"):
		return allowance{maxObject, &b.others, bodyPatience, false}
	case path == "/v1/loadbalancer/settings":
		return allowance{maxPut, &b.others, bodyPatience, true}
	case path == "/v1/changes":
		return allowance{maxChanges, &b.others, bodyPatience, true}
	case path == "/v1/access":
		return allowance{maxReview, &b.others, bodyPatience, true}
	case strings.HasPrefix(path, "/v1/namespaces/"):
		return allowance{maxStart, &b.others, bodyPatience, true}
	default:
		return allowance{maxOtherwise, &b.others, bodyPatience, true}
	}
}

// ServeHTTP reads the whole body, within its bounds, and serves what is next with it.
func (b *bodies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		b.next.ServeHTTP(w, r)
		return
	}
	allowed := b.of(r)
	if b.judged && stranger(r) {
		allowed.from = &b.strangers
	}
	if size := r.ContentLength; size > allowed.most {
		b.meter.BodyRefused(BodyTooLarge)
		fault.Write(w, r, httpserver.TooLarge(size, allowed.most))
		return
	}
	from := &budgeted{Reader: http.MaxBytesReader(w, r.Body, allowed.most), from: allowed.from}
	defer from.give()
	body, err := readBody(w, r, from, allowed)
	if err != nil {
		refuseUnread(w, r, b.meter, err)
		return
	}
	if allowed.plain {
		if err := plain(body); err != nil {
			b.meter.BodyRefused(BodyNotPlain)
			fault.Write(w, r, err)
			return
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	b.next.ServeHTTP(w, r)
}

// stranger tells whether it is not known who sends a request.
func stranger(r *http.Request) bool {
	grant, operation := guard.From(r.Context())
	rule, known := access.Of(operation)
	return !known || rule.Passed && grant.Caller.Kind == access.Unnamed
}

// refuseUnread answers a body that was not read to its end.
func refuseUnread(w http.ResponseWriter, r *http.Request, meter Meter, err error) {
	if errors.Is(err, errTooManyBytes) {
		meter.BodyRefused(BodyTooMany)
		fault.Write(w, r, fault.New(fault.TooMany, "%v", err).After(time.Second))
		return
	}
	meter.BodyRefused(BodyUnread)
	fault.Write(w, r, contract.Refusal(err, http.StatusBadRequest))
}

// readBody reads it all, for no longer than a body may take.
func readBody(w http.ResponseWriter, r *http.Request, from io.Reader, allowed allowance) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(allowed.patience)) // a recorder in tests has none
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, firstRead)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(from)
	return body.Bytes(), err
}
