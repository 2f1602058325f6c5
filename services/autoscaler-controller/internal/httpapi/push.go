package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

const (
	pushPath  = "/metrics"
	batchPath = "/v1/pod-metrics"
)

// Pushes takes pushes as they came, if it understands them; else it has done nothing.
type Pushes interface {
	// What the caller may not say is not understood.
	Push(body []byte, by access.Caller) (understood bool)
	// PushBatch has what is of other replicas' shards passed on. An error is that of a part of it.
	PushBatch(body []byte, by access.Caller, pass Pass) (receipt autoscaler.PodMetricsBatchReceipt, understood bool, err error)
}

// Pass has the leader of a shard take a part of a batch, which is a batch.
type Pass = func(shard int, body []byte) (autoscaler.PodMetricsBatchReceipt, error)

// pushes serves the pushes of pods on a short way: no span, no router, no validator, no allocation that
// grows with what is sent. What it does not understand it leaves, as it came, to the way of all other
// requests, which has the words for what is not allowed. A replica that does not lead relays there too.
//
// A sidecar's connection is kept while there are not too many of them.
type pushes struct {
	Options
	bodies *bodies
	shards *sharded     // nil: there are none
	next   http.Handler // of pushes that were judged
	others http.Handler // of all else, which judges it
}

// buffers hold bodies while they are read.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// ServeHTTP takes pushes, and passes all else on.
func (p *pushes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.RawPath != "" || r.URL.Path != pushPath && r.URL.Path != batchPath {
		p.others.ServeHTTP(w, r)
		return
	}
	by := guard.All()
	if p.Guard != nil {
		var err error
		if by, err = p.Guard.Judge(r.Context(), pushed(r), r.Header, ""); err != nil {
			w.Header().Set("Connection", "close") // the kept ones are for those who are let in
			fault.Write(w, r, err)
			return
		}
	}
	p.Connections.Many(w, r)
	if p.Pushes == nil || !short(r) || !p.here(r) {
		p.long(w, r, by)
		return
	}
	allowed := p.bodies.of(r)
	size := r.ContentLength
	if size > allowed.most {
		p.long(w, r, by) // refused there
		return
	}
	if again := p.hurry(w, r, int(size), allowed, by); again != nil {
		p.long(w, again, by)
	}
}

// pushed is the operation of a push.
func pushed(r *http.Request) string {
	if r.URL.Path == batchPath {
		return submitPodMetricsBatch
	}
	return submitPodMetrics
}

// long leaves a push to the way of all requests.
func (p *pushes) long(w http.ResponseWriter, r *http.Request, by guard.Grant) {
	p.next.ServeHTTP(w, r.WithContext(guard.With(r.Context(), pushed(r), by)))
}

// hurry serves a push on the short way. What is not understood is returned, as it came.
func (p *pushes) hurry(w http.ResponseWriter, r *http.Request, size int, allowed allowance, by guard.Grant) (again *http.Request) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	from := budgeted{Reader: r.Body, from: allowed.from}
	defer from.give()
	body, err := p.read(w, &from, (*buffer)[:0], size, allowed.patience)
	*buffer = body
	switch {
	case err != nil:
		refuseUnread(w, r, p.Meter, err)
		return nil
	case plain(body) == nil && p.take(w, r, body, by):
		return nil
	}
	again = r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(bytes.Clone(body)))
	return again
}

// here tells whether the push is for this replica: it leads, or the one that leads is not known, or it
// was relayed once.
func (p *pushes) here(r *http.Request) bool {
	if at := r.Header.Get(shardHeader); at != "" && p.shards != nil && !p.shards.has(at) {
		return false // it is of another layout, and that has to be said
	}
	leader, _ := p.Leadership.Leader()
	return leader == "" || r.Header.Get(relayedHeader) != ""
}

// short tells whether nothing about the request but its body needs a closer look.
func short(r *http.Request) bool {
	if r.ContentLength <= 0 || r.URL.RawQuery != "" || len(r.Header["Content-Encoding"]) > 0 {
		return false
	}
	media := r.Header["Content-Type"]
	return len(media) == 1 && media[0] == "application/json"
}

// read reads a body of a known size into a buffer, which grows with what comes.
func (p *pushes) read(w http.ResponseWriter, from io.Reader, buffer []byte, size int, patience time.Duration) ([]byte, error) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)) // the server sets another for the next request
	for read := 0; read < size; {
		buffer = slices.Grow(buffer, min(size-read, max(read, firstRead)))
		n, err := io.ReadAtLeast(from, buffer[read:min(size, cap(buffer))], 1)
		read += n
		buffer = buffer[:read]
		if err != nil && (read < size || !errors.Is(err, io.EOF)) {
			return buffer, err
		}
	}
	// The end is read too: a connection is kept only after it.
	var end [1]byte
	if n, _ := from.Read(end[:]); n > 0 {
		return buffer, io.ErrUnexpectedEOF
	}
	return buffer, nil
}

var (
	jsonHeader = []string{"application/json"}
	received   = []byte(`{"status":"Metrics received"}` + "\n")
)

// take takes what it understands, and answers as the generated server does.
func (p *pushes) take(w http.ResponseWriter, r *http.Request, body []byte, by guard.Grant) bool {
	if r.URL.Path == batchPath {
		r = r.WithContext(guard.With(r.Context(), submitPodMetricsBatch, by)) // for the parts that are passed on
		receipt, understood, err := p.Pushes.PushBatch(body, by.Caller, p.passing(r))
		switch {
		case !understood:
		case err != nil:
			fault.Write(w, r, err)
		default:
			answer(w, receipt)
		}
		return understood
	}
	if !p.Pushes.Push(body, by.Caller) {
		return false
	}
	w.Header()["Content-Type"] = jsonHeader
	_, _ = w.Write(received) // the client has gone: nothing to do
	return true
}

// passing passes parts of a batch on.
func (p *pushes) passing(r *http.Request) Pass {
	return func(shard int, body []byte) (receipt autoscaler.PodMetricsBatchReceipt, err error) {
		a := p.shards.one(shard, with(r, body))
		if a.status != http.StatusOK {
			refusal, _ := fault.Read(a.status, a.Bytes())
			return receipt, refusal
		}
		if err := json.Unmarshal(a.Bytes(), &receipt); err != nil {
			return receipt, fault.New(fault.Internal, "a shard's answer cannot be read").Because(err)
		}
		return receipt, nil
	}
}

func answer(w http.ResponseWriter, receipt autoscaler.PodMetricsBatchReceipt) {
	w.Header()["Content-Type"] = jsonHeader
	_ = json.NewEncoder(w).Encode(receipt)
}
