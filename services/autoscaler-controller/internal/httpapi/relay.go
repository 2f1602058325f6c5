package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
)

// How a follower speaks to the leader.
const (
	relayedHeader         = "Nemesis-Relayed-By-Follower" // such a request is served where it arrives
	settingsVersionHeader = "Nemesis-Settings-Version"    // of an answer
	dialTimeout           = 300 * time.Millisecond
	// For all but the long poll. A leader that hangs must cost less than the patience of a load
	// balancer, which gives up a report after 2 s and a start after 3: it is then served here in time.
	relayTimeout = 1500 * time.Millisecond
	pollTimeout  = 63 * time.Second // a little more than the longest wait
	maxRelayed   = 64 << 20         // bytes of an answer
	avoidFor     = 2 * time.Second  // a leader that did not answer
)

// relay passes everything under /v1, and the sidecars' pushes, on to the leader: only there come all reports together, and
// only its routes say who is falling asleep. When the leader does not answer, the request is
// served here: the routes from the same caches, a start by scaling (which may be done twice
// without harm), a report by keeping it for the day this replica leads. Whoever waits for the
// answer never has to know.
//
// The calls on custom resources are not relayed: every replica passes them on by itself.
type relay struct {
	Options
	next   http.Handler
	client *httpclient.Client
	routes *httpclient.Client // whose answers have no bound: they are passed on as they come
	mu     sync.Mutex
	avoid  map[string]time.Time
}

func newRelay(o Options, next http.Handler) *relay {
	options := httpclient.Options{
		Authorities: o.Authorities, MaxAnswer: maxRelayed, Connect: dialTimeout, MaxIdle: 64, IdleTimeout: time.Minute, Dial: o.Dial,
		Wrap: func(next http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(next) },
	}
	client := httpclient.New(options)
	options.MaxAnswer = math.MaxInt64
	return &relay{Options: o, next: next, client: client, routes: httpclient.New(options), avoid: map[string]time.Time{}}
}

func (l *relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	leader, changed := l.Leadership.Leader()
	if leader == "" || !forLeader(r) || r.Header.Get(relayedHeader) != "" || l.avoided(leader) {
		l.next.ServeHTTP(w, r)
		return
	}
	if r.Method == http.MethodGet && (r.URL.Path == routesPath || r.URL.Path == eventsPath) {
		if err := l.relayStream(w, r, leader, changed); err != nil && r.Context().Err() == nil {
			l.fail(r.Context(), leader, err)
			l.next.ServeHTTP(w, r)
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fault.Write(w, r, contract.Refusal(err, http.StatusBadRequest))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := l.ask(r, leader, body, changed)
	if err != nil {
		if r.Context().Err() != nil {
			return // the client has gone
		}
		if !errors.Is(err, errOlderLists) {
			l.fail(r.Context(), leader, err)
		}
		l.next.ServeHTTP(w, r)
		return
	}
	passHeader(w.Header(), answer.header)
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // the client has gone: nothing to do
}

// schemeOf is how a replica is called.
func schemeOf(secure bool) string {
	if secure {
		return "https://"
	}
	return "http://"
}

// forLeader tells whether a request is one that the leader should answer.
func forLeader(r *http.Request) bool {
	if r.URL.Path == certificatesPath {
		return false
	}
	return strings.HasPrefix(r.URL.Path, "/v1/") || r.URL.Path == "/metrics" && r.Method == http.MethodPost
}

type relayed struct {
	status int
	header http.Header
	body   []byte
}

// ask asks the leader. It gives up when another leader is elected.
func (l *relay) ask(r *http.Request, leader string, body []byte, changed <-chan struct{}) (relayed, error) {
	ctx, cancel := context.WithTimeout(r.Context(), relayTimeout)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-l.Ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	out, err := http.NewRequestWithContext(ctx, r.Method, schemeOf(l.Authorities != nil)+leader+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return relayed{}, fmt.Errorf("relay: %w", err)
	}
	out.Header = r.Header.Clone()
	out.Header.Set(relayedHeader, "1")
	l.forShard(out)
	answer, err := l.client.Do(out)
	if err != nil {
		return relayed{}, fmt.Errorf("relay: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.Header.Get(otherShardsHeader) != "" {
		return relayed{}, errOtherShards
	}
	if answer.StatusCode == http.StatusOK && selects(r) && answer.Header.Get(listsHeader) == "" {
		return relayed{}, errOlderLists
	}
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return relayed{}, fmt.Errorf("relay: %w", err)
	}
	return relayed{answer.StatusCode, answer.Header, content}, nil
}

func (l *relay) fail(ctx context.Context, leader string, err error) {
	shard, _, _ := strings.Cut(l.Shard, "/")
	l.Meter.RelayFailed(shard)
	l.Log.WarnContext(ctx, "the leader does not answer; served here", "leader", leader, "shard", shard, "error", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.avoid) // there is one leader at a time
	l.avoid[leader] = time.Now().Add(avoidFor)
}

func (l *relay) avoided(leader string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.avoid[leader])
}
