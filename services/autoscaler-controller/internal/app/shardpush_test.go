package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/ingest"
)

// replicas is a controller of two replicas with four shards, of which the second replica leads all but the
// first; each counts what it takes.
type replicas struct {
	http.Handler // of the first
	here, there  *way
}

// leads is where the leader is; "" is here.
type leads string

func (l leads) Leader() (string, <-chan struct{}) { return string(l), nil }

const fourShards = 4

func newReplicas(tb testing.TB, short bool) *replicas {
	tb.Helper()
	r := &replicas{here: &way{}, there: &way{}}
	handler := func(w *way, first bool) http.Handler {
		pushed, err := ingest.NewMetrics(w, w, nil)
		if err != nil {
			tb.Fatal(err)
		}
		o := httpapi.Options{
			Leadership: w, Meter: w, Log: slog.New(slog.DiscardHandler), Missing: func() string { return "" }, Ending: make(chan struct{}),
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		}
		leader := func(i int) leads {
			if (i == 0) == first {
				return ""
			}
			return leads(r.there.address)
		}
		if short {
			o.Pushes = pushed.Of(func(namespace string) (int, bool) {
				i := shard.Of(namespace, fourShards)
				return i, leader(i) == "" || !first
			})
		}
		each := make([]httpapi.Shard, fourShards)
		for i := range each {
			if each[i] = (httpapi.Shard{Metrics: pushed, Leadership: leader(i)}); !first {
				each[i].Leadership = leads("")
			}
		}
		h, err := httpapi.NewSharded(o, each)
		if err != nil {
			tb.Fatal(err)
		}
		return h
	}
	server := httptest.NewServer(handler(r.there, false))
	tb.Cleanup(server.Close)
	r.there.address = strings.TrimPrefix(server.URL, "http://")
	r.Handler = handler(r.here, true)
	return r
}

func (r *replicas) push(body string) *httptest.ResponseRecorder {
	call := httptest.NewRequest(http.MethodPost, "/v1/pod-metrics", strings.NewReader(body))
	call.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, call)
	return answer
}

// collected is a batch of so many pods in sixteen namespaces, with one item that is refused.
func collected(pods int) string {
	items := []string{`{"podName":"P"}`}
	for i := range pods {
		items = append(items, fmt.Sprintf(`{"podName":"web-7d4b9c-%d","namespace":"team-%d","ageSeconds":0.25,"windowSeconds":5,"validSeconds":25,`+
			`"metrics":{"cpuUsage":412.5,"memoryUsage":11.2,"responseTime":38.4,"requestRate":12.5,"inFlight":3,"queued":0,"cacheUsage":0.25}}`, i, i%16))
	}
	return `{"collector":"c","items":[` + strings.Join(items, ",") + `]}`
}

func TestBatch_OfSeveralShardsIsTakenByTheLeaderOfEachOnBothWays(t *testing.T) {
	var answers []string
	for _, short := range []bool{true, false} {
		r := newReplicas(t, short)
		answer := r.push(collected(100))
		answers = append(answers, answer.Body.String())
		if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), `"accepted":100`) || !strings.Contains(answer.Body.String(), `"index":0`) {
			t.Errorf("short %v: %d %s", short, answer.Code, answer.Body)
		}
		led := func(list []fleet.Measurement, first bool) {
			for _, m := range list {
				if (shard.Of(m.Pod.Namespace, fourShards) == 0) != first {
					t.Errorf("short %v: %s was taken by who does not lead its shard", short, m.Pod)
				}
			}
		}
		if len(r.here.got) == 0 || len(r.here.got)+len(r.there.got) != 100 {
			t.Errorf("short %v: %d taken here, %d there", short, len(r.here.got), len(r.there.got))
		}
		led(r.here.got, true)
		led(r.there.got, false)
	}
	if len(answers[0]) != len(answers[1]) {
		t.Errorf("by the short way %s, by the long way %s", answers[0], answers[1])
	}
}

// The cost of a batch of 500 pods of four shards, three of which another replica leads, with what it costs
// there.
func BenchmarkShardedBatch(b *testing.B) {
	body := collected(499)
	for name, short := range map[string]bool{"short": true, "long": false} {
		b.Run(name, func(b *testing.B) {
			r := newReplicas(b, short)
			b.ReportAllocs()
			for b.Loop() {
				r.here.got, r.there.got = nil, nil
				if a := r.push(body); a.Code != http.StatusOK {
					b.Fatalf("status %d: %s", a.Code, a.Body)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/item")
		})
	}
}
