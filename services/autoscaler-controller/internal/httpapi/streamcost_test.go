package httpapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// BenchmarkEvents_OpenConsoles measures what streams of events cost the process that serves them, over TLS, by the traffic
// of `make bench-console`: five applications of which each second something else is reported, and one that is decided on
// every two seconds. Who reads is another process.
func BenchmarkEvents_OpenConsoles(b *testing.B) {
	for _, streams := range []int{0, 20, 240} {
		b.Run(strconv.Itoa(streams), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			server := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestServeEventsForTheBenchmark$", "-test.v")
			server.Env = append(os.Environ(), "NEMESIS_BENCH_EVENTS=1")
			say, err := server.StdinPipe()
			if err != nil {
				b.Fatal(err)
			}
			said, err := server.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			if err := server.Start(); err != nil {
				b.Fatal(err)
			}
			lines := bufio.NewScanner(said)
			next := func(name string) string {
				for lines.Scan() {
					if _, value, is := strings.Cut(lines.Text(), name+"="); is {
						return value
					}
				}
				b.Fatalf("the server said no %s", name)
				return ""
			}
			address := next("address")
			var events atomic.Int64
			var reading sync.WaitGroup
			for i := range streams {
				client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/v1/events", http.NoBody)
				r.Header.Set("Authorization", fmt.Sprintf("Bearer of-%d", i)) // each is somebody else's
				answer, err := client.Do(r)
				if err != nil || answer.StatusCode != http.StatusOK {
					b.Fatal(answer, err)
				}
				reading.Go(func() {
					defer func() { _ = answer.Body.Close() }()
					of := bufio.NewScanner(answer.Body)
					for of.Scan() {
						if strings.HasPrefix(of.Text(), "event: ") {
							events.Add(1)
						}
					}
				})
			}
			_, _ = io.WriteString(say, "measure\n")
			used, _ := strconv.ParseFloat(next("cpu"), 64)
			b.ReportMetric(used, "cpu-ms/s")
			b.ReportMetric(float64(events.Load())/benchSeconds/float64(max(streams, 1)), "events/s/stream")
			b.ReportMetric(0, "ns/op")
			cancel()
			reading.Wait()
			_ = server.Wait()
		})
	}
}

const benchSeconds = 10

// TestServeEventsForTheBenchmark is its server, in a process of its own.
func TestServeEventsForTheBenchmark(t *testing.T) {
	if os.Getenv("NEMESIS_BENCH_EVENTS") == "" {
		t.Skip("the benchmark starts it")
	}
	p := newParts()
	keys := make([]fleet.Key, 6)
	for i := range keys {
		keys[i] = fleet.Key{Namespace: "default", Deployment: fmt.Sprintf("busy-%d", i)}
		p.observeKey(keys[i], 1)
	}
	made := httptest.NewUnstartedServer(nil)
	made.StartTLS()
	pair := made.TLS.Certificates[0]
	made.Close()
	s, err := httpserver.Listen(t.Context(), httpserver.Options{
		Address: "127.0.0.1:0", Handler: p.handler(t), Log: slog.New(slog.DiscardHandler),
		Secure: httpserver.NewSecure(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }, false),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Run(t.Context()) }()
	go func() {
		for n := 1; ; n++ { // half a second each
			time.Sleep(500 * time.Millisecond)
			if n%2 == 0 {
				report := fleet.Report{Balancer: "lb", StartedAt: long, Sequence: int64(n)}
				for i, k := range keys {
					report.Applications = append(report.Applications, fleet.Traffic{Key: k, InFlight: int32((n + i) % 3), Requests: int64(10 * n)})
				}
				p.fleet.Report(report, time.Now())
				for _, k := range keys {
					p.board.Changed(k, false)
				}
			}
			if n%4 == 1 {
				r := p.records[0]
				r.Key, r.ID, r.Time = keys[5], strconv.Itoa(n), time.Now()
				for range 4 {
					r.Reasons = append(r.Reasons, scaling.Reason{Rule: "maxReplicas", Effect: scaling.Wish, Replicas: 1, Message: "what is in the way of another number of pods, in words that people read", Inputs: r.Reasons[0].Inputs})
				}
				p.board.Decided(r)
				p.board.Changed(r.Key, true)
				p.observeKey(keys[5], 1+int32(n/4%2))
				p.board.Changed(r.Key, false)
				time.AfterFunc(40*time.Millisecond, func() { p.board.Changed(r.Key, false) })
				time.AfterFunc(300*time.Millisecond, func() {
					r.ID += "-settled"
					p.board.Decided(r)
					p.board.Changed(r.Key, true)
				})
			}
		}
	}()
	fmt.Printf("\naddress=%s\n", s.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	time.Sleep(time.Second)
	if to := os.Getenv("NEMESIS_BENCH_PROFILE"); to != "" {
		f, _ := os.Create(to)
		_ = pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	before := processorTime()
	time.Sleep(benchSeconds * time.Second)
	used := float64(processorTime()-before) / 1e6 / benchSeconds
	pprof.StopCPUProfile()
	fmt.Printf("\ncpu=%.3f\n", used)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func processorTime() int64 {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return used.Utime.Nano() + used.Stime.Nano()
}

func (p *parts) observeKey(k fleet.Key, replicas int32) {
	p.fleet.Observe(fleet.Observation{
		Key: k, Autoscaler: "fib", Since: long,
		Spec:       scaling.Spec{MaxReplicas: 3, IdleTime: 90 * time.Second, WakeUpTimeout: 2 * time.Minute},
		Address:    fleet.Address{Prefix: "/" + k.Deployment, Algorithm: "RoundRobin", Service: "fib.default.svc:80"},
		Deployment: fleet.Deployment{Found: true, Replicas: replicas, Created: long},
		Pods:       []fleet.Pod{{Name: k.Deployment, Node: "n", Address: "10.0.0.1:80", Ready: true, CreatedAt: long, ReadyAt: long}},
	}, time.Now())
}
