package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// divided is a controller with shards, as the contract has it. Each application has a namespace of its name.
type divided struct {
	autoscaler.ClientInterface // nothing else is called
	running                    sync.WaitGroup

	mu      sync.Mutex
	shards  int
	routes  map[string]string // state by application
	away    map[int]bool      // shards that nobody answers for
	n       int               // of the version
	life    int               // another one with every layout
	changed chan struct{}
	asked   []autoscaler.WatchRoutesParams
}

func newDivided(shards int, names ...string) *divided {
	d := &divided{shards: shards, routes: map[string]string{}, away: map[int]bool{}, changed: make(chan struct{})}
	for _, name := range names {
		d.routes[name] = "Asleep"
	}
	return d
}

// change changes something, and tells who follows.
func (d *divided) change(what func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	what()
	close(d.changed)
	d.changed = make(chan struct{})
}

// relayout has another number of shards from now on.
func (d *divided) relayout(shards int) {
	d.change(func() {
		d.shards, d.life = shards, d.life+1
		clear(d.away)
	})
}

// update is what there is to say of a shard, -1 being all. The caller has locked it.
func (d *divided) update(of int) autoscaler.RoutesUpdate {
	u := everything(fmt.Sprintf("l%ds%d.%d", d.life, of+1, d.n))
	u.Balancers = &[]autoscaler.LiveBalancer{{Name: fmt.Sprint("lb-", of), Address: new("10.0.0.1:8082")}, {Name: "lb", Address: new("10.0.0.2:8082")}}
	for name, state := range d.routes {
		if of < 0 || shard.Of(name, d.shards) == of {
			r := said(name, state, uint64(len(state))<<32|uint64(len(name)))
			r.Namespace = name
			u.Applications = append(u.Applications, r)
		}
	}
	if d.shards > 1 {
		if u.Shards = new(int32(d.shards)); of >= 0 {
			u.Shard = new(int32(of))
		}
	}
	return u
}

func (d *divided) WatchRoutes(ctx context.Context, params *autoscaler.WatchRoutesParams, _ ...autoscaler.RequestEditorFn) (*http.Response, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, *params)
	of, life := -1, d.life
	if params.Shard != nil && d.shards > 1 {
		of = int(*params.Shard)
	}
	answer := func(status int, kind string, body io.Reader) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(body)}, nil
	}
	switch {
	case of >= d.shards:
		return answer(http.StatusBadRequest, "application/problem+json", strings.NewReader(`{"code":"invalid"}`))
	case d.away[of]:
		return nil, errors.New("connection refused")
	}
	from, to := io.Pipe()
	context.AfterFunc(ctx, func() { _ = from.CloseWithError(ctx.Err()) })
	streams := d.shards == 1 || of >= 0
	d.running.Go(func() {
		defer func() { _ = to.CloseWithError(ctx.Err()) }()
		for {
			d.mu.Lock()
			// A stream of a layout that is over ends, as that of a replica that has gone.
			over, u, changed := d.life != life || d.away[of], d.update(of), d.changed
			d.mu.Unlock()
			if over {
				return
			}
			line{to}.say(u)
			if !streams {
				return
			}
			select {
			case <-changed:
			case <-time.After(10 * time.Second):
			case <-ctx.Done():
				return
			}
		}
	})
	kind := linesType
	if !streams {
		kind = "application/json"
	}
	return answer(http.StatusOK, kind, from)
}

// calls are the calls since the last time.
func (d *divided) calls() []autoscaler.WatchRoutesParams {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := d.asked
	d.asked = nil
	return asked
}

// shardsOf are the shards that calls ask for, in order; -1 is all.
func shardsOf(calls []autoscaler.WatchRoutesParams) []int {
	list := make([]int, 0, len(calls))
	for _, c := range calls {
		of := -1
		if c.Shard != nil {
			of = int(*c.Shard)
		}
		list = append(list, of)
	}
	slices.Sort(list)
	return list
}

// following runs a client that follows a controller with shards, in a bubble.
func following(t *testing.T, d *divided, test func(c *Client, f *follows)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{
			URL: "http://controller", Identity: "lb", Log: slog.New(slog.DiscardHandler),
			Tracer: noop.NewTracerProvider().Tracer(""), Registry: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		d.changed = make(chan struct{}) // of the bubble
		f := &follows{routes: map[string]string{}}
		c.routes = d
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.FollowRoutes(ctx, f, tuning.NewHolder(func(tuning.Settings) {})) })
		synctest.Wait()
		test(c, f)
		cancel()
		running.Wait()
		d.running.Wait()
	})
}

// taken are the updates since the last time.
func (f *follows) taken() []routing.Update {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.updates
	f.updates = nil
	return all
}

func (f *follows) table() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.routes)
}

// Of three shards "models" is in the first, "b" in the second and "shop" in the third.
func TestFollowRoutes_OfAControllerWithShardsByAStreamForEach(t *testing.T) {
	d := newDivided(3, "models", "b", "shop")
	following(t, d, func(c *Client, f *follows) {
		calls := d.calls()
		if got := shardsOf(calls); !slices.Equal(got, []int{-1, 0, 1, 2}) {
			t.Fatalf("asked for %v", got)
		}
		for _, call := range calls[1:] {
			if !*call.Stream || call.Have == nil || call.After != nil {
				t.Errorf("a shard is asked for with %+v; want with what is held", call)
			}
		}
		updates := f.taken()
		if first := updates[0]; len(first.Routes) != 3 || first.Version != "l0s0.0" {
			t.Errorf("first came %+v", first)
		}
		for _, u := range updates[1:] {
			if len(u.Routes)+len(u.Removed) != 0 {
				t.Errorf("what was held is handed on again: %+v", u)
			}
		}
		if u := updates[len(updates)-1]; u.Version != "l0s1.0 l0s2.0 l0s3.0" || len(u.Balancers) != 4 {
			t.Errorf("at last came %+v", u)
		}
		d.change(func() { d.routes["b"] = "Awake" })
		synctest.Wait()
		if got := f.table(); !maps.Equal(got, map[string]string{"models": "Asleep", "b": "Awake", "shop": "Asleep"}) {
			t.Errorf("followed: %v", got)
		}
		pass(time.Minute)
		if got := shardsOf(d.calls()); len(got) != 0 || c.Link().LastError != "" {
			t.Errorf("asked again for %v; %+v", got, c.Link())
		}
	})
}

func TestFollowRoutes_OneShardsLeaderBeingAwayLeavesTheOthersUpToDate(t *testing.T) {
	d := newDivided(3, "models", "b", "shop")
	following(t, d, func(c *Client, f *follows) {
		d.change(func() { d.away[1], d.routes["b"], d.routes["shop"] = true, "Awake", "Awake" })
		for range 20 { // whatever fails, no stream of another shard is begun again for it
			d.calls()
			pass(time.Second)
			if got := shardsOf(d.calls()); slices.Contains(got, 0) || slices.Contains(got, 2) || slices.Contains(got, -1) {
				t.Fatalf("asked for %v", got)
			}
			d.change(func() {})
		}
		if got := f.table(); !maps.Equal(got, map[string]string{"models": "Asleep", "b": "Asleep", "shop": "Awake"}) {
			t.Errorf("followed: %v", got)
		}
		if c.Link().Away {
			t.Error("the controller counts as away")
		}
		d.change(func() { delete(d.away, 1) })
		pass(5 * time.Second)
		if got := f.table()["b"]; got != "Awake" {
			t.Errorf("when it is back b is %s", got)
		}
		d.change(func() { d.away[0], d.away[1], d.away[2] = true, true, true })
		if pass(5 * time.Second); !c.Link().Away {
			t.Error("nobody answers for any shard, and the controller does not count as away")
		}
	})
}

func TestFollowRoutes_AnotherNumberOfShardsDisturbsNobody(t *testing.T) {
	d := newDivided(2, "models", "b", "shop", "web", "default")
	following(t, d, func(_ *Client, f *follows) {
		for _, shards := range []int{3, 5, 2, 1, 64, 1, 3} {
			pass(time.Minute)
			d.calls()
			f.taken()
			d.relayout(shards)
			pass(10 * time.Second)
			for _, u := range f.taken() {
				if len(u.Routes)+len(u.Removed) > 0 {
					t.Errorf("to %d shards: %+v", shards, u)
				}
			}
			want := make([]int, 0, shards)
			for i := range shards {
				if want = append(want, i); shards == 1 {
					want[0] = -1
				}
			}
			calls := d.calls()
			last := shardsOf(calls[len(calls)-shards:])
			if !slices.Equal(last, want) {
				t.Errorf("with %d shards asked for %v", shards, shardsOf(calls))
			}
			for _, call := range calls[len(calls)-shards:] {
				if call.After != nil || call.Have == nil && slices.ContainsFunc(slices.Collect(maps.Keys(d.routes)), func(name string) bool {
					return call.Shard == nil || shard.Of(name, shards) == int(*call.Shard)
				}) {
					t.Errorf("with %d shards asked with %+v", shards, call)
				}
			}
		}
	})
}

// Whatever becomes of the applications, the shards, their number and who answers: what is handed on is what
// there is, and nothing is ever taken away that is there.
func TestFollowRoutes_OfShardsAddUp(t *testing.T) {
	for seed := range uint64(20) {
		d := newDivided(1+int(seed%4), "models", "b", "shop")
		following(t, d, func(_ *Client, f *follows) {
			r := rand.New(rand.NewPCG(seed, 5))
			for step := range 60 {
				name := fmt.Sprint("app-", r.IntN(30))
				d.change(func() {
					switch r.IntN(4) {
					case 0:
						delete(d.routes, name)
					case 1:
						d.routes[name] = "Awake"
					case 2:
						d.routes[name] = "Asleep"
					case 3:
						if d.shards > 1 {
							d.away[r.IntN(d.shards)] = r.IntN(2) == 0
						}
					}
				})
				if r.IntN(10) == 0 {
					d.relayout(1 + r.IntN(5))
				}
				pass(time.Duration(r.IntN(4000)) * time.Millisecond)
				for _, u := range f.taken() {
					for _, app := range u.Removed {
						if d.routes[app.Namespace] != "" {
							t.Fatalf("seed %d, step %d: %s is taken away", seed, step, app)
						}
					}
				}
			}
			d.change(func() { clear(d.away) })
			pass(10 * time.Second)
			if diff := f.table(); !maps.Equal(diff, d.routes) {
				t.Errorf("seed %d: %v, want %v", seed, diff, d.routes)
			}
		})
	}
}

func TestFollowRoutes_OfAShardThatWasNotAskedForAreNotTaken(t *testing.T) {
	other := everything("e.1", said("a", "Awake", 1))
	other.Shard, other.Shards = new(int32(1)), new(int32(2))
	many := everything("e.1", said("a", "Awake", 1))
	many.Shards = new(int32(65))
	for name, u := range map[string]autoscaler.RoutesUpdate{"one shard's instead of all": other, "of too many": many} {
		followed(t, []act{polled(u)}, func(c *Client, p *play, f *follows) {
			if len(f.updates) != 0 || c.Link().LastError == "" || len(p.calls()) != 1 {
				t.Errorf("%s: %d updates, %+v", name, len(f.updates), c.Link())
			}
		})
	}
	s := source{shard: 1, shards: 3}
	for _, c := range []struct {
		shard, shards int // -1: it does not say
		want          string
	}{
		{1, 3, ""}, {0, 3, errShard.Error()}, {-1, 3, errShard.Error()}, {1, 4, "the controller has 4 shards"}, {-1, -1, "the controller has 1 shards"}, {1, 65, errShard.Error()},
	} {
		line := autoscaler.RoutesUpdate{}
		if c.shard >= 0 {
			line.Shard = new(int32(c.shard))
		}
		if c.shards >= 0 {
			line.Shards = new(int32(c.shards))
		}
		if err := s.layout(&line); c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%d/%d: %v, want %q", c.shard, c.shards, err, c.want)
		}
	}
}

func TestPollAnew_AsksEveryShardAnew(t *testing.T) {
	d := newDivided(3, "models", "b", "shop")
	following(t, d, func(c *Client, f *follows) {
		pass(time.Second)
		d.calls()
		c.PollAnew()
		synctest.Wait()
		calls := d.calls()
		if !slices.Equal(shardsOf(calls), []int{0, 1, 2}) || !f.last().Asked.Equal(time.Now()) {
			t.Errorf("asked for %v; the last is as of %v, now is %v", shardsOf(calls), f.last().Asked, time.Now())
		}
		for _, call := range calls {
			if call.After != nil {
				t.Errorf("asked with %+v", call)
			}
		}
	})
}

func TestPicture_NobodyIsGoneBeforeEveryShardSaysSo(t *testing.T) {
	f := &follows{routes: map[string]string{}}
	p := newPicture(f, 2)
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	named := func(shard int, version string, asked int, names ...string) {
		u := routing.Update{Version: version, Asked: at(asked), Balancers: []routing.Balancer{}}
		for _, n := range names {
			u.Balancers = append(u.Balancers, routing.Balancer{Name: n, StartedAt: at(1)})
		}
		p.apply(shard, u)
	}
	is := func(version string, asked int, names ...string) {
		t.Helper()
		u := f.last()
		var got []string
		for _, b := range u.Balancers {
			got = append(got, b.Name)
		}
		if u.Balancers == nil || u.Version != version || !slices.Equal(got, names) || asked > 0 && !u.Asked.Equal(at(asked)) {
			t.Errorf("got %+v; want %s as of %d with %v", u, version, asked, names)
		}
	}
	named(0, "e.1", 10, "a", "b")
	is("e.1 -", 0)
	named(1, "f.1", 5, "b", "c")
	is("e.1 f.1", 5, "a", "b", "c")
	named(0, "e.2", 11, "b")
	is("e.2 f.1", 5, "b", "c")
	if p.apply(1, routing.Update{Version: "f.2", Asked: at(6)}); f.last().Balancers != nil || f.last().Version != "e.2 f.2" {
		t.Errorf("a change that says nothing of them: %+v", f.last())
	}
	named(1, "g.1", 12) // a new leader, which does not know yet
	is("e.2 g.1", 11)
	p.apply(0, routing.Update{Version: "e.3", Asked: at(11)})
	is("e.3 g.1", 11) // and no change of another shard passes for one in which somebody could have been named
	p.apply(1, routing.Update{Version: "h.1", Asked: at(13), Anew: true})
	is("e.3 h.1", 11)
	p.apply(1, routing.Update{Version: "h.2", Asked: at(13), Balancers: []routing.Balancer{{Name: "b", StartedAt: at(9)}}})
	is("e.3 h.2", 11, "b")
	if got := f.last().Balancers[0].StartedAt; !got.Equal(at(9)) {
		t.Errorf("of two lives the one of %v", got)
	}
}
