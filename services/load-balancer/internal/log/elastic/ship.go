package elastic

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
)

// How much is sent at once, and how long a request may take. A node that answers later than that is
// taken for one that does not.
const (
	maxBatch    = 5 << 20
	leastBatch  = 256 << 10 // also of a server that takes less: a batch is divided then
	maxGather   = time.Second
	bulkTimeout = time.Minute
	// stopGrace is what a request that is on its way at the end still has.
	stopGrace = 2 * time.Second
	// How often it is told that entries are refused, and after how many failures that nothing goes on.
	logEvery = time.Minute
	logAfter = 3
)

// backoff is how long nothing is sent after failures.
var backoff = retry.Backoff{First: 100 * time.Millisecond, Most: 30 * time.Second}

// Outbox hands out entries in batches: the body of a bulk request, and how many entries it has. Without
// Commit the next batch is the same again. Doubt has it look at what it hands out: the server, or a
// reader of the last batch, did not find the entries in it.
type Outbox interface {
	Next(ctx context.Context, maxBytes int, maxWait time.Duration) (body io.ReaderAt, size int64, entries int, err error)
	Commit()
	Doubt()
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
	logged     string // what of it was told
	deadLogged time.Time
	most       int   // bytes of a batch: a larger one was too large
	proven     int64 // bytes of the largest body that the server has taken whole
	packed     bytes.Buffer
	gzip       *gzip.Writer
	troubles   troubles
}

// NewShipper makes a shipper.
func NewShipper(client *Client, o ShipperOptions) *Shipper {
	// Documents are so much alike that the quickest level leaves a twelfth of them, by this library in a
	// tenth of the time that the standard one takes at its usual level, for a fifteenth.
	packer, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // a level that there is
	return &Shipper{client: client, o: o, most: maxBatch, metrics: newShipMetrics(o.Registry), gzip: packer}
}

// Run ships until ctx ends. What is on its way then is given a little time to be answered.
func (s *Shipper) Run(ctx context.Context) {
	if !s.open(ctx) {
		return
	}
	doubted := false
	for failures := 0; ; {
		body, size, n, err := s.o.Outbox.Next(ctx, s.most, maxGather)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failures++
			s.hold(failures, reasonSpool, err.Error())
			if !retry.Pause(ctx, backoff.Full(failures, s.o.Random)) {
				return
			}
			continue
		}
		failures = 0
		switch s.deliver(ctx, row{source: body, size: size, n: n}, doubted) {
		case delivered:
			s.o.Outbox.Commit()
			doubted = false
		case doubtful:
			s.o.Outbox.Doubt()
			doubted = true
		case stopped:
			return
		}
	}
}

// open waits until the files that the client needs can be read, and says so at once where they cannot;
// false when ctx ended first.
func (s *Shipper) open(ctx context.Context) bool {
	for failures := 0; ; {
		err := s.client.Ready()
		if err == nil {
			s.released()
			return true
		}
		failures++
		s.hold(max(failures, logAfter), reasonFiles, err.Error())
		if !retry.Pause(ctx, backoff.Full(failures, s.o.Random)) {
			return false
		}
	}
}

// outcome is how the delivery of a row ended.
type outcome int

const (
	delivered outcome = iota
	doubtful          // it may not be what it should be
	stopped           // ctx ended first
)

// deliver sends a row of entries until nothing is left of it. What was looked at already is doubted no
// more.
func (s *Shipper) deliver(ctx context.Context, todo row, looked bool) outcome {
	for failures := 0; todo.n > 0; {
		if ctx.Err() != nil {
			return stopped
		}
		status, said, err := s.send(ctx, todo)
		if err == nil && status == http.StatusRequestEntityTooLarge {
			return s.divide(ctx, todo, why(status, said), looked)
		}
		left, reason, detail := s.after(todo, status, said, err)
		if doubt := errors.Is(detail, errRow) || err == nil && status == http.StatusBadRequest; doubt && !looked {
			return doubtful
		}
		if left.n < todo.n {
			failures = 0 // it goes on, if slowly
		}
		if todo = left; reason == "" {
			s.released()
			continue
		}
		failures++
		s.metrics.retry(reason, todo.n)
		s.hold(failures, reason, detail.Error())
		if !retry.Pause(ctx, backoff.Full(failures, s.o.Random)) {
			return stopped
		}
	}
	return delivered
}

// after is what is left of a row after an answer, and why.
func (s *Shipper) after(todo row, status int, said []byte, err error) (left row, reason string, detail error) {
	switch {
	case errors.Is(err, errFiles):
		return todo, reasonFiles, err
	case err != nil:
		return todo, reasonNetwork, err
	case status != http.StatusOK:
		return todo, requestVerdict(status), errors.New(why(status, said))
	}
	items, err := readAnswer(said, todo.n)
	if err != nil {
		return todo, reasonAnswer, err
	}
	if items == nil {
		s.metrics.shipped.Add(float64(todo.n))
		return row{}, "", nil
	}
	if err := todo.load(); err != nil {
		return todo, reasonSpool, err
	}
	return s.judge(todo, items)
}

// judge takes out what is done, and says why the rest is not.
func (s *Shipper) judge(todo row, items []item) (rest row, reason string, detail error) {
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
			s.refuse(todo.at(i), said.why())
		case again:
			if left = append(left, i); reason == "" {
				reason, detail = r, errors.New(said.why())
			}
		}
	}
	s.metrics.shipped.Add(float64(shipped))
	s.metrics.duplicates.Add(float64(duplicates))
	return todo.pick(left), reason, detail
}

// divide sends a row that is too large in two parts, and no later one that is as large. An entry that
// is too large by itself is put aside.
func (s *Shipper) divide(ctx context.Context, todo row, detail string, looked bool) outcome {
	s.released()
	s.most = min(s.most, max(int(todo.size/2), leastBatch))
	if err := todo.load(); err != nil {
		if !looked {
			return doubtful
		}
		s.hold(logAfter, reasonSpool, err.Error())
		return stoppedBy(retry.Pause(ctx, backoff.Full(1, s.o.Random)))
	}
	if todo.n == 1 {
		s.refuse(todo.body, detail)
		return delivered
	}
	s.metrics.retry(reasonHalved, todo.n)
	first, second := todo.halves()
	if o := s.deliver(ctx, first, true); o != delivered {
		return o
	}
	return s.deliver(ctx, second, true)
}

// stoppedBy is the outcome of a row that is to be read anew, unless the pause before was cut short.
func stoppedBy(paused bool) outcome {
	if paused {
		return doubtful
	}
	return stopped
}

// send makes one bulk request. The body of the answer is read whole, else there was none.
func (s *Shipper) send(ctx context.Context, r row) (status int, said []byte, err error) {
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
	b := bulk{row: r}
	if s.o.Gzip && r.size <= s.proven {
		if b.packed, err = s.pack(r); err != nil {
			return 0, nil, err
		}
	}
	began := time.Now()
	status, said, err = s.client.ask(limited, b)
	s.metrics.latency.Observe(time.Since(began).Seconds())
	switch {
	case err == nil && status == http.StatusOK && b.packed == nil:
		s.proven = max(s.proven, r.size)
	case err == nil && status == http.StatusRequestEntityTooLarge:
		s.proven = min(s.proven, r.size-1)
	}
	return status, said, err
}

func (s *Shipper) pack(r row) ([]byte, error) {
	s.packed.Reset()
	s.gzip.Reset(&s.packed)
	if _, err := io.Copy(s.gzip, r.reader()); err != nil {
		return nil, err
	}
	err := s.gzip.Close()
	return s.packed.Bytes(), err
}

// refuse puts an entry aside that will never be taken. If even that fails it is lost, and counted.
func (s *Shipper) refuse(entry []byte, why string) {
	if err := s.o.DeadLetters.Add(entry, why); err != nil {
		s.metrics.lost.Inc()
		s.o.Log.Error("log: an entry that Elasticsearch refuses is lost: it cannot be put aside", "why", why, "error", err)
		return
	}
	s.metrics.dead.Inc()
	s.troubles.refused(time.Now(), why)
	if now := time.Now(); now.Sub(s.deadLogged) >= logEvery { // a mapping that does not fit refuses many
		s.deadLogged = now
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
	if failures < logAfter || s.logged == reason {
		return
	}
	s.logged = reason
	s.troubles.held(reason + ": " + detail[:min(len(detail), maxWhy)])
	s.o.Log.Warn("log: nothing is shipped; it is tried again, and the entries are kept", "reason", reason, "error", detail[:min(len(detail), maxWhy)])
}

func (s *Shipper) released() {
	if s.holding != "" {
		s.metrics.hold(s.holding, "")
		s.holding = ""
	}
	if s.logged != "" {
		s.logged = ""
		s.troubles.held("")
		s.o.Log.Info("log: shipped again")
	}
}
