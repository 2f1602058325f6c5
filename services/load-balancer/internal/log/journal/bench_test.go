package journal

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// BenchmarkAdd is what a record costs the end of its exchange, with the writing to the disk that it
// causes beside.
func BenchmarkAdd(b *testing.B) {
	ids, entries := NewIDs("lb-1", time.Now()), accesslog.NewOptions(accesslog.Origin{Balancer: "lb-1", Version: "bench", Namespace: "default"}, nil)
	s := spool.Open(spool.Options{
		Render: Renderer(ids, entries),
		Dir:    b.TempDir(), MaxBytes: 256 << 20, QueueBytes: 64 << 20, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	j := New(Options{
		Spool: s, IDs: ids, Random: rand.Float64, Entries: entries,
	})
	var records [256]accesslog.Record
	for i := range records {
		records[i] = benchRecord(i)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r := &records[n%len(records)]
		r.ArrivedAt = r.ArrivedAt.Add(37 * time.Microsecond)
		j.Add(r)
		if n++; n%4096 == 0 {
			_ = s.Flush(context.Background())
		}
	}
	if err := s.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func benchRecord(i int) accesslog.Record {
	return accesslog.Record{
		ArrivedAt: time.Now(), Took: time.Duration(i%5000) * time.Microsecond, FirstByte: time.Millisecond, Upstream: time.Millisecond,
		Method: "GET", Scheme: "http", Host: "shop.example", Path: "/fib/" + strconv.Itoa(i%1000), Query: "page=3", Version: "1.1",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Client: "203.0.113." + strconv.Itoa(i%250), Peer: "10.0.0.1", PeerPort: 40000,
		Application: accesslog.Application{Namespace: "default", Deployment: "fib"}, Pod: "fib-1", Address: "10.0.0.2:80", PodPath: "/" + strconv.Itoa(i%1000),
		Policy: "its turn", Tries: 1, Status: 200, ResponseType: "application/json", ResponseBytes: 512, TraceID: [16]byte{1, 15: byte(i)}, SpanID: [8]byte{1, 7: byte(i)},
	}
}
