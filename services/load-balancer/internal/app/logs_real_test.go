//go:build elasticsearch

package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
)

// index is the real server, made ready for one test.
type index struct {
	url, namespace string
	user, password string // of who may do all, when there are users
	writer         [2]string
}

func newIndex(t *testing.T) *index {
	t.Helper()
	x := &index{url: os.Getenv("NEMESIS_ELASTICSEARCH_URL"), namespace: "app" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	if x.url == "" {
		t.Fatal("NEMESIS_ELASTICSEARCH_URL is not set: use deployments/with-elasticsearch")
	}
	o := elastic.Options{URLs: []string{x.url}}
	if user, password, ok := strings.Cut(os.Getenv("NEMESIS_ELASTICSEARCH_ADMIN"), ":"); ok {
		x.user, x.password = user, password
		o.Username, o.PasswordFile = user, secretFile(t, password)
		name, secret, _ := strings.Cut(os.Getenv("NEMESIS_ELASTICSEARCH_WRITER"), ":")
		x.writer = [2]string{name, secretFile(t, secret)}
	}
	client, err := elastic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := elastic.Setup(t.Context(), client, elastic.SetupOptions{Namespace: x.namespace, Retention: "1d"}, func(elastic.Step) {}); err != nil {
		t.Fatal(err)
	}
	return x
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// paths are how often each path is in the index.
func (x *index) paths(t *testing.T) map[string]int {
	t.Helper()
	stream := x.url + "/" + elastic.Stream(elastic.AccessDataset, x.namespace)
	found, after := map[string]int{}, ""
	x.ask(t, stream+"/_refresh?ignore_unavailable=true", "", nil)
	for {
		var page struct {
			Hits struct {
				Hits []struct {
					Sort []string `json:"sort"`
				} `json:"hits"`
			} `json:"hits"`
		}
		x.ask(t, stream+"/_search?ignore_unavailable=true", `{"size":10000,"_source":false,"sort":["url.path","event.id"]`+after+`}`, &page)
		for _, hit := range page.Hits.Hits {
			found[hit.Sort[0]]++
			after = fmt.Sprintf(`,"search_after":[%q,%q]`, hit.Sort[0], hit.Sort[1])
		}
		if len(page.Hits.Hits) == 0 {
			return found
		}
	}
}

func (x *index) ask(t *testing.T, url, body string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if x.user != "" {
		r.SetBasicAuth(x.user, x.password)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(said, into)
	}
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", url, answer.StatusCode, said, err)
	}
}

// shipped waits until all that was logged is in the index, for as long as that comes nearer: a busy
// server may take many seconds for one bulk request, and there may be many.
func (b *balancer) shipped(t *testing.T) {
	t.Helper()
	type left struct{ Queue, Unshipped string }
	testwait.Progress(t, "all is shipped", func() (left, bool) {
		_, metrics := get(t, client(t), b.admin+"/metrics")
		l := left{metric(metrics, "nemesis_lb_log_queue_bytes"), metric(metrics, "nemesis_lb_log_unshipped_records")}
		return l, l == left{"0", "0"}
	})
}

// metric is the value of a metric without labels, as it stands on the page.
func metric(page, name string) string {
	_, rest, _ := strings.Cut(page, "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

func TestElasticsearch_HasEveryRequestAndLogsAreSearchedThere(t *testing.T) {
	x := newIndex(t)
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, says("hello")))
	b := boot(t, server.URL, func(s *app.Settings) {
		s.Elasticsearch.URL, s.Elasticsearch.Namespace = x.url, x.namespace
		if x.user != "" {
			s.Elasticsearch.Username, s.Elasticsearch.PasswordFile = x.user, secretFile(t, x.password)
		}
	})
	for n := range 20 {
		get(t, client(t), fmt.Sprintf("%s/app/%d", b.url, n))
	}
	b.shipped(t)
	if found := x.paths(t); len(found) != 20 {
		t.Errorf("%v", found)
	}
	page := b.logs(t, &loadbalancer.ListProxyLogsParams{Text: new("/app/19")})
	if len(page.Items) != 1 || *page.Items[0].Path != "/app/19" || page.Items[0].Status != 200 {
		t.Errorf("%+v", page)
	}
	b.stop() // what is left is shipped before the end
	if err := <-b.ended; err != nil {
		t.Error(err)
	}
	b.ended <- nil
}

// The program itself is killed while it serves. Every request that was answered is in the index once
// afterwards, but for those that sat in the queue: answered right before a kill.
func TestElasticsearch_AfterKillsEveryAnsweredRequestIsThereOnce(t *testing.T) {
	const (
		kills   = 6
		clients = 4
	)
	x := newIndex(t)
	program := filepath.Join(t.TempDir(), "load-balancer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/load-balancer").CombinedOutput(); err != nil {
		t.Fatalf("build: %v %s", err, out)
	}
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, says("hello")))
	args := []string{
		"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-controller-url", server.URL, "-identity", "lb", "-lame-duck", "0s",
		"-clear-text", "-authentication", "optional", // as boot
		"-log-spool-dir", t.TempDir(), "-elasticsearch-url", x.url, "-elasticsearch-namespace", x.namespace,
	}
	if x.user != "" {
		args = append(args, "-elasticsearch-username", x.writer[0], "-elasticsearch-password-file", x.writer[1])
	}
	answered := map[string]bool{} // whether it was on the disk before the kill, for all that was answered
	for round := range kills + 1 {
		process, url, admin := launch(t, program, args)
		records := func() int {
			_, page := get(t, client(t), admin+"/metrics")
			n, err := strconv.ParseFloat(metric(page, "nemesis_lb_log_spool_records"), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		before := records()
		asking, enough := begin(t, round, clients, url), 20+rand.IntN(300)
		if round < kills {
			testwait.Until(t, "some requests are answered", func() bool { return asking.count() >= enough })
			// The queue is written in its order: when there are as many entries as requests had begun, all that were over are on the disk.
			over, begun := asking.over()
			testwait.Until(t, "these are on the disk", func() bool { return records()-before >= begun })
			_ = process.Process.Kill()
			for path := range asking.end() {
				answered[path] = over[path]
			}
			_ = process.Wait()
			continue
		}
		testwait.Until(t, "enough requests are answered", func() bool { return asking.count() >= 100 })
		for path := range asking.end() { // the last one ends in peace, when it has shipped what is left
			answered[path] = true
		}
		(&balancer{admin: admin}).shipped(t)
		_ = process.Process.Signal(syscall.SIGTERM)
		if err := process.Wait(); err != nil {
			t.Errorf("the last one: %v", err)
		}
	}
	found := x.paths(t)
	lost := 0
	for path, written := range answered {
		switch {
		case found[path] == 1:
		case found[path] == 0 && !written:
			lost++
		default:
			t.Errorf("%s was answered, on the disk before a kill: %t, and is there %d times", path, written, found[path])
		}
	}
	for path, times := range found {
		if times != 1 {
			t.Errorf("%s is there %d times", path, times)
		}
	}
	t.Logf("%d kills: %d requests were answered, %d are in the index, none twice; the guarantee names %d: in the queue at a kill", kills, len(answered), len(found), lost)
}

// crowd is clients that ask one request after another, each of its own path.
type crowd struct {
	stop    chan struct{}
	clients sync.WaitGroup
	mu      sync.Mutex
	begun   int
	asked   [][]string // by client: the paths that were answered
}

func begin(t *testing.T, round, clients int, url string) *crowd {
	l := &crowd{stop: make(chan struct{}), asked: make([][]string, clients)}
	for c := range clients {
		one := client(t)
		l.clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				l.mu.Lock()
				l.begun++
				l.mu.Unlock()
				path := fmt.Sprintf("/app/%d/%d/%d", round, c, n)
				r, err := one.Get(url + path)
				if err != nil {
					return
				}
				_, err = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
				if err == nil && r.StatusCode == http.StatusOK {
					l.mu.Lock()
					l.asked[c] = append(l.asked[c], path)
					l.mu.Unlock()
				}
			}
		})
	}
	return l
}

func (l *crowd) count() (answered int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, paths := range l.asked {
		answered += len(paths)
	}
	return answered
}

// over returns the requests that the program is done with, and how many were begun. The last answer of a client may have
// come before its entry was in the queue; the one before it was in it, for the connection went on.
func (l *crowd) over() (paths map[string]bool, begun int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	paths = map[string]bool{}
	for _, asked := range l.asked {
		for _, path := range asked[:max(0, len(asked)-1)] {
			paths[path] = true
		}
	}
	return paths, l.begun
}

// end stops the clients, and returns what was answered.
func (l *crowd) end() map[string]bool {
	close(l.stop)
	l.clients.Wait()
	paths := map[string]bool{}
	for _, asked := range l.asked {
		for _, path := range asked {
			paths[path] = true
		}
	}
	return paths
}

// launch starts the program, and returns where clients come and where its API is, once it is ready.
func launch(t *testing.T, program string, args []string) (process *exec.Cmd, url, admin string) {
	t.Helper()
	process = exec.CommandContext(t.Context(), program, args...)
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	var line struct{ Msg, Data, Admin string }
	lines := bufio.NewScanner(out)
	for line.Msg != "serving" {
		if !lines.Scan() {
			t.Fatalf("it ended: %v", process.Wait())
		}
		_ = json.Unmarshal(lines.Bytes(), &line)
	}
	go func() {
		for lines.Scan() {
			testLog{t}.Write(lines.Bytes()) //nolint:errcheck // it never fails
		}
	}()
	testwait.Until(t, "ready", func() bool {
		r, err := http.Get("http://" + line.Admin + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return process, "http://" + line.Data, "http://" + line.Admin
}
