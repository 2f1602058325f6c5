package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// A controller with shards has the API of one without them once for each shard, with a relay to that shard's
// leader. What stands before them, here, gives each call to the shard that it is for, by the namespace in it.
// What is for several is divided among them, and their answers are made one:
//
//   - Lists are merged in their order.
//   - A report of a load balancer goes to all shards, each time: every leader gets what it says of its
//     applications, be it nothing, under the one sequence that the load balancer counts. Versions, epochs
//     and deltas are each shard's own. To have load balancers report to each shard by itself would cost them
//     a request a second for each, and them and the controller a second way to agree on how many there are.
//   - Of the routes a load balancer asks for one shard's, with a stream for each; one that knows no shards
//     gets them all.
//
// Which shard a relayed call is for stands in its header: replicas that count the shards differently pass
// each other nothing but whole calls.
type sharded struct {
	Options
	ports    []http.Handler // of the shards
	whole    http.Handler   // for who knows no shards
	versions vectors        // of the routes that those were given
}

const (
	shardHeader       = "Nemesis-Shard" // of a relayed call: 3/8 is the fourth of eight
	otherShardsHeader = "Nemesis-Other-Shards"
)

var errOtherShards = errors.New("relay: the leader counts the shards differently")

// Shard is what each shard has of its own.
type Shard struct {
	Fleet      Fleet
	Control    Control
	Traffic    Traffic
	Metrics    Metrics
	Leadership Leadership
	News       News
	History    History
}

// With are the options with what a shard has.
func (o Options) With(s Shard) Options {
	o.Fleet, o.Control, o.Traffic, o.Metrics, o.Leadership = s.Fleet, s.Control, s.Traffic, s.Metrics, s.Leadership
	o.News, o.History = s.News, s.History
	return o
}

// NewSharded makes the handler of the API of a controller with shards. Of o, what the shards have is not
// needed; its Leadership is where another layout of shards is in force: all goes there then.
func NewSharded(o Options, each []Shard) (http.Handler, error) {
	valid, err := newCheck()
	if err != nil {
		return nil, err
	}
	s := &sharded{Options: o}
	for i, one := range each {
		one.Fleet = shardFleet{one.Fleet, i, len(each)}
		of := o.With(one)
		if o.Claims != nil {
			of.Claims = shardClaims{o.Claims, i, len(each)}
		}
		of.Shard = mark(i, len(each))
		port, err := relaying(of, valid)
		if err != nil {
			return nil, err
		}
		s.ports = append(s.ports, port)
	}
	first := o.With(each[0])
	first.Shard = allShards(len(each))
	s.whole = newRelay(first, http.HandlerFunc(s.merged))
	return around(o, s, newRelay(o, s))
}

func mark(i, of int) string { return strconv.Itoa(i) + "/" + strconv.Itoa(of) }

// allShards marks a call that is for no shard alone; see merged.
func allShards(of int) string { return "all/" + strconv.Itoa(of) }

// shardFleet says in the routes which shard's they are.
type shardFleet struct {
	Fleet
	shard, shards int
}

// Routes is what changed.
func (f shardFleet) Routes(after string) (fleet.Update, <-chan struct{}) {
	u, changed := f.Fleet.Routes(after)
	u.Shard, u.Shards = f.shard, f.shards
	return u, changed
}

// forShard says which shard a call is for.
func (l *relay) forShard(out *http.Request) {
	if out.Header.Del(shardHeader); l.Shard != "" {
		out.Header.Set(shardHeader, l.Shard)
	}
}

func (s *sharded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if at := r.Header.Get(shardHeader); at != "" && r.Header.Get(relayedHeader) != "" {
		s.ours(w, r, at)
		return
	}
	s.route(w, whole(r))
}

// ours serves a call that a follower of one shard has relayed.
func (s *sharded) ours(w http.ResponseWriter, r *http.Request, at string) {
	if at == allShards(len(s.ports)) {
		s.whole.ServeHTTP(w, r)
		return
	}
	for i := range s.ports {
		if at == mark(i, len(s.ports)) {
			s.ports[i].ServeHTTP(w, r)
			return
		}
	}
	w.Header().Set(otherShardsHeader, strconv.Itoa(len(s.ports)))
	fault.Write(w, r, fault.New(fault.Unavailable, "this replica has %d shards; it was asked as %s", len(s.ports), at).After(time.Second))
}

// whole is a call as if it came from whoever made it first: one that knows nothing of shards, or counts
// them differently, has relayed it.
func whole(r *http.Request) *http.Request {
	by := r.Header.Get(relayedHeader)
	if by == "" {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del(relayedHeader)
	if by != relaysStreams {
		query := r.URL.Query()
		query.Del("stream")
		r.URL.RawQuery = query.Encode()
	}
	return r
}

// has tells whether a mark is one of a call that is understood here.
func (s *sharded) has(at string) bool {
	_, of, _ := strings.Cut(at, "/")
	return of == strconv.Itoa(len(s.ports))
}

// unmarked is a call as if nobody had relayed it, to be made of it calls of our own.
func unmarked(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del(relayedHeader)
	return r
}

// route gives a call to the shard or the shards that it is for.
func (s *sharded) route(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v1/traffic":
		s.divided(w, r, s.report)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/pod-metrics":
		s.divided(w, r, s.batch)
	case r.Method == http.MethodPost && r.URL.Path == "/metrics":
		s.divided(w, r, s.push)
	case r.Method == http.MethodGet && r.URL.Path == routesPath:
		s.routes(w, r)
	case r.Method == http.MethodGet && r.URL.Path == eventsPath:
		s.events(w, r)
	case r.Method == http.MethodGet && r.URL.Path == reportPath:
		s.reports(w, r)
	case r.Method == http.MethodGet && len(parts) == 2 && lists[parts[1]] != nil:
		s.list(w, r, lists[parts[1]])
	case len(parts) > 2 && parts[0] == "v1" && (parts[1] == "namespaces" || parts[1] == "applications"):
		s.of(parts[2]).ServeHTTP(w, r)
	default:
		s.ports[0].ServeHTTP(w, r) // what belongs to no shard
	}
}

// of is the shard of a namespace.
func (s *sharded) of(namespace string) http.Handler {
	return s.ports[shard.Of(namespace, len(s.ports))]
}

// divided reads a body that is to be divided.
func (s *sharded) divided(w http.ResponseWriter, r *http.Request, divide func(http.ResponseWriter, *http.Request, []byte)) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fault.Write(w, r, contract.Refusal(err, http.StatusBadRequest))
		return
	}
	divide(w, with(r, body), body)
}

// with is the same call with another body.
func with(r *http.Request, body []byte) *http.Request {
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	out.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return out
}

// kept is a shard's answer.
type kept struct {
	status int
	header http.Header
	bytes.Buffer
}

// Header is the answer's.
func (a *kept) Header() http.Header { return a.header }

// WriteHeader keeps the status.
func (a *kept) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write keeps what is written.
func (a *kept) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.Buffer.Write(p) //nolint:wrapcheck // it never fails
}

// Flush has nothing to do.
func (a *kept) Flush() {}

// pass passes the answer on.
func (a *kept) pass(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = a.WriteTo(w) // the client has gone: nothing to do
}

// ask asks the shards for which there is a call, at the same time. Where there is none the answer is nil.
func (s *sharded) ask(calls []*http.Request) []*kept {
	answers := make([]*kept, len(calls))
	done := make(chan struct{}, len(calls))
	asked := 0
	for i, call := range calls {
		if call == nil {
			continue
		}
		asked++
		go func() {
			defer func() { done <- struct{}{} }()
			answers[i] = s.one(i, call)
		}()
	}
	for range asked {
		<-done
	}
	return answers
}

// one asks one shard.
func (s *sharded) one(shard int, call *http.Request) *kept {
	a := &kept{header: http.Header{}}
	httpserver.Recover(s.Log)(s.ports[shard]).ServeHTTP(a, call)
	a.WriteHeader(http.StatusOK)
	return a
}

// refusal is the first answer that is none of the good ones; nil: all are.
func refused(answers []*kept) *kept {
	for _, a := range answers {
		if a != nil && a.status != http.StatusOK {
			return a
		}
	}
	return nil
}

// shardParameter is the shard that routes are asked for; false: those of all are.
func (s *sharded) shardParameter(r *http.Request) (i int, one bool, err error) {
	text := r.URL.Query().Get("shard")
	if text == "" {
		return 0, false, nil
	}
	i, err = strconv.Atoi(text)
	if err != nil || i < 0 || i >= len(s.ports) {
		return 0, true, fault.New(fault.Invalid, "").With("shard", text, fmt.Sprintf("from 0 to %d", len(s.ports)-1))
	}
	return i, true, nil
}
