//go:build elasticsearch

package elastic_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// The tests of this file ship to the real server. Where a fault is wanted that it does not show by
// itself, something stands before it for that alone; the rest goes through to it.

// stream is a data stream of one test on the real server.
type stream struct {
	t        *testing.T
	url      string
	name     string
	user     string
	password string
}

// newStream makes one with its template, which knows n as a number.
func newStream(t *testing.T) *stream {
	t.Helper()
	s := unmadeStream(t)
	s.makeTemplate()
	return s
}

func unmadeStream(t *testing.T) *stream {
	t.Helper()
	s := &stream{t: t, url: os.Getenv("NEMESIS_ELASTICSEARCH_URL"), name: "logs-nemesis.access-ship" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	if s.url == "" {
		t.Fatal("NEMESIS_ELASTICSEARCH_URL is not set: use deployments/with-elasticsearch")
	}
	s.user, s.password, _ = strings.Cut(os.Getenv("NEMESIS_ELASTICSEARCH_ADMIN"), ":")
	return s
}

func (s *stream) makeTemplate() {
	s.t.Helper()
	s.ask(http.MethodPut, "/_index_template/"+s.name, fmt.Sprintf(`{"index_patterns":["%s"],"priority":500,"data_stream":{},
		"template":{"settings":{"number_of_replicas":0},"mappings":{"dynamic":false,"properties":{"@timestamp":{"type":"date"},"n":{"type":"long"}}}}}`, s.name))
}

func (s *stream) ask(method, path, body string) []byte {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if s.user != "" {
		r.SetBasicAuth(s.user, s.password)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %s %v", method, path, answer.StatusCode, said, err)
	}
	return said
}

// numbers are the n of all documents, and how often each is there.
func (s *stream) numbers() map[int]int {
	s.t.Helper()
	s.ask(http.MethodPost, "/"+s.name+"/_refresh", "")
	found, after := map[int]int{}, ""
	for {
		var page struct {
			Hits struct {
				Hits []struct {
					Sort []json.Number `json:"sort"`
				} `json:"hits"`
			} `json:"hits"`
		}
		query := fmt.Sprintf(`{"size":10000,"_source":false,"sort":["n","_doc"]%s}`, after)
		if err := json.Unmarshal(s.ask(http.MethodPost, "/"+s.name+"/_search", query), &page); err != nil {
			s.t.Fatal(err)
		}
		for _, hit := range page.Hits.Hits {
			n, _ := hit.Sort[0].Int64()
			found[int(n)]++
			after = fmt.Sprintf(`,"search_after":[%s,%s]`, hit.Sort[0], hit.Sort[1])
		}
		if len(page.Hits.Hits) == 0 {
			return found
		}
	}
}

// wantEach wants the numbers from 0 to below n once each, but for some.
func (s *stream) wantEach(n int, but ...int) {
	s.t.Helper()
	found := s.numbers()
	for _, i := range but {
		if found[i] != 0 {
			s.t.Errorf("%d is there", i)
		}
		found[i] = 1
	}
	for i := range n {
		if found[i] != 1 {
			s.t.Fatalf("%d is there %d times, of %d documents", i, found[i], len(found))
		}
	}
	if len(found) != n {
		s.t.Errorf("%d documents, want %d", len(found), n)
	}
}

// write is an entry of the stream.
func write(name string, n int, value string) []byte {
	return fmt.Appendf(nil, `{"create":{"_index":"%s","_id":"e.%d"}}`+"\n"+`{"@timestamp":"2026-01-02T03:04:05.000Z","n":%s,"message":"%s"}`+"\n", name, n, value, strings.Repeat("x", 300))
}

// line is a spool and a shipper that runs.
type line struct {
	t        *testing.T
	spool    *spool.Spool
	registry *prometheus.Registry
	end      func()
}

func open(dir string, registry *prometheus.Registry) (*spool.Spool, error) {
	s := spool.Open(spool.Options{
		Dir: dir, MaxBytes: 256 << 20, QueueBytes: 16 << 20, Outbox: true, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: registry,
	})
	return s, s.Stats().Failing
}

func shipper(s *spool.Spool, dir, server string, registry *prometheus.Registry, log io.Writer) (*elastic.Shipper, error) {
	o := elastic.Options{URLs: []string{server}}
	if user, password, ok := strings.Cut(os.Getenv("NEMESIS_ELASTICSEARCH_WRITER"), ":"); ok {
		o.Username, o.PasswordFile = user, filepath.Join(dir, "password")
		if err := os.WriteFile(o.PasswordFile, []byte(password), 0o600); err != nil {
			return nil, err
		}
	}
	client, err := elastic.New(o)
	if err != nil {
		return nil, err
	}
	dead := spool.NewDeadLetters(dir, 1<<20, time.Now, registry)
	return elastic.NewShipper(client, elastic.ShipperOptions{
		Outbox: s.Outbox(), DeadLetters: dead, Random: func() float64 { return rand.Float64() / 20 }, // not so long, in tests
		Log: slog.New(slog.NewTextHandler(log, nil)), Registry: registry,
	}), nil
}

func start(t *testing.T, dir, server string) *line {
	t.Helper()
	l := &line{t: t, registry: prometheus.NewRegistry()}
	var err error
	if l.spool, err = open(dir, l.registry); err != nil {
		t.Fatal(err)
	}
	s, err := shipper(l.spool, dir, server, l.registry, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	var once atomic.Bool
	l.end = func() {
		if once.CompareAndSwap(false, true) {
			cancel()
			<-ended
			if err := l.spool.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(l.end)
	return l
}

func (l *line) offer(name string, from, to int) {
	l.t.Helper()
	for n := from; n < to; n++ {
		for !l.spool.Offer(write(name, n, strconv.Itoa(n))) {
			if err := l.spool.Flush(l.t.Context()); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	if err := l.spool.Flush(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// shipped waits until nothing is left to ship.
func (l *line) shipped() {
	l.t.Helper()
	l.until("all is shipped", func() bool { return l.spool.Stats().UnshippedRecords == 0 })
}

func (l *line) until(what string, ok func() bool) {
	l.t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			l.t.Fatalf("not in time: %s: %+v", what, l.spool.Stats())
		}
	}
}

// metric is the value of a metric, of the reason if it has one.
func (l *line) metric(name, reason string) float64 {
	l.t.Helper()
	families, err := l.registry.Gather()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "nemesis_lb_log_"+name && (reason == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == reason) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	l.t.Fatalf("no metric %s %s", name, reason)
	return 0
}

// before stands before the real server: what fault does not answer goes through.
func before(t *testing.T, server string, fault func(http.ResponseWriter, *http.Request) bool, change func(*http.Response) error) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = change
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept-Encoding") // so that what change sees is plain
		if fault == nil || !fault(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func TestElasticsearch_ToSendAgainIsHarmless(t *testing.T) {
	s, dir := newStream(t), t.TempDir()
	l := start(t, dir, s.url)
	l.offer(s.name, 0, 500)
	l.shipped()
	l.end()
	kept := l.spool.Stats().Records
	if err := os.Remove(filepath.Join(dir, "committed.json")); err != nil {
		t.Fatal(err)
	}
	l = start(t, dir, s.url)
	l.shipped()
	if got := l.metric("duplicates_total", ""); kept == 0 || got != float64(kept) {
		t.Errorf("%v were there already, want %d", got, kept)
	}
	s.wantEach(500)
}

func TestElasticsearch_OneRefusedEntryHoldsNobodyUp(t *testing.T) {
	s, dir := newStream(t), t.TempDir()
	l := start(t, dir, s.url)
	for n := range 100 {
		value := strconv.Itoa(n)
		if n == 50 {
			value = `"no number"`
		}
		l.spool.Offer(write(s.name, n, value))
	}
	if err := l.spool.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.shipped()
	s.wantEach(100, 50)
	letters, err := os.ReadFile(filepath.Join(dir, "dead-letters.ndjson"))
	if err != nil || strings.Count(string(letters), "\n") != 1 || !strings.Contains(string(letters), `"_id":"e.50"`) || !strings.Contains(string(letters), "no number") {
		t.Errorf("%v: %s", err, letters)
	}
	if got := l.metric("dead_letters_total", ""); got != 1 {
		t.Errorf("%v put aside", got)
	}
	t.Logf("%.300s", letters)
}

func TestElasticsearch_WithoutATemplateAllIsKept(t *testing.T) {
	s := unmadeStream(t)
	s.name = "nemesis-" + s.name // no built-in template makes a stream of that name
	if user := os.Getenv("NEMESIS_ELASTICSEARCH_WRITER"); user != "" {
		t.Skip("the writer may write to the product's streams alone")
	}
	l := start(t, t.TempDir(), s.url)
	l.offer(s.name, 0, 10)
	l.until("it is held", func() bool { return l.metric("holding", "no-data-stream") == 1 })
	if got := l.spool.Stats().UnshippedRecords; got != 10 {
		t.Errorf("%d are kept", got)
	}
	s.makeTemplate()
	l.shipped()
	s.wantEach(10)
	if l.metric("holding", "no-data-stream") != 0 || l.metric("dead_letters_total", "") != 0 {
		t.Error("it is still held, or some were put aside")
	}
}

func TestElasticsearch_ACurbOnShardsHoldsAndPutsNothingAside(t *testing.T) {
	s := unmadeStream(t)
	s.makeTemplate()
	curb := func(shards string) {
		s.ask(http.MethodPut, "/_cluster/settings", `{"persistent":{"cluster.max_shards_per_node":`+shards+`}}`)
	}
	s.ask(http.MethodPut, "/nemesis-"+s.name, "") // there is a shard at least
	curb("1")
	defer curb("null")
	l := start(t, t.TempDir(), s.url)
	l.offer(s.name, 0, 10)
	l.until("it is held", func() bool { return l.metric("holding", "no-index") == 1 })
	curb("null")
	l.shipped()
	s.wantEach(10)
	if l.metric("dead_letters_total", "") != 0 {
		t.Error("some were put aside")
	}
}

func TestElasticsearch_AWrongPasswordHoldsUntilTheFileHasTheRightOne(t *testing.T) {
	s := newStream(t)
	user, password, ok := strings.Cut(os.Getenv("NEMESIS_ELASTICSEARCH_WRITER"), ":")
	if !ok {
		t.Skip("this server has no users")
	}
	t.Setenv("NEMESIS_ELASTICSEARCH_WRITER", user+":wrong")
	dir := t.TempDir()
	l := start(t, dir, s.url)
	l.offer(s.name, 0, 10)
	l.until("it is held", func() bool { return l.metric("holding", "rights") == 1 })
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	l.shipped()
	s.wantEach(10)
	if l.metric("dead_letters_total", "") != 0 {
		t.Error("some were put aside")
	}
}

func TestElasticsearch_AStormOf429IsOutlasted(t *testing.T) {
	s := newStream(t)
	var asked atomic.Int32
	url := before(t, s.url, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "_bulk") || asked.Add(1) > 20 {
			return false
		}
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"error":{"type":"circuit_breaking_exception","reason":"too much"},"status":429}`)
		return true
	}, nil)
	l := start(t, t.TempDir(), url)
	l.offer(s.name, 0, 3000)
	l.shipped()
	s.wantEach(3000)
	if l.metric("retries_total", "busy") == 0 || l.metric("duplicates_total", "") != 0 {
		t.Error("nothing was sent again, or what was taken")
	}
}

// Some items of an answer are turned into refusals by a busy node: those alone are sent again.
func TestElasticsearch_OnlyTheItemsThatWereRefusedAreSentAgain(t *testing.T) {
	s := newStream(t)
	var storms atomic.Int32
	var sizes []int
	url := before(t, s.url, func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "_bulk") {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			sizes = append(sizes, bytes.Count(body, []byte(`{"create"`)))
			if storms.Add(1) == 1 { // the second half never reaches the server
				half := bytes.Index(body[len(body)/2:], []byte(`{"create"`)) + len(body)/2
				r.Header.Set("X-Left-Out", strconv.Itoa(bytes.Count(body[half:], []byte(`{"create"`))))
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body[:half])), int64(half)
			}
		}
		return false
	}, func(r *http.Response) error {
		left, _ := strconv.Atoi(r.Request.Header.Get("X-Left-Out"))
		if left == 0 {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		busy := strings.Repeat(`,{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue full"}}}`, left)
		body = bytes.Replace(bytes.Replace(body, []byte(`"errors":false`), []byte(`"errors":true`), 1), []byte("]}"), []byte(busy+"]}"), 1)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return err
	})
	dir := t.TempDir()
	early, err := open(dir, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		early.Offer(write(s.name, n, strconv.Itoa(n)))
	}
	if err := early.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := start(t, dir, url)
	l.shipped()
	s.wantEach(100)
	if len(sizes) != 2 || sizes[0] != 100 || sizes[1] == 0 || sizes[1] > 60 || l.metric("duplicates_total", "") != 0 {
		t.Errorf("requests of %v entries", sizes)
	}
}

func TestElasticsearch_AnAnswerThatIsCutSaysNothing(t *testing.T) {
	s := newStream(t)
	var answers atomic.Int32
	url := before(t, s.url, nil, func(r *http.Response) error {
		n := int(answers.Add(1))
		if !strings.HasSuffix(r.Request.URL.Path, "_bulk") || n > 6 {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		body = body[:len(body)*n/8]
		r.Body = io.NopCloser(bytes.NewReader(body))
		if n%2 == 0 { // as if it were whole
			r.ContentLength = int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		}
		return err
	})
	l := start(t, t.TempDir(), url)
	l.offer(s.name, 0, 1000)
	l.shipped()
	s.wantEach(1000)
	if l.metric("duplicates_total", "") == 0 || l.metric("retries_total", "answer")+l.metric("retries_total", "network") == 0 {
		t.Error("no answer was cut")
	}
}

func TestElasticsearch_WhatIsTooLargeIsHalved(t *testing.T) {
	s, dir := newStream(t), t.TempDir()
	url := before(t, s.url, func(w http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength <= 20_000 {
			return false
		}
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return true
	}, nil)
	l := start(t, dir, url)
	l.spool.Offer(bytes.Replace(write(s.name, 500, "500"), []byte("xxx"), bytes.Repeat([]byte("y"), 30_000), 1))
	l.offer(s.name, 0, 500)
	l.shipped()
	s.wantEach(500)
	if l.metric("dead_letters_total", "") != 1 || l.metric("retries_total", "halved") == 0 {
		t.Error("the one that is too large by itself was not put aside")
	}
}

func TestElasticsearch_KilledUnderLoadAndBack(t *testing.T) {
	control := os.Getenv("NEMESIS_ELASTICSEARCH_CONTROL")
	if control == "" {
		t.Skip("NEMESIS_ELASTICSEARCH_CONTROL is not set: this server is not ours to kill")
	}
	s := newStream(t)
	l := start(t, t.TempDir(), s.url)
	do := func(command string) {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", control+" "+command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v %s", command, err, out)
		}
	}
	l.offer(s.name, 0, 2000)
	l.until("some are shipped", func() bool { return l.metric("shipped_total", "") > 0 })
	do("kill")
	l.offer(s.name, 2000, 8000)
	l.until("it is held", func() bool { return l.metric("holding", "network") == 1 })
	do("start")
	l.offer(s.name, 8000, 10000)
	l.shipped()
	s.wantEach(10000)
	t.Logf("10000 entries over the server's kill: %v there already when they came again, none lost", l.metric("duplicates_total", ""))
}

const killedShipper = "NEMESIS_TEST_KILLED_SHIPPER" // the folder and the stream

// TestMain is also the process that is killed: it offers and ships, and tells how many it offered
// and how many of them are written.
func TestMain(m *testing.M) {
	dir, name, ok := strings.Cut(os.Getenv(killedShipper), "|")
	if !ok {
		os.Exit(m.Run())
	}
	begin, _ := strconv.Atoi(os.Args[1])
	registry := prometheus.NewRegistry()
	s, err := open(dir, registry)
	if err == nil {
		var ship *elastic.Shipper
		if ship, err = shipper(s, dir, os.Getenv("NEMESIS_ELASTICSEARCH_URL"), registry, io.Discard); err == nil {
			go ship.Run(context.Background())
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	pace := time.NewTicker(5 * time.Millisecond)
	for n := begin; ; n++ {
		s.Offer(write(name, n, strconv.Itoa(n)))
		if n%20 == 0 {
			written := s.Stats().Written
			fmt.Println(n+1, begin+int(written))
			<-pace.C
		}
	}
}

func TestElasticsearch_KilledBalancersLoseWhatWasInTheQueueAlone(t *testing.T) {
	s, dir := newStream(t), t.TempDir()
	next, lost := 0, 0
	type span struct{ from, offered, written int }
	var spans []span
	for range 8 {
		child := exec.CommandContext(t.Context(), os.Args[0], strconv.Itoa(next))
		child.Env = append(os.Environ(), killedShipper+"="+dir+"|"+s.name)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		now, enough := span{next, next, next}, 200+rand.IntN(4000)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, err := fmt.Sscan(lines.Text(), &now.offered, &now.written); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			if now.written-now.from >= enough {
				_ = child.Process.Kill() // in the midst of it; what it said until then is read on
			}
		}
		_ = child.Wait()
		spans = append(spans, now)
		next = now.offered + 1000 // it may have offered some more than it told
	}
	l := start(t, dir, s.url) // one that lives ships the rest
	l.shipped()
	found := s.numbers()
	offered := 0
	for _, one := range spans {
		for n := one.from; n < one.written; n++ {
			if found[n] != 1 {
				t.Errorf("%d was written, and is there %d times", n, found[n])
			}
		}
		for n := one.from; n < one.offered; n++ {
			offered++
			if found[n] == 0 {
				lost++
			}
		}
	}
	for n, times := range found {
		if times != 1 {
			t.Errorf("%d is there %d times", n, times)
		}
	}
	t.Logf("8 kills: %d entries offered, %d in the index once each; %d that the guarantee names (in the queue at a kill) lost; %v sent twice and harmless",
		offered, len(found), lost, l.metric("duplicates_total", ""))
	if len(found) < 8*200 {
		t.Errorf("%d found", len(found))
	}
}
