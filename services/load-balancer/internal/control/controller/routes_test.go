package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// line is a controller's way to say something on an answer.
type line struct{ to *io.PipeWriter }

func (l line) raw(text string) { _, _ = io.WriteString(l.to, text) }

func (l line) say(u autoscaler.RoutesUpdate) {
	raw, err := json.Marshal(u)
	if err != nil {
		panic(err)
	}
	l.raw(string(raw) + "\n")
}

// play is a controller that answers the first call as its first act says, and so on; the calls after the
// last act hang. It needs no network, and so lives in a bubble of virtual time.
type play struct {
	autoscaler.ClientInterface // nothing else is called
	acts                       []act
	running                    sync.WaitGroup

	mu    sync.Mutex
	asked []autoscaler.WatchRoutesParams
	at    []time.Time
}

// act is an answer: its type, and what is said in it.
type act struct {
	kind   string
	status int
	says   func(ctx context.Context, l line)
}

func streams(says func(ctx context.Context, l line)) act { return act{linesType, 200, says} }

func polled(u autoscaler.RoutesUpdate) act {
	return act{"application/json", 200, func(_ context.Context, l line) { l.say(u) }}
}

func (p *play) WatchRoutes(ctx context.Context, params *autoscaler.WatchRoutesParams, _ ...autoscaler.RequestEditorFn) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.asked)
	p.asked, p.at = append(p.asked, *params), append(p.at, time.Now())
	if n >= len(p.acts) {
		p.mu.Unlock()
		<-ctx.Done()
		p.mu.Lock()
		return nil, ctx.Err()
	}
	from, to := io.Pipe()
	context.AfterFunc(ctx, func() { _ = from.CloseWithError(ctx.Err()) })
	p.running.Go(func() {
		p.acts[n].says(ctx, line{to})
		_ = to.CloseWithError(ctx.Err()) // nil is the end of the answer
	})
	return &http.Response{StatusCode: p.acts[n].status, Header: http.Header{"Content-Type": {p.acts[n].kind}}, Body: from}, nil
}

// calls are the parameters of the calls so far.
func (p *play) calls() []autoscaler.WatchRoutesParams {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]autoscaler.WatchRoutesParams(nil), p.asked...)
}

// follows is a fleet that takes down what it is told.
type follows struct {
	mu      sync.Mutex
	updates []routing.Update
	away    []bool
	routes  map[string]string // state by deployment
}

func (f *follows) Apply(u routing.Update) []routing.Application {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updates = append(f.updates, u)
	for _, app := range u.Removed {
		delete(f.routes, app.Deployment)
	}
	for _, r := range u.Routes {
		f.routes[r.Application.Deployment] = string(r.State)
	}
	return nil
}
func (f *follows) ControllerAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = append(f.away, away)
}

func (f *follows) last() routing.Update {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.updates) == 0 {
		return routing.Update{}
	}
	return f.updates[len(f.updates)-1]
}

// followed runs a play in a bubble, with a client that follows it.
func followed(t *testing.T, acts []act, test func(c *Client, p *play, f *follows)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{
			URL: "http://controller", Identity: "lb", Log: slog.New(slog.DiscardHandler),
			Tracer: noop.NewTracerProvider().Tracer(""), Registry: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		p, f := &play{acts: acts}, &follows{routes: map[string]string{}}
		c.routes = p
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.FollowRoutes(ctx, f, tuning.NewHolder(func(tuning.Settings) {})) })
		synctest.Wait()
		test(c, p, f)
		cancel()
		running.Wait()
		p.running.Wait()
	})
}

// pass lets time pass, and all come to rest: what they wrote may be read then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// said is a route with a hash.
func said(name, state string, sum uint64) autoscaler.Route {
	return autoscaler.Route{
		Namespace: "default", Deployment: name, ApiPrefix: "/" + name, State: autoscaler.ApplicationState(state), Hash: new(fmt.Sprintf("%016x", sum)),
	}
}

func everything(version string, routes ...autoscaler.Route) autoscaler.RoutesUpdate {
	return autoscaler.RoutesUpdate{Version: version, Complete: true, Applications: routes, Balancers: &[]autoscaler.LiveBalancer{}}
}

func changed(version string, routes ...autoscaler.Route) autoscaler.RoutesUpdate {
	return autoscaler.RoutesUpdate{Version: version, Applications: routes}
}

func TestFollowRoutes_TakesLineAfterLine(t *testing.T) {
	followed(t, []act{streams(func(_ context.Context, l line) {
		l.say(everything("e.1", said("a", "Asleep", 1), said("b", "Asleep", 2)))
		time.Sleep(10 * time.Second)
		l.say(changed("e.1"))
		time.Sleep(10 * time.Second)
		l.say(autoscaler.RoutesUpdate{Version: "e.3", Applications: []autoscaler.Route{said("a", "Awake", 3)}, Removed: []autoscaler.ApplicationKey{{Namespace: "default", Deployment: "b"}}})
	})}, func(c *Client, p *play, f *follows) {
		if u := f.last(); len(f.updates) != 1 || u.Version != "e.1" || !u.Anew || u.Balancers == nil || !u.Asked.Equal(p.at[0]) {
			t.Errorf("at first came %+v", f.updates)
		}
		pass(15 * time.Second)
		if len(f.updates) != 1 || time.Since(c.Link().LastGood) != 5*time.Second {
			t.Errorf("after a sign of life: %d updates, the last good word %v ago", len(f.updates), time.Since(c.Link().LastGood))
		}
		pass(6 * time.Second)
		if u := f.last(); u.Version != "e.3" || u.Anew || len(f.routes) != 1 || f.routes["a"] != "Awake" {
			t.Errorf("then came %+v, and the routes are %v", u, f.routes)
		}
		calls := p.calls()
		if first := calls[0]; !*first.Stream || *first.Wait != "20s" || first.After != nil || first.Have != nil {
			t.Errorf("asked first with %+v", first)
		}
		if second := calls[1]; !*second.Stream || second.Wait != nil || *second.After != "e.3" || second.Have == nil {
			t.Errorf("asked then with %+v", second)
		}
		if p.at[1].Sub(p.at[0]) != 20*time.Second || len(f.away) != 0 || !c.Link().Connected {
			t.Errorf("the end of a stream is taken for a fault: %v, %v", p.at, c.Link())
		}
	})
}

func TestFollowRoutes_AChangeInPartsCountsWhenItIsWhole(t *testing.T) {
	part := everything("e.7", said("a", "Asleep", 1))
	part.Continued = new(true)
	rest := autoscaler.RoutesUpdate{Version: "e.7", Complete: true, Applications: []autoscaler.Route{said("b", "Asleep", 2)}}
	followed(t, []act{
		streams(func(_ context.Context, l line) { // which breaks off between the parts
			l.say(part)
			time.Sleep(2 * time.Second)
		}),
		streams(func(_ context.Context, l line) {
			l.say(part)
			time.Sleep(2 * time.Second)
			l.say(rest)
			time.Sleep(2 * time.Second)
		}),
	}, func(c *Client, _ *play, f *follows) {
		pass(2500 * time.Millisecond)
		if len(f.updates) != 0 || c.Link().LastError == "" && c.Link().LastGood.IsZero() {
			t.Errorf("a part counts: %+v, %v", f.updates, c.Link())
		}
		pass(2 * time.Second)
		if u := f.last(); len(f.updates) != 1 || len(u.Routes) != 2 || u.Version != "e.7" || u.Balancers == nil {
			t.Errorf("the whole is %+v", f.updates)
		}
	})
}

func TestFollowRoutes_ANewLeaderDisturbsNobodyWhoStaysAsHeIs(t *testing.T) {
	a, b, c, d := routing.Application{Namespace: "default", Deployment: "a"}, said("b", "Asleep", 2), said("c", "Asleep", 3), said("d", "Awake", 5)
	loaded := said("a", "Awake", 1)
	loaded.Endpoints = []autoscaler.Endpoint{{Pod: "p", Load: &autoscaler.EndpointLoad{Running: new(1.0)}}}
	bucketOf := func(r autoscaler.Route) int32 {
		return int32(bucket(routing.Application{Namespace: r.Namespace, Deployment: r.Deployment}, 64))
	}
	followed(t, []act{
		streams(func(_ context.Context, l line) {
			l.say(everything("e.1", said("a", "Awake", 1), b, c, d))
			time.Sleep(time.Minute / 3)
		}),
		streams(func(_ context.Context, l line) {
			// Of two buckets: in one there was b, which has gone; in the other one d is another one.
			u := changed("f.9", said("d", "Asleep", 6))
			u.Buckets = &[]int32{bucketOf(b), bucketOf(d)}
			l.say(u)
			time.Sleep(time.Minute / 3)
		}),
		streams(func(_ context.Context, l line) { // which knows no digests; a has news that no hash tells
			l.say(everything("g.2", loaded, c))
			time.Sleep(time.Minute / 3)
		}),
		streams(func(_ context.Context, l line) {
			u := changed("h.1")
			u.Buckets = &[]int32{}
			l.say(u)
			time.Sleep(time.Minute / 3)
		}),
	}, func(_ *Client, p *play, f *follows) {
		pass(21 * time.Second)
		if u := f.last(); !u.Anew || u.Complete || len(u.Routes) != 1 || len(u.Removed) != 1 || u.Removed[0].Deployment != "b" || u.Version != "f.9" {
			t.Errorf("what differs is handed on as %+v", u)
		}
		pass(20 * time.Second)
		if u := f.last(); !u.Anew || u.Complete || len(u.Routes) != 1 || u.Routes[0].Application != a || len(u.Removed) != 1 || u.Removed[0].Deployment != "d" {
			t.Errorf("everything is handed on as %+v", u)
		}
		pass(20 * time.Second)
		if u := f.last(); !u.Anew || len(u.Routes)+len(u.Removed) != 0 || u.Version != "h.1" {
			t.Errorf("that nothing differs is handed on as %+v", u)
		}
		if len(f.updates) != 4 || len(p.calls()) != 4 {
			t.Errorf("%d updates of %d answers", len(f.updates), len(p.calls()))
		}
	})
}

func TestFollowRoutes_FallsBackToLongPollsAndComesBackFromThem(t *testing.T) {
	old := everything("e.1", autoscaler.Route{Namespace: "default", Deployment: "a"}) // it has no hash
	old.Balancers = nil
	followed(t, []act{
		polled(old),
		polled(changed("e.2", autoscaler.Route{Namespace: "default", Deployment: "b"})),
		polled(changed("e.2")),
		streams(func(_ context.Context, l line) {
			l.say(everything("f.1", said("a", "Awake", 1), said("b", "Awake", 2)))
			time.Sleep(time.Minute)
		}),
	}, func(_ *Client, p *play, f *follows) {
		calls := p.calls()
		if len(calls) != 4 || len(f.updates) != 3 {
			t.Fatalf("%d updates of %d calls", len(f.updates), len(calls))
		}
		for i, call := range calls {
			if !*call.Stream || call.Wait == nil || call.Have != nil || i > 0 && *call.After != []string{"", "e.1", "e.2", "e.2"}[i] {
				t.Errorf("call %d: %+v", i, call)
			}
		}
		if first := f.updates[0]; !first.Anew || first.Balancers != nil {
			t.Errorf("first came %+v", first)
		}
		if u := f.last(); len(u.Routes) != 2 || u.Version != "f.1" {
			t.Errorf("routes without a hash are taken for those with one: %+v", u)
		}
	})
}

func TestFollowRoutes_ASilentStreamIsGivenUp(t *testing.T) {
	hangs := func(ctx context.Context, l line) {
		l.say(everything("e.1", said("a", "Awake", 1)))
		<-ctx.Done()
	}
	followed(t, []act{streams(hangs)}, func(c *Client, p *play, _ *follows) {
		pass(silence - time.Millisecond)
		if len(p.calls()) != 1 || c.Link().LastError != "" {
			t.Errorf("given up too soon: %d calls, %v", len(p.calls()), c.Link())
		}
		pass(time.Second)
		if len(p.calls()) != 2 || !strings.Contains(c.Link().LastError, "nothing came for 25s") {
			t.Errorf("%d calls, %v", len(p.calls()), c.Link())
		}
		pass(silence + time.Second) // and an answer that does not even begin
		if len(p.calls()) != 3 || *p.calls()[2].After != "e.1" {
			t.Errorf("%d calls", len(p.calls()))
		}
	})
}

func TestFollowRoutes_IsBegunAgainWhenOthersFailOrSomebodyWantsIt(t *testing.T) {
	lasts := streams(func(ctx context.Context, l line) {
		l.say(everything("e.1", said("a", "Awake", 1)))
		<-ctx.Done()
	})
	followed(t, []act{lasts, lasts, lasts}, func(c *Client, p *play, f *follows) {
		for range failuresToBeAway {
			c.ended("report", errors.New("no answer"))
		}
		pass(time.Second)
		if calls := p.calls(); len(calls) != 2 || *calls[1].After != "e.1" || len(f.away) != 2 || !f.away[0] || f.away[1] {
			t.Errorf("%d calls, away %v", len(calls), f.away)
		}
		c.PollAnew()
		synctest.Wait()
		calls := p.calls()
		if len(calls) != 3 || calls[2].After != nil || calls[2].Have == nil || !f.last().Asked.Equal(p.at[2]) {
			t.Errorf("asked anew with %+v", calls[len(calls)-1])
		}
	})
}

func TestFollowRoutes_AnAnswerThatIsNoneIsAFault(t *testing.T) {
	wrong := changed("e.1")
	wrong.Buckets = &[]int32{1}
	for name, a := range map[string]act{
		"a refusal":              {"application/problem+json", 503, func(_ context.Context, l line) { l.raw(`{"code":"unavailable","detail":"not yet"}`) }},
		"a page":                 {"text/html", 200, func(_ context.Context, l line) { l.raw("<html>") }},
		"no JSON":                {"application/json", 200, func(_ context.Context, l line) { l.raw("{\n") }},
		"a line that is no JSON": streams(func(_ context.Context, l line) { l.raw("{]\n") }),
		"a line that is cut":     streams(func(_ context.Context, l line) { l.raw(`{"version":"e.1"}`) }),
		"strange buckets":        streams(func(_ context.Context, l line) { l.say(wrong) }),
	} {
		t.Run(name, func(t *testing.T) {
			followed(t, []act{a}, func(c *Client, p *play, f *follows) {
				if link := c.Link(); len(f.updates) != 0 || len(p.calls()) != 1 || link.LastError == "" || link.Connected {
					t.Errorf("%d updates, %d calls, %+v", len(f.updates), len(p.calls()), link)
				}
				pass(time.Second)
				if len(p.calls()) != 2 {
					t.Errorf("asked again %d times", len(p.calls())-1)
				}
			})
		})
	}
}

func TestFollowRoutes_AStreamThatEndsAtOnceIsNotAskedForAgainAtOnce(t *testing.T) {
	ends := streams(func(_ context.Context, l line) { l.say(everything("e.1")) })
	followed(t, []act{ends, ends, ends, ends}, func(_ *Client, p *play, _ *follows) {
		pass(40 * time.Millisecond)
		if n := len(p.calls()); n > 2 {
			t.Errorf("asked %d times", n)
		}
	})
}
