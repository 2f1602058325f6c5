//go:build bench && linux

package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/journal"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// What is in bench_logs_build_test.go differs between builds; this file is the same for all that are
// measured side by side. e2e/bench/logs says how.

// measured is what a build costs; microseconds, where nothing else is said.
type measured struct {
	EntryBytes int             `json:"entry_bytes"`
	RecordCPU  float64         `json:"record_cpu"`       // from the end of the exchange to the server's answer
	PackedCPU  float64         `json:"record_cpu_gzip"`  // likewise, with elasticsearch-gzip
	PerSecond  float64         `json:"records_a_second"` // as fast as this machine's server takes them
	MemoryMiB  float64         `json:"memory_mib"`       // that the process has grown by
	RequestCPU float64         `json:"request_cpu"`      // that logging adds to a request, shipping and all
	WithoutCPU float64         `json:"request_without_cpu"`
	Requests   map[string]path `json:"requests"` // what it adds to their time, by how the server is
}

// path is what logging adds to requests, and how long they take without.
type path struct {
	AddedP50   float64 `json:"added_p50"`
	AddedP99   float64 `json:"added_p99"`
	WithoutP50 float64 `json:"without_p50"`
	WithoutP99 float64 `json:"without_p99"`
}

// TestBenchLogs measures this build once, on a real Elasticsearch.
func TestBenchLogs(t *testing.T) {
	server := os.Getenv("NEMESIS_ELASTICSEARCH_URL")
	if server == "" {
		t.Fatal("NEMESIS_ELASTICSEARCH_URL is not set: use make bench-logs")
	}
	namespace := "bench" + strconv.FormatInt(time.Now().UnixNano(), 36)
	client, err := elastic.New(elastic.Options{URLs: []string{server}})
	if err != nil {
		t.Fatal(err)
	}
	if err := setUp(t.Context(), client, elastic.SetupOptions{Namespace: namespace, Retention: "1d"}, func(elastic.Step) {}); err != nil {
		t.Fatal(err)
	}
	var m measured
	measureShipping(t, client, namespace, &m)
	measureRequests(t, server, namespace, &m)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("NEMESIS_BENCH_OUT"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func measureShipping(t *testing.T, client *elastic.Client, namespace string, m *measured) {
	t.Helper()
	before := resident(t)
	cpu, took := shipRecords(t, client, namespace, benchRecords, false)
	m.RecordCPU, m.PerSecond = micros(cpu)/benchRecords, benchRecords/took.Seconds()
	m.MemoryMiB = float64(resident(t)-before) / (1 << 20)
	cpu, _ = shipRecords(t, client, namespace, packedRecords, true)
	m.PackedCPU = micros(cpu) / packedRecords
	m.EntryBytes = len(accesslog.AppendEntry(nil, "3k5h2v9c.dz7q1w2e3r4t.1z", new(benchRecord(1)), entries(namespace)))
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func entries(namespace string) accesslog.Options {
	return accesslog.NewOptions(accesslog.Origin{Balancer: "lb-1", Version: "bench", Namespace: namespace}, nil)
}

const (
	benchRecords  = 60_000
	packedRecords = 20_000
)

// shipRecords brings records through journal, spool and shipper to the server, and returns the CPU
// time of this process, and how long it took.
func shipRecords(t *testing.T, client *elastic.Client, namespace string, n int, gzip bool) (cpu, took time.Duration) {
	t.Helper()
	dir, registry := t.TempDir(), prometheus.NewRegistry()
	ids, entries := journal.NewIDs(t.Name(), time.Now()), entries(namespace)
	s, dead := openSpool(t, ids, entries, spool.Options{
		Dir: dir, MaxBytes: 1 << 30, QueueBytes: 16 << 20, Outbox: true, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: registry,
	})
	j := journal.New(journal.Options{Spool: s, IDs: ids, Random: rand.Float64, Entries: entries})
	var records [1000]accesslog.Record
	for i := range records {
		records[i] = benchRecord(i)
	}
	shipper := elastic.NewShipper(client, elastic.ShipperOptions{
		Outbox: s.Outbox(), DeadLetters: dead, Gzip: gzip, Random: rand.Float64, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Registry: registry,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	began, used := time.Now(), cpuTime()
	go func() {
		defer close(ended)
		shipper.Run(ctx)
	}()
	for i := range n {
		r := &records[i%len(records)]
		r.ArrivedAt = r.ArrivedAt.Add(time.Millisecond)
		add(j, r)
		if i%1000 == 999 {
			if err := s.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	if left := s.Drain(ctx); left > 0 {
		t.Fatalf("%d records are not shipped", left)
	}
	cpu, took = cpuTime()-used, time.Since(began)
	cancel()
	<-ended
	return cpu, took
}

func benchRecord(i int) accesslog.Record {
	return accesslog.Record{
		ArrivedAt: time.Now(), Took: time.Duration(i%5000) * time.Microsecond, FirstByte: time.Millisecond, Upstream: time.Millisecond,
		Method: "GET", Scheme: "http", Host: "shop.example", Path: "/fib/" + strconv.Itoa(i%1000), Query: "page=3", Version: "1.1",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Client: "203.0.113." + strconv.Itoa(i%250), Peer: "10.0.0.1", PeerPort: 40000,
		Application: application{Namespace: "default", Deployment: "fib"}, Pod: "fib-1", Address: "10.0.0.2:80", PodPath: "/" + strconv.Itoa(i%1000),
		Policy: "its turn", Tries: 1, Status: 200, ResponseType: "application/json", ResponseBytes: 512, TraceID: [16]byte{1, 15: byte(i)}, SpanID: [8]byte{1, 7: byte(i)},
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func resident(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// The ways in which the server may be.
const (
	serverNone = "none: the spool alone"
	serverFast = "fast"
	serverSlow = "slow (2 s a request)"
	serverBusy = "refusing (429)"
	serverDown = "down"
	serverBack = "back"
)

// measureRequests sends requests by turns to two load balancers that differ in logging alone, while
// the server is in one way after the other, and at the end counts what has come to it.
func measureRequests(t *testing.T, server, namespace string, m *measured) {
	t.Helper()
	var mode atomic.Value
	mode.Store(serverFast)
	front := before(t, server, &mode)
	pod := barePod(t)
	silent := func(s *app.Settings) { s.LogSample, s.Identity = "0", "silent" }
	without := benchBalancer(t, pod, silent)
	spooled := benchBalancer(t, pod)
	shipped := benchBalancer(t, pod, func(s *app.Settings) { s.Elasticsearch.URL, s.Elasticsearch.Namespace = front, namespace+".path" })
	m.Requests = map[string]path{}
	compare(t, without, spooled, benchWarm)
	m.Requests[serverNone] = compare(t, without, spooled, benchPairs)
	compare(t, without, shipped, benchWarm)
	n := benchWarm
	for _, way := range []string{serverFast, serverSlow, serverBusy, serverDown, serverBack} {
		mode.Store(way)
		m.Requests[way] = compare(t, without, shipped, benchPairs)
		n += benchPairs
	}
	m.RequestCPU, m.WithoutCPU = compareCPU(t, without, shipped)
	n += benchBlocks * benchBlock
	testwait.Until(t, "every request is in the index", func() bool { return count(t, server, namespace+".path") >= n })
	if got := count(t, server, namespace+".path"); got != n {
		t.Errorf("%d documents of %d requests", got, n)
	}
}

const (
	benchWarm   = 1_000
	benchPairs  = 5_000
	benchBlock  = 500
	benchBlocks = 16
)

// compare sends one request to each by turns, in an order that changes. The figures are medians over
// blocks, so that one hiccup of the machine is not taken for what logging adds.
func compare(t *testing.T, without, with string, pairs int) path {
	t.Helper()
	lines := [2]*bench{dialBench(t, without), dialBench(t, with)}
	var p50, p99, added50, added99 []float64
	for range pairs / benchBlock {
		var times [2][]float64
		for range benchBlock {
			first := rand.IntN(2)
			for _, i := range [2]int{first, 1 - first} {
				times[i] = append(times[i], lines[i].ask(t))
			}
		}
		for i := range times {
			slices.Sort(times[i])
		}
		p50, p99 = append(p50, times[0][benchBlock/2]), append(p99, times[0][benchBlock*99/100])
		added50 = append(added50, times[1][benchBlock/2]-times[0][benchBlock/2])
		added99 = append(added99, times[1][benchBlock*99/100]-times[0][benchBlock*99/100])
	}
	for _, line := range lines {
		_ = line.conn.Close()
	}
	return path{AddedP50: median(added50), AddedP99: median(added99), WithoutP50: median(p50), WithoutP99: median(p99)}
}

// compareCPU is how much more CPU time of this process a request takes with logging than without, and
// how much without; client and pod are in it. Blocks of requests go to each by turns.
func compareCPU(t *testing.T, without, with string) (added, base float64) {
	t.Helper()
	lines := [2]*bench{dialBench(t, without), dialBench(t, with)}
	var more, bases []float64
	for range benchBlocks {
		var used [2]float64
		first := rand.IntN(2)
		for _, i := range [2]int{first, 1 - first} {
			began := cpuTime()
			for range benchBlock {
				lines[i].ask(t)
			}
			time.Sleep(20 * time.Millisecond) // what is left of the work is the block's too
			used[i] = micros(cpuTime()-began) / benchBlock
		}
		more, bases = append(more, used[1]-used[0]), append(bases, used[0])
	}
	for _, line := range lines {
		_ = line.conn.Close()
	}
	return median(more), median(bases)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

type bench struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialBench(t *testing.T, address string) *bench {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{c, bufio.NewReader(c)}
}

// ask sends a request and returns how many microseconds its answer took.
func (b *bench) ask(t *testing.T) float64 {
	t.Helper()
	began := time.Now()
	if _, err := io.WriteString(b.conn, "GET /app/1 HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\nUser-Agent: bench/1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if status := skipAnswer(b.in); !strings.HasPrefix(status, "HTTP/1.1 200") {
		t.Fatalf("status line %q", status)
	}
	return float64(time.Since(began).Nanoseconds()) / 1000
}

// before stands before the server, which is as the mode says.
func before(t *testing.T, server string, mode *atomic.Value) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode.Load() {
		case serverDown:
			panic(http.ErrAbortHandler)
		case serverBusy:
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		case serverSlow:
			select {
			case <-time.After(2 * time.Second):
			case <-r.Context().Done():
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// count is how many documents the stream of the namespace has.
func count(t *testing.T, server, namespace string) int {
	t.Helper()
	stream := server + "/" + elastic.Stream(elastic.AccessDataset, namespace)
	r, err := http.Post(stream+"/_refresh", "", nil)
	if err == nil {
		_ = r.Body.Close()
		r, err = http.Get(stream + "/_count")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	var said struct{ Count int }
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return said.Count
}
