//go:build bench && linux

package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/journal"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// What the project holds itself to.
const (
	targetPerCore  = 20_000 // records a second for one core
	targetAddedP99 = 20     // microseconds
)

// shipping is what it costs to bring records from the end of an exchange to the real server's answer.
type shipping struct {
	Records      int     `json:"records"`
	EntryBytes   int     `json:"entry_bytes"`
	PerCore      float64 `json:"records_per_core_second"` // of this process's CPU time, kernel and all
	PerSecond    float64 `json:"records_per_second"`      // as fast as this machine's server takes them
	CPUMicros    float64 `json:"cpu_us_per_record"`
	MemoryMiB    float64 `json:"memory_mib"` // that the process has grown by
	GzipPerCore  float64 `json:"gzip_records_per_core_second"`
	GzipCPU      float64 `json:"gzip_cpu_us_per_record"`
	TargetIsKept bool    `json:"target_is_kept"`
}

// added is what logging adds to requests, in microseconds.
type added struct {
	Server     string  `json:"elasticsearch"`
	Requests   int     `json:"requests_each"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
	WithoutP50 float64 `json:"without_p50_us"`
	WithoutP99 float64 `json:"without_p99_us"`
	AddedP50   float64 `json:"added_p50_us"`
	AddedP99   float64 `json:"added_p99_us"`
}

// TestBenchLogs measures, on a real Elasticsearch, what `make bench-logs` shows.
func TestBenchLogs(t *testing.T) {
	server := os.Getenv("NEMESIS_ELASTICSEARCH_URL")
	if server == "" {
		t.Fatal("NEMESIS_ELASTICSEARCH_URL is not set: use make bench-logs")
	}
	namespace := "bench" + strconv.FormatInt(time.Now().Unix(), 36)
	client, err := elastic.New(elastic.Options{URLs: []string{server}})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Setup(t.Context(), elastic.SetupOptions{Namespace: namespace, Retention: "1d"}, func(elastic.Step) {}); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Elasticsearch string   `json:"elasticsearch"`
		Shipping      shipping `json:"shipping"`
		Requests      []added  `json:"requests"`
	}
	out.Elasticsearch = os.Getenv("NEMESIS_ELASTICSEARCH_VERSION")
	out.Shipping = measureShipping(t, client, namespace)
	out.Requests = measureRequests(t, server, namespace)
	raw, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("NEMESIS_BENCH_OUT")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	show(out.Shipping, out.Requests)
}

func show(s shipping, requests []added) {
	fmt.Printf("\nshipping: %.0f records/s a core (target %d), %.1f µs CPU a record of %d bytes; %.0f MiB; %.0f/s here\n",
		s.PerCore, targetPerCore, s.CPUMicros, s.EntryBytes, s.MemoryMiB, s.PerSecond)
	fmt.Printf("          with gzip: %.0f records/s a core, %.1f µs CPU a record\n\n", s.GzipPerCore, s.GzipCPU)
	table := tabwriter.NewWriter(os.Stdout, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "Elasticsearch\tp50 µs without\twith\tadded\tp99 without\twith\tadded (target %d)\t\n", targetAddedP99)
	for _, a := range requests {
		fmt.Fprintf(table, "%s\t%.1f\t%.1f\t%+.1f\t%.1f\t%.1f\t%+.1f\t\n", a.Server, a.WithoutP50, a.P50, a.AddedP50, a.WithoutP99, a.P99, a.AddedP99)
	}
	_ = table.Flush()
}

func measureShipping(t *testing.T, client *elastic.Client, namespace string) shipping {
	t.Helper()
	before := resident(t)
	cpu, took, entryBytes := shipRecords(t, client, namespace, false)
	out := shipping{
		Records: benchRecords, EntryBytes: entryBytes, PerCore: benchRecords / cpu.Seconds(), PerSecond: benchRecords / took.Seconds(),
		CPUMicros: float64(cpu.Microseconds()) / benchRecords, MemoryMiB: float64(resident(t)-before) / (1 << 20),
	}
	cpu, _, _ = shipRecords(t, client, namespace, true)
	out.GzipPerCore, out.GzipCPU = benchRecords/cpu.Seconds(), float64(cpu.Microseconds())/benchRecords
	out.TargetIsKept = out.PerCore >= targetPerCore
	return out
}

const benchRecords = 100_000

// shipRecords brings records through journal, spool and shipper to the server, and returns the CPU
// time of this process, and how long it took.
func shipRecords(t *testing.T, client *elastic.Client, namespace string, gzip bool) (cpu, took time.Duration, entryBytes int) {
	t.Helper()
	dir, registry := t.TempDir(), prometheus.NewRegistry()
	s, err := spool.Open(spool.Options{
		Dir: dir, MaxBytes: 1 << 30, QueueBytes: 16 << 20, Outbox: true, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	dead, err := spool.OpenDeadLetters(dir, 1<<20, time.Now, registry)
	if err != nil {
		t.Fatal(err)
	}
	entries := accesslog.NewOptions(accesslog.Origin{Balancer: "lb-1", Version: "bench", Namespace: namespace}, nil)
	ids := journal.NewIDs(t.Name(), time.Now())
	j := journal.New(journal.Options{Spool: s, IDs: ids, Random: rand.Float64, Entries: entries})
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
	for i := range benchRecords {
		j.Add(benchRecord(i))
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
	return cpu, took, len(accesslog.AppendEntry(nil, ids.Next(), new(benchRecord(1)), entries))
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
func measureRequests(t *testing.T, server, namespace string) []added {
	t.Helper()
	var mode atomic.Value
	mode.Store(serverFast)
	front := before(t, server, &mode)
	pod := barePod(t)
	silent := func(s *app.Settings) { s.LogSample, s.Identity = "0", "silent" }
	without := benchBalancer(t, pod, silent)
	spooled := benchBalancer(t, pod)
	shipped := benchBalancer(t, pod, func(s *app.Settings) { s.Elasticsearch.URL, s.Elasticsearch.Namespace = front, namespace+".path" })
	var all []added
	compare(t, serverNone, without, spooled, benchWarm)
	all = append(all, compare(t, serverNone, without, spooled, benchPairs))
	compare(t, serverFast, without, shipped, benchWarm)
	n := benchWarm
	for _, way := range []string{serverFast, serverSlow, serverBusy, serverDown, serverBack} {
		mode.Store(way)
		all = append(all, compare(t, way, without, shipped, benchPairs))
		n += benchPairs
	}
	testwait.Until(t, "every request is in the index", func() bool { return count(t, server, namespace+".path") >= n })
	if got := count(t, server, namespace+".path"); got != n {
		t.Errorf("%d documents of %d requests", got, n)
	}
	fmt.Printf("\n%d requests were logged over all of these; each is in the index once\n", n)
	return all
}

const (
	benchWarm  = 2_000
	benchPairs = 20_000
	benchBlock = 1_000
)

// compare sends one request to each by turns, in an order that changes. The figures are medians over
// blocks, so that one hiccup of the machine is not taken for what logging adds.
func compare(t *testing.T, name string, without, with string, pairs int) added {
	t.Helper()
	lines := [2]*bench{dialBench(t, without), dialBench(t, with)}
	var p50, p99 [2][]float64
	var added50, added99 []float64
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
			p50[i], p99[i] = append(p50[i], times[i][benchBlock/2]), append(p99[i], times[i][benchBlock*99/100])
		}
		added50 = append(added50, times[1][benchBlock/2]-times[0][benchBlock/2])
		added99 = append(added99, times[1][benchBlock*99/100]-times[0][benchBlock*99/100])
	}
	for _, line := range lines {
		_ = line.conn.Close()
	}
	return added{
		Server: name, Requests: pairs, P50: median(p50[1]), P99: median(p99[1]), WithoutP50: median(p50[0]), WithoutP99: median(p99[0]),
		AddedP50: median(added50), AddedP99: median(added99),
	}
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
