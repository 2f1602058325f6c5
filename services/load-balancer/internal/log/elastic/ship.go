package elastic

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/prometheus/client_golang/prometheus"
)

// How much is sent at once, and how long a request may take. A node that answers later than that is
// taken for one that does not.
const (
	maxBatch    = 5 << 20
	maxGather   = time.Second
	bulkTimeout = time.Minute
	// stopGrace is what a request that is on its way at the end still has.
	stopGrace = 2 * time.Second
	// How often it is told that entries are refused, and after how many failures that nothing goes on.
	tellEvery = time.Minute
	tellAfter = 3
)

// Outbox hands out entries in batches: the body of a bulk request, and where in it each entry ends.
// Without Commit the next batch is the same again.
type Outbox interface {
	Next(ctx context.Context, maxBytes int, maxWait time.Duration) (body []byte, ends []int, err error)
	Commit()
}

// DeadLetters keeps an entry that the server refuses for what it is.
type DeadLetters interface {
	Add(entry []byte, why string) error
}

// ShipperOptions say what is shipped.
type ShipperOptions struct {
	Outbox      Outbox
	DeadLetters DeadLetters
	Gzip        bool           // bodies are sent compressed
	Random      func() float64 // from 0 to below 1
	Log         *slog.Logger
	Registry    prometheus.Registerer
}

// Shipper brings entries to Elasticsearch, in order of their batches and each at least once: the
// outbox is told that a batch is done only when the server has said of every entry that it is there
// or can never be. What the server does not say, or can be mended, is waited for: for ever.
type Shipper struct {
	client     *Client
	o          ShipperOptions
	metrics    *shipMetrics
	holding    string // why nothing goes on now
	told       string // what of it was told
	toldOfDead time.Time
	packed     bytes.Buffer
	gzip       *gzip.Writer
}

// NewShipper makes a shipper.
func NewShipper(client *Client, o ShipperOptions) *Shipper {
	return &Shipper{client: client, o: o, metrics: newShipMetrics(o.Registry), gzip: gzip.NewWriter(io.Discard)}
}

// Run ships until ctx ends. What is on its way then is given a little time to be answered.
func (s *Shipper) Run(ctx context.Context) {
	for failures := 0; ; {
		body, ends, err := s.o.Outbox.Next(ctx, maxBatch, maxGather)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if !s.deliver(ctx, entries{body, ends}) {
				return
			}
			s.o.Outbox.Commit()
			failures = 0
			continue
		}
		failures++
		s.hold(failures, reasonSpool, err.Error())
		if !pause(ctx, backoff(failures, s.o.Random)) {
			return
		}
	}
}

// entries are a row of entries: the body, and where each of them ends.
type entries struct {
	body []byte
	ends []int
}

func (e entries) at(i int) []byte {
	if i == 0 {
		return e.body[:e.ends[0]]
	}
	return e.body[e.ends[i-1]:e.ends[i]]
}

// pick makes a row of some of them.
func (e entries) pick(wanted []int) entries {
	var out entries
	for _, i := range wanted {
		out.body = append(out.body, e.at(i)...)
		out.ends = append(out.ends, len(out.body))
	}
	return out
}

// halves cuts a row of at least two.
func (e entries) halves() (entries, entries) {
	n := len(e.ends) / 2
	all := make([]int, len(e.ends))
	for i := range all {
		all[i] = i
	}
	return e.pick(all[:n]), e.pick(all[n:])
}

// deliver sends a row of entries until nothing is left of it; false when ctx ends first.
func (s *Shipper) deliver(ctx context.Context, todo entries) bool {
	for failures := 0; len(todo.ends) > 0; {
		if ctx.Err() != nil {
			return false
		}
		status, said, err := s.send(ctx, todo)
		var reason, detail string
		switch {
		case err != nil:
			reason, detail = reasonNetwork, err.Error()
		case status != http.StatusOK:
			var halve bool
			detail = why(status, said)
			if halve, reason = requestVerdict(status); halve {
				s.released()
				if len(todo.ends) == 1 {
					s.refuse(todo.body, detail)
					return true
				}
				s.metrics.retry(reasonHalved, len(todo.ends))
				first, second := todo.halves()
				return s.deliver(ctx, first) && s.deliver(ctx, second)
			}
		default:
			var items []item
			if items, err = readAnswer(said, len(todo.ends)); err != nil {
				reason, detail = reasonAnswer, err.Error()
				break
			}
			before := len(todo.ends)
			if todo, reason, detail = s.judge(todo, items); len(todo.ends) < before {
				failures = 0 // it goes on, if slowly
			}
		}
		if reason == "" {
			s.released()
			continue
		}
		failures++
		s.metrics.retry(reason, len(todo.ends))
		s.hold(failures, reason, detail)
		if !pause(ctx, backoff(failures, s.o.Random)) {
			return false
		}
	}
	return true
}

// judge takes out what is done, and says why the rest is not; items nil: all are.
func (s *Shipper) judge(todo entries, items []item) (rest entries, reason, detail string) {
	if items == nil {
		s.metrics.shipped.Add(float64(len(todo.ends)))
		return entries{}, "", ""
	}
	var left []int
	shipped, duplicates := 0, 0
	for i, said := range items {
		v, r := itemVerdict(said)
		switch v {
		case acknowledged:
			shipped++
		case duplicate:
			duplicates++
		case refused:
			s.refuse(todo.at(i), why(said.Status, said.Error))
		case again:
			if left = append(left, i); reason == "" {
				reason, detail = r, why(said.Status, said.Error)
			}
		}
	}
	s.metrics.shipped.Add(float64(shipped))
	s.metrics.duplicates.Add(float64(duplicates))
	return todo.pick(left), reason, detail
}

// send makes one bulk request. The body of the answer is read whole, else there was none.
func (s *Shipper) send(ctx context.Context, e entries) (status int, said []byte, err error) {
	// The end of ctx does not cut a request at once: its answer saves sending all again.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), bulkTimeout)
	defer cancel()
	var grace *time.Timer
	stop := context.AfterFunc(ctx, func() { grace = time.AfterFunc(stopGrace, cancel) })
	defer func() {
		if !stop() && grace != nil {
			grace.Stop()
		}
	}()
	required := true
	request := esapi.BulkRequest{RequireDataStream: &required, FilterPath: filter, Body: bytes.NewReader(e.body)}
	if s.o.Gzip {
		s.packed.Reset()
		s.gzip.Reset(&s.packed)
		if _, err := s.gzip.Write(e.body); err != nil {
			return 0, nil, err
		}
		if err := s.gzip.Close(); err != nil {
			return 0, nil, err
		}
		request.Body = bytes.NewReader(s.packed.Bytes())
		request.Header = http.Header{"Content-Encoding": {"gzip"}}
	}
	began := time.Now()
	status, said, err = s.client.ask(limited, request)
	s.metrics.latency.Observe(time.Since(began).Seconds())
	return status, said, err
}

// refuse puts an entry aside that will never be taken. If even that fails it is lost, and counted.
func (s *Shipper) refuse(entry []byte, why string) {
	if err := s.o.DeadLetters.Add(entry, why); err != nil {
		s.metrics.lost.Inc()
		s.o.Log.Error("log: an entry that Elasticsearch refuses is lost: it cannot be put aside", "why", why, "error", err)
		return
	}
	s.metrics.dead.Inc()
	if now := time.Now(); now.Sub(s.toldOfDead) >= tellEvery { // a mapping that does not fit refuses many
		s.toldOfDead = now
		s.o.Log.Warn("log: Elasticsearch refuses entries for what they are; they are put aside", "one_of_them", why)
	}
}

// hold notes why nothing goes on. It is told once, when it lasts: a server that is busy now and then
// is not worth a line each time.
func (s *Shipper) hold(failures int, reason, detail string) {
	if s.holding != reason {
		s.metrics.hold(s.holding, reason)
		s.holding = reason
	}
	if failures < tellAfter || s.told == reason {
		return
	}
	s.told = reason
	s.o.Log.Warn("log: nothing is shipped; it is tried again, and the entries are kept", "reason", reason, "error", detail[:min(len(detail), maxWhy)])
}

func (s *Shipper) released() {
	if s.holding != "" {
		s.metrics.hold(s.holding, "")
		s.holding = ""
	}
	if s.told != "" {
		s.told = ""
		s.o.Log.Info("log: shipped again")
	}
}

// pause waits; false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
