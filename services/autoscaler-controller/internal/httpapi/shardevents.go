package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

// events joins the streams of all shards, event by event. The id of each is those of all shards, with commas
// between, so that who comes back goes on in each where it was. A namespace is of one shard alone.
func (s *sharded) events(w http.ResponseWriter, r *http.Request) {
	if namespace := r.URL.Query().Get("namespace"); namespace != "" {
		s.of(namespace).ServeHTTP(w, r)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	last := strings.Split(r.Header.Get("Last-Event-ID"), ",")
	if len(last) != len(s.ports) { // of another number of shards: all of them say reset
		last = slices.Repeat([]string{r.Header.Get("Last-Event-ID")}, len(s.ports))
	}
	j := &joinedEvents{w: w, ids: make([]string, len(s.ports)), missing: len(s.ports)}
	var streaming sync.WaitGroup
	for i, port := range s.ports {
		call := r.Clone(ctx)
		call.Body, call.ContentLength = http.NoBody, 0
		if call.Header.Del("Last-Event-ID"); last[i] != "" {
			call.Header.Set("Last-Event-ID", last[i])
		}
		streaming.Go(func() {
			defer cancel() // they end together
			httpserver.Recover(s.Log)(port).ServeHTTP(&shardStream{of: j, shard: i, header: http.Header{}, end: cancel}, call)
		})
	}
	streaming.Wait()
	j.finish()
}

// joinedEvents is the stream of all shards.
type joinedEvents struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	ids     []string // of each shard, as it stands
	missing int      // shards that have said nothing yet
	before  []byte   // what came before all had
	out     *events  // nil: it has not begun
	refusal *kept    // of the first shard that did not let it begin
}

// take takes a whole event of a shard.
func (j *joinedEvents) take(shard int, event []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var rest []byte
	for line := range bytes.Lines(event) {
		if id, is := bytes.CutPrefix(line, []byte("id: ")); is {
			if j.ids[shard] == "" {
				j.missing--
			}
			j.ids[shard] = strings.TrimSpace(string(id))
			continue
		}
		rest = append(rest, line...)
	}
	if j.missing > 0 { // no id would be whole
		j.before = append(j.before, rest...)
		return nil
	}
	if j.out == nil {
		j.out = newEvents(j.w)
		rest, j.before = append(j.before, rest...), nil
	}
	j.out.buffer.WriteString("id: " + strings.Join(j.ids, ",") + "\n")
	j.out.buffer.Write(rest)
	return j.out.flush()
}

// finish ends it: with a shard's refusal, if it has not begun.
func (j *joinedEvents) finish() {
	switch {
	case j.out != nil:
		j.out.end()
	case j.refusal != nil:
		j.refusal.pass(j.w)
	}
}

// shardStream is what a shard writes to.
type shardStream struct {
	of     *joinedEvents
	shard  int
	header http.Header
	status int
	part   []byte // of an event that is not whole
	end    func()
	kept   *kept // its refusal
}

// Header is the answer's.
func (s *shardStream) Header() http.Header { return s.header }

// WriteHeader takes the status; one that is not good ends all.
func (s *shardStream) WriteHeader(status int) {
	if s.status != 0 {
		return
	}
	if s.status = status; status == http.StatusOK {
		return
	}
	s.kept = &kept{status: status, header: s.header}
	s.of.mu.Lock()
	if s.of.refusal == nil {
		s.of.refusal = s.kept
	}
	s.of.mu.Unlock()
}

// Write takes events, in whatever pieces.
func (s *shardStream) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if s.kept != nil {
		return s.kept.Write(p)
	}
	s.part = append(s.part, p...)
	for {
		i := bytes.Index(s.part, []byte("\n\n"))
		if i < 0 {
			return len(p), nil
		}
		if err := s.of.take(s.shard, s.part[:i+2]); err != nil {
			s.end()
			return 0, err
		}
		s.part = s.part[i+2:]
	}
}

// Flush has nothing to do: every event is.
func (s *shardStream) Flush() {}
