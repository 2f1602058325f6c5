package receivers

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
)

// heard is what a Post said and counted.
type heard struct {
	mu      sync.Mutex
	events  []kube.Event
	sent    map[bool]int
	dropped map[notices.Dropped]int
}

func (h *heard) Add(e kube.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *heard) NoticeSent(_ notices.Format, taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent[taken]++
}

func (h *heard) NoticeDropped(why notices.Dropped) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropped[why]++
}

// has tells whether there is an event of this reason whose message has these words.
func (h *heard) has(reason, words string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.Reason == reason && strings.Contains(e.Message, words) && e.About.Kind == "Secret" && e.About.Name == Name {
			return true
		}
	}
	return false
}

func named(namespace, text string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Name, UID: "u"}, Data: map[string][]byte{key: []byte(text)}}
}

// newPost makes one that has seen these Secrets.
func newPost(t *testing.T, networks string, secrets ...*corev1.Secret) (*Post, *heard) {
	t.Helper()
	h := &heard{sent: map[bool]int{}, dropped: map[notices.Dropped]int{}}
	p, err := New(Options{
		Log: slog.New(slog.DiscardHandler), Namespace: "nemesis-system", Networks: allowed(t, networks), Events: h, Meter: h,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		p.seen(s, false)
	}
	return p, h
}

func runs(t *testing.T, p *Post) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.work(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

var contested = fleet.Event{Warning: true, News: fleet.News{Kind: fleet.Contested, Deployment: "llama", Message: "somebody"}}

func TestPost_TellsWhomASecretNames_AsItChanges(t *testing.T) {
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.URL.Path
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	hook := func(path string) string {
		return "webhooks: [{name: chat, url: '" + server.URL + path + "', format: Slack}]"
	}
	p, h := newPost(t, "127.0.0.1", named("shop", hook("/a")), named("other", hook("/b")))
	runs(t, p)
	followed := func(n, bad int) func() bool {
		return func() bool { f, m := p.Secrets(); return f == n && m == bad }
	}
	if !followed(2, 0)() {
		t.Fatal("not both Secrets are followed")
	}
	p.Tell(fleet.Autoscaler{Namespace: "shop", Name: "a"}, contested)
	if path := <-got; path != "/a" {
		t.Errorf("told at %s", path)
	}
	p.seen(named("shop", "webhooks: [{name: hunter2}]"), false)
	if !h.has("Malformed", "webhooks.0.url: must be given") {
		t.Errorf("it is not told that one cannot be read: %v", h.events)
	}
	other := contested
	other.News.Deployment = "mistral"
	p.Tell(fleet.Autoscaler{Namespace: "shop", Name: "a"}, other)
	if path := <-got; path != "/a" {
		t.Errorf("with a malformed Secret told at %s", path)
	}
	if !followed(1, 1)() {
		t.Error("the malformed one is not counted")
	}
	p.seen(named("shop", hook("/gone")), false)
	other.News.Deployment = "qwen"
	p.Tell(fleet.Autoscaler{Namespace: "shop", Name: "a"}, other)
	if path := <-got; path != "/gone" {
		t.Errorf("told at %s", path)
	}
	testwait.Until(t, "it is told that it was not taken", func() bool { return h.has("NotDelivered", "chat: it answered 404") })
	p.seen(named("shop", hook("/gone")), true)
	if !followed(1, 0)() {
		t.Error("the one that was deleted is followed")
	}
	other.News.Deployment = "phi"
	p.Tell(fleet.Autoscaler{Namespace: "shop", Name: "a"}, other)
	if n := p.Waiting(); n != 0 {
		t.Errorf("%d wait, though nobody is to be told", n)
	}
}

func TestPost_TellsWhatIsLeftAtItsEnd(t *testing.T) {
	let, got := make(chan struct{}), make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-let; got <- struct{}{} }))
	defer server.Close()
	p, h := newPost(t, "127.0.0.1", named("shop", "webhooks: [{name: chat, url: '"+server.URL+"', format: Slack}]"))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.work(ctx) })
	p.Tell(fleet.Autoscaler{Namespace: "shop", Name: "a"}, contested)
	cancel()
	close(let)
	running.Wait()
	if len(got) != 1 || h.sent[true] != 1 || p.Waiting() != 0 {
		t.Errorf("%d came, %v sent, %d wait", len(got), h.sent, p.Waiting())
	}
}

func TestPost_WithoutNetworksAsksForNothing(t *testing.T) {
	p, _ := newPost(t, "", named("shop", "webhooks: [{name: chat, url: 'https://a.example', format: Slack}]"))
	if err := p.Run(t.Context()); err != nil { // it has no client, and needs none
		t.Fatal(err)
	}
	p.Tell(fleet.Autoscaler{Namespace: "shop", Name: "a"}, contested)
	if p.Waiting() > 0 {
		t.Errorf("%d wait", p.Waiting())
	}
}

func TestPost_ASecretThatWasDeletedUnseenIsForgotten(t *testing.T) {
	p, _ := newPost(t, "127.0.0.1")
	s := named("shop", "webhooks: [{name: chat, url: 'https://a.example', format: Slack}]")
	p.seen(s, false)
	other := named("shop", "x")
	other.Name = "other"
	p.seen(other, false)
	if f, m := p.Secrets(); f != 1 || m != 0 {
		t.Fatalf("%d followed, %d malformed", f, m)
	}
	p.seen(cache.DeletedFinalStateUnknown{Obj: s}, true)
	if f, _ := p.Secrets(); f != 0 {
		t.Errorf("%d followed", f)
	}
}

func TestShrink_KeepsNothingElse(t *testing.T) {
	s := named("shop", strings.Repeat("x", maxText+100))
	s.Data["password"] = []byte("hunter2")
	s.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}
	out, err := shrink(s)
	if err != nil {
		t.Fatal(err)
	}
	kept := out.(*corev1.Secret) //nolint:forcetypeassert // of shrink
	if len(kept.Data) != 1 || len(kept.Data[key]) != maxText+1 || kept.Annotations != nil {
		t.Errorf("%d keys, %d bytes, %v", len(kept.Data), len(kept.Data[key]), kept.Annotations)
	}
	p, h := newPost(t, "127.0.0.1")
	p.seen(kept, false)
	if !h.has("Malformed", "more than the 65536 bytes") {
		t.Errorf("%v", h.events)
	}
}

func TestPost_SendsAReportToTheOneThatAskedForIt(t *testing.T) {
	type call struct{ path, id, text string }
	got := make(chan call, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- call{r.URL.Path, r.Header.Get("Webhook-Id"), string(body)}
		if r.URL.Path == "/b" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	p, h := newPost(t, "127.0.0.1", named("shop", "webhooks: [{name: a, url: '"+server.URL+"/a', format: Slack, report: daily}, {name: b, url: '"+server.URL+"/b', format: Slack, report: weekly}, {name: c, url: '"+server.URL+"/c', format: Slack}]"))
	runs(t, p)
	list := p.Reporting()
	if len(list) != 2 || list[0].Name != "a" || list[1].Name != "b" || list[1].Namespace != "shop" {
		t.Fatalf("%+v", list)
	}
	ended := make(chan notices.Dropped, 2)
	for i, want := range []notices.Dropped{"", notices.DroppedRefused} {
		if !p.Send(list[i], "msg_1", *aReport("shop").Report, func(why notices.Dropped) { ended <- why }) {
			t.Fatal("there is no such receiver")
		}
		if c := <-got; c.path != "/"+list[i].Name || c.id != "msg_1" || !strings.Contains(c.text, "Nemesis, namespace shop") {
			t.Errorf("%+v", c)
		}
		if why := <-ended; why != want {
			t.Errorf("it ended with %q, not %q", why, want)
		}
	}
	testwait.Until(t, "it is told that it was not taken", func() bool { return h.has("NotDelivered", "b: it answered 404") })
	p.seen(named("shop", "webhooks: []"), false)
	if p.Send(list[0], "msg_2", *aReport("shop").Report, func(notices.Dropped) { t.Error("it ended") }) || len(p.Reporting()) > 0 {
		t.Error("a report is taken for one that is there no more")
	}
}
