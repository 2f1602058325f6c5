package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
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
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/control"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// theatre is several replicas of the controller, from their handlers to the counts of Deployments, in
// virtual time; they share the Leases of one board and reach each other over pipes.
type theatre struct {
	stage // what belongs to no application: settings, custom resources, statuses
	t     *testing.T
	board *kubetest.Board

	mu       sync.Mutex
	counts   map[fleet.Key]int32
	version  uint64
	down     []string
	replicas map[string]*actor
}

// actor is one replica.
type actor struct {
	parts   parts
	elected elections
	handler http.Handler
	conns   chan net.Conn
	closed  chan struct{}
	stop    func()
}

// homes are namespaces in different shards, whatever their number.
var homes = []string{"default", "models", "a", "b", "shop", "web"}

func inTheatre(t *testing.T, play func(s *theatre)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &theatre{t: t, board: kubetest.NewBoard(), counts: map[fleet.Key]int32{}, version: 1, replicas: map[string]*actor{}}
		for _, home := range homes {
			s.counts[fleet.Key{Namespace: home, Deployment: "busy"}] = 2
			s.counts[fleet.Key{Namespace: home, Deployment: "asleep"}] = 0
		}
		play(s)
		for name := range s.replicas {
			s.end(name)
		}
	})
}

// Scale is the cluster's.
func (s *theatre) Scale(_ context.Context, k fleet.Key, from fleet.Scale, to int32) (fleet.Scale, error) {
	s.mu.Lock()
	if now := s.counts[k]; from.Replicas != now {
		defer s.mu.Unlock()
		return fleet.Scale{Replicas: now, Version: s.version}, fleet.ErrMoved
	}
	if to < s.counts[k] {
		s.down = append(s.down, fmt.Sprintf("%s from %d to %d", k, s.counts[k], to))
	}
	s.version++
	s.counts[k] = to
	out := fleet.Scale{Replicas: to, Version: s.version}
	s.mu.Unlock()
	return out, nil
}

// observe tells all replicas how the cluster stands.
func (s *theatre) observe() {
	s.mu.Lock()
	now := time.Now()
	var all []fleet.Observation
	for k, n := range s.counts {
		o := fleet.Observation{
			Key: k, Autoscaler: k.Deployment, Since: now.Add(-time.Hour), Address: fleet.Address{Prefix: "/" + k.Namespace + "/" + k.Deployment},
			Spec:       scaling.Spec{MaxReplicas: 5, IdleTime: 20 * time.Second, WakeUpTimeout: time.Minute},
			Deployment: fleet.Deployment{Found: true, UID: "u", Version: s.version, Created: now.Add(-24 * time.Hour), Replicas: n},
		}
		for i := range n {
			born := now.Add(-time.Hour)
			o.Pods = append(o.Pods, fleet.Pod{Name: fmt.Sprintf("%s-%d", k.Deployment, i), Scheduled: true, Started: true, Ready: true, WasReady: true, Address: "10.0.0.1:80", CreatedAt: born, ReadyAt: born})
		}
		all = append(all, o)
	}
	actors := make([]*actor, 0, len(s.replicas))
	for _, a := range s.replicas {
		actors = append(actors, a)
	}
	s.mu.Unlock()
	for _, a := range actors {
		for _, o := range all {
			a.parts.Observe(o)
		}
	}
}

// dial connects to a replica by its name.
func (s *theatre) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	s.mu.Lock()
	a := s.replicas[host]
	s.mu.Unlock()
	if a == nil {
		return nil, errors.New("there is no " + address)
	}
	here, there := net.Pipe()
	select {
	case a.conns <- there:
		return here, nil
	case <-a.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make an actor a listener.
func (a *actor) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.closed:
		return nil, net.ErrClosed
	}
}
func (a *actor) Close() error   { close(a.closed); return nil }
func (a *actor) Addr() net.Addr { return &net.UnixAddr{Name: "stage"} }

// begin starts a replica with so many shards.
func (s *theatre) begin(name string, shards int) {
	s.t.Helper()
	p, err := newParts(shards)
	if err != nil {
		s.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	a := &actor{parts: p, conns: make(chan net.Conn), closed: make(chan struct{})}
	a.elected = newElections(s.board.Client().Clients(), log, Settings{Identity: name, Advertise: name + ":1"}, p, func() bool { return true })
	i := newInstruments(prometheus.NewRegistry(), noop.NewTracerProvider().Tracer(""))
	whole := func() string { return "" }
	for at := range p {
		p[at].loop = control.New(control.Options{
			Fleet: p[at].fleet, Scaler: s, Recorder: s, Observer: i, Log: log, Epoch: p[at].epoch, Missing: whole, Awaited: a.elected.of(at).Awaited,
			Autoscalers: func() []fleet.Autoscaler { return nil },
		})
	}
	ending := make(chan struct{})
	a.handler, err = newAPI(httpapi.Options{Objects: s, Settings: s, Meter: i, Log: log, Missing: whole, Ending: ending, Dial: s.dial}, p, a.elected, i)
	if err != nil {
		s.t.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	led, give := context.WithCancel(life)
	var running, leading sync.WaitGroup
	for _, one := range p {
		running.Go(func() { one.loop.Run(life) })
	}
	leading.Go(func() { _ = a.elected.Run(led, p) })
	server := &http.Server{Handler: a.handler, ReadHeaderTimeout: time.Minute}
	running.Go(func() { _ = server.Serve(a) })
	a.stop = func() {
		give()
		close(ending)
		leading.Wait()
		_ = server.Close()
		end()
		running.Wait()
	}
	s.mu.Lock()
	s.replicas[name] = a
	s.mu.Unlock()
	s.observe()
}

// end ends a replica: while it drains it is asked by nobody new.
func (s *theatre) end(name string) {
	s.mu.Lock()
	a := s.replicas[name]
	delete(s.replicas, name)
	s.mu.Unlock()
	a.stop()
}

// any is the handler of some replica.
func (s *theatre) any(random *rand.Rand) http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.replicas))
	for name := range s.replicas {
		names = append(names, name)
	}
	slices.Sort(names)
	return s.replicas[names[random.IntN(len(names))]].handler
}

func send(h http.Handler, path string, body any) (int, []byte) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// voice is a load balancer with a request on the way to each application that is busy. An old one knows no
// shards: it tells everything each time, and follows the routes of all.
type voice struct {
	name     string
	homes    []string // of applications that are busy; nil: those of the theatre
	old      bool
	started  time.Time
	sequence int64
	epoch    string
	shards   []autoscaler.ShardReport
	version  string // of an old one
}

// follow takes up the newest version of the routes, of each shard that it knows of.
func (v *voice) follow(h http.Handler) {
	if v.old || v.shards == nil {
		if v.version = versionOf(h, ""); v.old {
			return
		}
	}
	for i := range v.shards {
		v.shards[i].RoutesVersion = new(versionOf(h, fmt.Sprintf("&shard=%d", i)))
	}
}

func versionOf(h http.Handler, shard string) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/routes?wait=0s"+shard, http.NoBody))
	var u autoscaler.RoutesUpdate
	if w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &u) != nil {
		return "none.0"
	}
	return u.Version
}

// report tells a replica, as the real one does: everything, or to the shards that know it that nothing has
// changed.
func (v *voice) report(h http.Handler) {
	for range 2 {
		v.sequence++
		apps, delta := []any{}, false
		busy := v.homes
		if busy == nil {
			busy = homes
		}
		for _, home := range busy {
			if n := len(v.shards); n > 0 && *v.shards[shard.Of(home, n)].Delta {
				delta = true
				continue
			}
			apps = append(apps, map[string]any{
				"namespace": home, "deployment": "busy", "inFlight": 1, "streaming": 0, "waiting": 0, "waitingBytes": 0, "requests": 1, "failures": 0, "rejected": 0,
			})
		}
		report := map[string]any{"balancer": v.name, "startedAt": v.started, "sequence": v.sequence, "leaving": false, "applications": apps}
		if v.epoch != "" && !v.old {
			report["epoch"], report["delta"] = v.epoch, delta
		}
		if v.shards != nil {
			report["shards"] = v.shards
		} else if v.version != "" {
			report["routesVersion"] = v.version
		}
		code, body := send(h, "/v1/traffic", report)
		var receipt autoscaler.TrafficReceipt
		switch {
		case code != http.StatusOK || json.Unmarshal(body, &receipt) != nil:
			v.shards = nil
			return
		case v.old:
			return
		case receipt.Shards == nil:
			again := receipt.Resync != nil || v.shards != nil && delta
			if v.epoch, v.shards = *receipt.Epoch, nil; !again {
				return
			}
		case v.took(&receipt):
			return
		}
	}
}

// took notes what shards say, and tells whether all have taken what came for them.
func (v *voice) took(receipt *autoscaler.TrafficReceipt) bool {
	v.epoch = *receipt.Epoch
	all := true
	before := v.shards
	v.shards = make([]autoscaler.ShardReport, len(*receipt.Shards))
	for i, s := range *receipt.Shards {
		took := s.Resync == nil && (len(before) != len(v.shards) || !*before[i].Delta || *before[i].Epoch == s.Epoch)
		v.shards[i] = autoscaler.ShardReport{Epoch: new(s.Epoch), Delta: &took}
		if len(before) == len(v.shards) {
			v.shards[i].RoutesVersion = before[i].RoutesVersion
		}
		all = all && took
	}
	return all
}

// run lets seconds pass: two load balancers report to whoever they meet, start calls come ten times a second.
func (s *theatre) run(seconds int, random *rand.Rand, voices ...*voice) {
	s.t.Helper()
	for tick := range seconds * 10 {
		home := homes[random.IntN(len(homes))]
		code, body := send(s.any(random), "/v1/namespaces/"+home+"/deployments/asleep/start", map[string]any{"balancer": "lb-1", "waiting": 1})
		if code != http.StatusOK {
			s.t.Errorf("start call: %d %s", code, body)
		}
		s.single()
		time.Sleep(100 * time.Millisecond)
		if random.IntN(10) == 0 {
			s.observe()
		}
		for i, v := range voices {
			if tick%10 == 3*i {
				v.report(s.any(random))
			}
		}
	}
}

// single checks that no namespace has two leaders.
func (s *theatre) single() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, home := range homes {
		var leads []string
		for name, a := range s.replicas {
			if a.parts.of(home).Leading() {
				leads = append(leads, name)
			}
		}
		if len(leads) > 1 {
			s.t.Errorf("%s is led by %v", home, leads)
		}
	}
}

func (s *theatre) led() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for name, a := range s.replicas {
		out[name] = a.parts.Leading()
	}
	return out
}

// calm checks that nothing went down, and that all are led.
func (s *theatre) calm(want map[string]int) {
	s.t.Helper()
	if got := s.led(); fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("%v lead, want %v", got, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.down {
		s.t.Errorf("scaled down: %s", one)
	}
}

// From one replica to two, three and two again: every start call is answered with success by whatever
// replica it meets, no shard has two leaders, and nothing that is in use goes down.
func TestShards_ReplicasComeAndGoAndNoStartCallIsLost(t *testing.T) {
	inTheatre(t, func(s *theatre) {
		random := rand.New(rand.NewPCG(1, 2))
		one, two := &voice{name: "lb-1", started: time.Now()}, &voice{name: "lb-2", started: time.Now()}
		s.begin("x", 4)
		s.run(8, random, one, two)
		s.calm(map[string]int{"x": 4})
		s.begin("y", 4)
		s.run(25, random, one, two)
		s.calm(map[string]int{"x": 2, "y": 2})
		s.begin("z", 4)
		s.run(25, random, one, two)
		s.calm(map[string]int{"x": 2, "y": 1, "z": 1})
		s.end("x")
		s.run(25, random, one, two)
		s.calm(map[string]int{"y": 2, "z": 2})
	})
}

// In a rollout that changes the number of shards the old replicas lead until the last one has gone.
func TestShards_AnotherNumberOfThemIsRolledOut(t *testing.T) {
	for _, c := range []struct{ before, after int }{{1, 3}, {3, 1}, {2, 4}} {
		t.Run(fmt.Sprintf("from %d to %d", c.before, c.after), func(t *testing.T) {
			inTheatre(t, func(s *theatre) {
				random := rand.New(rand.NewPCG(3, 4))
				one, two := &voice{name: "lb-1", started: time.Now()}, &voice{name: "lb-2", started: time.Now()}
				s.begin("old", c.before)
				s.run(8, random, one, two)
				s.begin("new", c.after)
				s.run(20, random, one, two)
				s.calm(map[string]int{"old": c.before, "new": 0})
				s.end("old")
				s.run(30, random, one, two)
				s.calm(map[string]int{"new": c.after})
			})
		})
	}
}

// What nobody uses falls asleep in every shard, whoever the load balancers' reports come to, and nothing
// else does; also with a load balancer that knows no shards.
func TestShards_WhatIsIdleFallsAsleep(t *testing.T) {
	for name, voices := range map[string][]*voice{
		"load balancers that know shards": {{name: "lb-1"}, {name: "lb-2"}},
		"an old one among them":           {{name: "lb-1"}, {name: "lb-2", old: true}},
	} {
		t.Run(name, func(t *testing.T) {
			inTheatre(t, func(s *theatre) {
				random := rand.New(rand.NewPCG(5, 6))
				for _, home := range homes {
					s.counts[fleet.Key{Namespace: home, Deployment: "idle"}] = 1
				}
				for _, replica := range []string{"x", "y", "z"} {
					s.begin(replica, 4)
				}
				for _, v := range voices {
					v.started = time.Now()
				}
				awake := func() (list []string) {
					s.mu.Lock()
					defer s.mu.Unlock()
					for k, n := range s.counts {
						if n > 0 {
							list = append(list, k.String())
						}
					}
					return list
				}
				for seconds := 0; len(awake()) > len(homes) && seconds < 180; seconds++ {
					for _, v := range voices {
						v.follow(s.any(random))
						v.report(s.any(random))
					}
					time.Sleep(time.Second)
					s.observe()
				}
				list := awake()
				slices.Sort(list)
				if want := "a/busy b/busy default/busy models/busy shop/busy web/busy"; strings.Join(list, " ") != want {
					t.Errorf("awake: %v, want %s", list, want)
				}
			})
		})
	}
}

func TestParts_TellEachShardItsOwn(t *testing.T) {
	p, err := newParts(4)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p {
		p[i].loop = control.New(control.Options{Fleet: p[i].fleet, Log: slog.New(slog.DiscardHandler)})
	}
	for _, home := range homes {
		p.Observe(fleet.Observation{Key: fleet.Key{Namespace: home, Deployment: "x"}, Autoscaler: "x"})
	}
	p.Configure(fleet.BalancerSettings{Policy: "random", Version: 3})
	seen := 0
	for i := range p {
		for _, k := range p[i].fleet.Keys() {
			if seen++; shard.Of(k.Namespace, 4) != i {
				t.Errorf("%s is told to shard %d", k, i)
			}
		}
		if u, _ := p[i].fleet.Routes(""); u.Settings == nil || u.Settings.Version != 3 {
			t.Errorf("shard %d has the settings %+v", i, u.Settings)
		}
	}
	p.Forget(fleet.Key{Namespace: homes[0], Deployment: "x"})
	if p.Refresh(fleet.Autoscaler{Namespace: homes[0], Name: "x"}); seen != len(homes) || p.Leading() != 0 {
		t.Errorf("%d seen", seen)
	}
	p.Measure(nil)
}
