package httpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

// eager takes every push but those with "slow" in them.
type eager struct {
	got    []string
	err    error // of a batch
	passes bool  // a batch is of the second shard
}

func (e *eager) Push(body []byte, _ access.Caller) bool {
	if strings.Contains(string(body), "slow") {
		return false
	}
	e.got = append(e.got, string(body))
	return true
}

func (e *eager) PushBatch(body []byte, _ access.Caller, pass Pass) (receipt autoscaler.PodMetricsBatchReceipt, understood bool, err error) {
	understood = e.Push(body, access.Caller{})
	receipt.Accepted, err = 7, e.err
	if understood && e.passes {
		receipt, err = pass(1, body)
	}
	return receipt, understood, err
}

func (p *parts) short(t *testing.T, e *eager) http.Handler {
	t.Helper()
	p.pushes = e
	return p.handler(t)
}

const taken = `{"podName":"p","namespace":"n","metrics":{"queued":1}}`

func TestPushes_TakeTheShortWayAndTheAnswerIsTheSame(t *testing.T) {
	e := &eager{}
	fast, slow := newParts().short(t, e), newParts().handler(t)
	w, want := do(fast, "POST", "/metrics", taken), do(slow, "POST", "/metrics", taken)
	if len(e.got) != 1 || e.got[0] != taken {
		t.Errorf("got %q", e.got)
	}
	if w.Code != want.Code || w.Body.String() != want.Body.String() || w.Header().Get("Content-Type") != want.Header().Get("Content-Type") {
		t.Errorf("%d %s, by the long way %d %s", w.Code, w.Body, want.Code, want.Body)
	}
	w = do(fast, "POST", batchPath, `{"items":[`+taken+`]}`)
	if w.Code != 200 || w.Body.String() != `{"accepted":7}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	fits(t, w, "PodMetricsBatchReceipt")
}

func TestPushes_WhatIsNotUnderstoodComesWholeToTheLongWay(t *testing.T) {
	e := &eager{}
	h := newParts().short(t, e)
	w := do(h, "POST", "/metrics", `{"podName":"slow","namespace":"n","metrics":{"queued":-1}}`)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "metrics.queued") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	fits(t, w, "Problem")
	if w := do(h, "POST", "/metrics", `{"podName":"slow","namespace":"n","metrics":{}}`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// The items of a batch are ingest's to refuse; what is around them is not.
	if w := do(h, "POST", batchPath, `{"items":["slow",{"podName":7}]}`); w.Code != 200 || w.Body.String() != `{"accepted":1}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for body, field := range map[string]string{
		`{"slow":1}`:                                          "items",
		`{"items":"slow"}`:                                    "items",
		`{"items":[],"slow":1}`:                               "items",
		`{"items":["slow"],"collector":7}`:                    "collector",
		`{"items":["slow"],"collector":""}`:                   "collector",
		`{"items":["slow"` + strings.Repeat(",1", 500) + `]}`: "items",
	} {
		w := do(h, "POST", batchPath, body)
		if w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"`+field+`"`) {
			t.Errorf("%.40s: %d %s", body, w.Code, w.Body)
		}
		fits(t, w, "Problem")
	}
	if len(e.got) != 0 {
		t.Errorf("got %q", e.got)
	}
}

func TestPushes_WhatNeedsACloserLookTakesTheLongWay(t *testing.T) {
	for name, change := range map[string]func(r *http.Request){
		"a body of unknown length": func(r *http.Request) { r.ContentLength = -1 },
		"a query":                  func(r *http.Request) { r.URL.RawQuery = "x=1" },
		"another media type":       func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") },
		"an encoding":              func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
	} {
		t.Run(name, func(t *testing.T) {
			e := &eager{}
			r := httptest.NewRequest(http.MethodPost, "/metrics", strings.NewReader(taken))
			r.Header.Set("Content-Type", "application/json")
			change(r)
			w := httptest.NewRecorder()
			newParts().short(t, e).ServeHTTP(w, r)
			if len(e.got) != 0 || w.Code != 200 {
				t.Errorf("status %d, got %q", w.Code, e.got)
			}
		})
	}
}

func TestPushes_AReplicaThatDoesNotLeadRelaysThem(t *testing.T) {
	p, e := newParts(), &eager{}
	p.leader = "127.0.0.1:1" // does not answer: it is then served here, by the long way
	h := p.short(t, e)
	if w := do(h, "POST", "/metrics", taken); w.Code != 200 || p.failed != 1 || len(e.got) != 0 {
		t.Errorf("status %d, %d tries failed, got %q", w.Code, p.failed, e.got)
	}
	if w := do(h, "POST", "/metrics", taken, relayedHeader, "1"); w.Code != 200 || len(e.got) != 1 {
		t.Errorf("one that was relayed: status %d, got %q", w.Code, e.got)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("gone") }

func TestPushes_OneThatDoesNotComeWholeIsRefused(t *testing.T) {
	for name, body := range map[string]io.Reader{"broken off": broken{}, "longer than declared": strings.NewReader(taken)} {
		p, e := newParts(), &eager{}
		h := p.short(t, e)
		r := httptest.NewRequest(http.MethodPost, "/metrics", body)
		r.Header.Set("Content-Type", "application/json")
		r.ContentLength = 5
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 400 || len(p.refused) != 1 || p.refused[0] != BodyUnread || len(e.got) != 0 {
			t.Errorf("%s: status %d, counted %v", name, w.Code, p.refused)
		}
	}
}

func TestPushes_BeyondTheirBudgetAreRefusedAndCounted(t *testing.T) {
	p, e := newParts(), &eager{}
	p.pushes = e
	b := newBodies(p, http.NotFoundHandler())
	b.pushes.most = 5
	h := &pushes{Options: Options{Pushes: e, Leadership: p, Meter: p}, bodies: b, next: http.NotFoundHandler()}
	w := do(h, "POST", "/metrics", taken)
	if w.Code != http.StatusTooManyRequests || len(p.refused) != 1 || len(e.got) != 0 {
		t.Errorf("status %d, counted %v", w.Code, p.refused)
	}
	if w := do(h, "POST", "/metrics", `1234`); w.Code != 200 || b.pushes.used.Load() != 0 {
		t.Errorf("status %d, %d bytes in use", w.Code, b.pushes.used.Load())
	}
}

// mute is a body of which nothing comes.
type mute struct{ asked, end chan struct{} }

func (m mute) Read([]byte) (int, error) {
	m.asked <- struct{}{}
	<-m.end
	return 0, errors.New("gone")
}

// Who declares large bodies and sends nothing of them takes nobody's place, on either way.
func TestPushes_WhatIsDeclaredAndDoesNotComeHoldsNothing(t *testing.T) {
	for name, e := range map[string]Pushes{"short": &eager{}, "long": nil} {
		p := newParts()
		p.pushes = e
		h := p.handler(t)
		m := mute{make(chan struct{}), make(chan struct{})}
		var waiting sync.WaitGroup
		for range 2 * pushBudget / maxBatch {
			r := httptest.NewRequest(http.MethodPost, batchPath, m)
			r.ContentLength = maxBatch
			r.Header.Set("Content-Type", "application/json")
			waiting.Go(func() { h.ServeHTTP(httptest.NewRecorder(), r) })
			<-m.asked
		}
		if w := do(h, "POST", "/metrics", taken); w.Code != 200 {
			t.Errorf("%s: status %d: %s", name, w.Code, w.Body)
		}
		close(m.end)
		waiting.Wait()
	}
}

// A batch comes whole, in however small pieces, and whatever the buffer had before.
func TestPushes_ABatchComesInPieces(t *testing.T) {
	e := &eager{}
	h := newParts().short(t, e)
	for _, n := range []int{1, 200, 3, 5000, 2} {
		item := strings.Repeat(taken+",", n-1) + taken
		body := `{"items":[` + item + `]}`
		r := httptest.NewRequest(http.MethodPost, batchPath, iotest.OneByteReader(strings.NewReader(body)))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 || e.got[len(e.got)-1] != body {
			t.Errorf("of %d bytes: status %d, %d came", len(body), w.Code, len(e.got[len(e.got)-1]))
		}
	}
}

// Who is not let in has no part in the connections that are kept for sidecars.
func TestPushes_AConnectionIsKeptForThoseWhoAreLetIn(t *testing.T) {
	for token, want := range map[string]httpserver.Counts{"": {}, "nonsense": {}, podToken: {Open: 1, Many: 1}} {
		p := guarding(mayAll())
		p.connections = httpserver.NewConnections(0, 1, time.Minute)
		server, err := httpserver.Listen(t.Context(), httpserver.Options{
			Address: "127.0.0.1:0", Handler: p.short(t, &eager{}), Log: slog.New(slog.DiscardHandler),
			Listen: p.connections.Listen, ConnContext: p.connections.Context,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- server.Run(ctx) }()
		transport, body := &http.Transport{}, "" // with a body that nobody reads a connection is closed anyway
		if want.Many == 1 {
			body = `{"podName":"a","namespace":"default","metrics":{"queued":1}}`
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.Addr().String()+"/metrics", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		testwait.Until(t, "the connection of "+token+" is as it should be", func() bool {
			got := p.connections.Counts()
			got.Refused, got.SentOff = 0, 0
			return got == want
		})
		if (answer.StatusCode == http.StatusOK) != (want.Many == 1) {
			t.Errorf("%q: %s", token, answer.Status)
		}
		transport.CloseIdleConnections()
		stop()
		if err := testwait.Receive(t, "the server ends", ended); err != nil {
			t.Error(err)
		}
	}
}
