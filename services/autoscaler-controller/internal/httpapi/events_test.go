package httpapi

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// event is one, as a client reads it.
type event struct{ name, data, id string }

// eventStream is an open stream of events. It reads beside the test, so that nothing waits for it.
type eventStream struct {
	answer *http.Response
	come   chan event
	id     string
}

func followEvents(t *testing.T, h http.Handler, query string, header ...string) *eventStream {
	t.Helper()
	s := &eventStream{answer: opened(t, h, "/v1/events"+query, header...), come: make(chan event, 10_000)}
	go func() {
		defer close(s.come)
		lines, one := bufio.NewReader(s.answer.Body), event{}
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\n" {
				s.come <- one
				one = event{}
			}
			switch field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); field {
			case "event":
				one.name = value
			case "data":
				one.data = value
			case "id":
				one.id = value
			}
		}
	}()
	synctest.Wait()
	return s
}

// all are the events that have come; those that have no name but an id are comments.
func (s *eventStream) all() []event {
	synctest.Wait()
	var out []event
	for {
		select {
		case e, open := <-s.come:
			if e.id != "" {
				s.id = e.id
			}
			if !open {
				return out
			}
			if e.name != "" {
				out = append(out, e)
			}
		default:
			return out
		}
	}
}

// ended tells whether the stream is over.
func (s *eventStream) ended() bool {
	s.all()
	_, open := <-s.come
	return !open
}

// happened are events in short: what happened to which application.
func happened(all []event) []string {
	var out []string
	for _, e := range all {
		var of struct{ Deployment, State, ID string }
		_ = json.Unmarshal([]byte(e.data), &of)
		out = append(out, strings.TrimSpace(strings.Join([]string{e.name, of.Deployment, of.State, of.ID}, " ")))
	}
	return out
}

func TestEvents_WhatChangesComesWithinAMomentAndFitsTheContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		s := followEvents(t, p.handler(t), "")
		if got := s.answer.Header.Get("Content-Type"); got != eventsType || s.answer.Header.Get("Cache-Control") != "no-store" || len(s.all()) != 0 || s.id == "" {
			t.Fatalf("%s, begins at %q", got, s.id)
		}
		began := time.Now()
		p.board.Decided(p.records[0])
		p.board.Changed(key, true)
		time.Sleep(200 * time.Millisecond)
		got := s.all()
		if !slices.Equal(happened(got), []string{"decision fib  e-1", "application fib Awake"}) {
			t.Fatalf("%v", happened(got))
		}
		for i, schema := range []string{"Decision", "ApplicationChange"} {
			asJSON(t, json.RawMessage(got[i].data), schema)
		}
		if got[0].id != "" || got[1].id == "" || time.Since(began) > 200*time.Millisecond {
			t.Errorf("the last of several has the position behind them: %+v", got)
		}
		p.fleet.Forget(key)
		p.board.Removed(key)
		time.Sleep(200 * time.Millisecond)
		if got := s.all(); !slices.Equal(happened(got), []string{"removed fib"}) {
			t.Errorf("%v", happened(got))
		}
	})
}

func TestEvents_TrafficComesOnceASecondAndOnlyWhereSomethingIsDifferent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		s := followEvents(t, p.handler(t), "")
		n := 0
		for i := range 100 {
			if i%10 == 0 {
				p.fleet.Report(fleet.Report{Balancer: "lb", StartedAt: long, Sequence: int64(i + 1), Applications: []fleet.Traffic{{Key: key, InFlight: int32(i / 50), Requests: 7}}}, time.Now())
			}
			p.board.Changed(key, false)
			time.Sleep(50 * time.Millisecond)
			n += len(s.all())
		}
		if n < 2 || n > 3 {
			t.Errorf("%d events in 5 s, in which the requests changed two times", n)
		}
	})
}

func TestEvents_WhatHappensAllTheTimeIsLookedAtTenTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		s := followEvents(t, p.handler(t), "")
		time.Sleep(5 * time.Second)
		p.board.Decided(fleet.Record{Key: key, ID: "first"})
		time.Sleep(eventsApart)
		if got := happened(s.all()); !slices.Equal(got, []string{"decision fib  first"}) {
			t.Fatalf("after a pause at once: %v", got)
		}
		want, sends := 0, map[string]bool{}
		for i := range 200 { // for two seconds
			p.board.Decided(fleet.Record{Key: key, ID: fmt.Sprint(i)})
			want++
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(looksApart)
		all := s.all()
		for _, e := range all {
			if e.id != "" {
				sends[e.id] = true // the last one of each
			}
		}
		if len(all) != want || len(sends) < 15 || len(sends) > 22 {
			t.Errorf("%d of %d decisions, sent %d times", len(all), want, len(sends))
		}
	})
}

// What costs is to send, and not what is sent.
func TestEvents_ADecisionTakesTrafficAlong(t *testing.T) {
	for name, every := range map[string]time.Duration{"in the midst of a beat": ordinaryEvery, "three in two beats": ordinaryEvery * 2 / 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newParts()
				s := followEvents(t, p.handler(t), "")
				time.Sleep(ordinaryEvery * 6 / 10)
				decisions, sends, longest, since := 0, map[string]bool{}, time.Duration(0), time.Now()
				for begin := time.Now(); time.Since(begin) < 20*ordinaryEvery; time.Sleep(10 * time.Millisecond) {
					n := int64(time.Since(begin) / (10 * time.Millisecond))
					p.fleet.Report(fleet.Report{Balancer: "lb", StartedAt: long, Sequence: n + 1, Applications: []fleet.Traffic{{Key: key, Requests: n + 1}}}, time.Now())
					p.board.Changed(key, false)
					if time.Since(begin) >= time.Duration(decisions)*every {
						p.board.Decided(fleet.Record{Key: key, ID: fmt.Sprint(n)})
						decisions++
					}
					for _, e := range s.all() {
						if e.id != "" {
							sends[e.id] = true
						}
						if e.name == "application" {
							longest, since = max(longest, time.Since(since)), time.Now()
						}
					}
				}
				if most := decisions + 12; len(sends) > most || len(sends) < 20 {
					t.Errorf("%d decisions, and traffic all the time, in 20 beats: sent %d times, at most %d is enough", decisions, len(sends), most)
				}
				if longest > ordinaryEvery*3/2+100*time.Millisecond {
					t.Errorf("of the traffic nothing was said for %v", longest)
				}
			})
		})
	}
}

func TestEvents_TrafficComesToAllInTheSameMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		h := p.handler(t)
		var all []*eventStream
		for range 3 {
			all = append(all, followEvents(t, h, ""))
			time.Sleep(270 * time.Millisecond)
		}
		for _, s := range all {
			s.all() // what there was as it began
		}
		p.fleet.Report(fleet.Report{Balancer: "lb", StartedAt: long, Sequence: 1, Applications: []fleet.Traffic{{Key: key, InFlight: 3, Requests: 7}}}, time.Now())
		p.board.Changed(key, false)
		for waited := time.Duration(0); ; waited += 10 * time.Millisecond {
			if waited > ordinaryEvery {
				t.Fatal("nothing comes")
			}
			got := make([]int, len(all))
			for i, s := range all {
				got[i] = len(s.all())
			}
			if slices.Equal(got, []int{1, 1, 1}) {
				return
			}
			if !slices.Equal(got, []int{0, 0, 0}) {
				t.Fatalf("it comes to some before others: %v", got)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestEvents_WhoComesBackGetsWhatCameMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		h := p.handler(t)
		s := followEvents(t, h, "?wait=1s")
		p.board.Decided(p.records[0])
		time.Sleep(2 * time.Second)
		if !s.ended() || s.id == "" {
			t.Fatalf("it ends with its time, at %q", s.id)
		}
		p.board.Decided(fleet.Record{Key: key, ID: "e-2", Decision: scaling.Decision{Trigger: "Idle"}})
		p.board.Changed(key, false)
		again := followEvents(t, h, "", "Last-Event-ID", s.id)
		time.Sleep(2 * time.Second)
		if got := happened(again.all()); !slices.Equal(got, []string{"decision fib  e-2", "application fib Awake"}) {
			t.Errorf("%v", got)
		}
		for _, id := range []string{"other.1.1", "e.99999.1", "e"} {
			lost := followEvents(t, h, "?wait=1s", "Last-Event-ID", id)
			if got := happened(lost.all()); !slices.Equal(got, []string{"reset"}) {
				t.Errorf("after %s: %v", id, got)
			}
		}
	})
}

func TestEvents_AReaderSeesNothingOfNamespacesThatItMayNotSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := guarding(mayAll("list/ default"))
		secret := fleet.Key{Namespace: "secret", Deployment: "fib"}
		p.fleet.Observe(fleet.Observation{Key: secret, Autoscaler: "x"}, time.Now())
		h := p.handler(t)
		s := followEvents(t, h, "", "Authorization", "Bearer jane")
		for _, k := range []fleet.Key{secret, key} {
			p.board.Changed(k, true)
			p.board.Changed(k, false)
			p.board.Decided(fleet.Record{Key: k, ID: k.Namespace})
		}
		p.board.Removed(secret)
		time.Sleep(3 * time.Second)
		got := s.all()
		if want := []string{"application fib Awake", "decision fib  default"}; !slices.Equal(happened(got), want) {
			t.Errorf("%v, want %v", happened(got), want)
		}
		for _, e := range got {
			if strings.Contains(e.data, "secret") {
				t.Errorf("%s", e.data)
			}
		}
		if w := do(h, "GET", "/v1/events?namespace=secret&wait=0s", "", "Authorization", "Bearer jane"); w.Code != http.StatusForbidden {
			t.Errorf("by name: %d %s", w.Code, w.Body)
		}
	})
}

func TestEvents_AreOfOneNamespaceWhereOneIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		s := followEvents(t, p.handler(t), "?namespace=default")
		p.board.Decided(fleet.Record{Key: fleet.Key{Namespace: "other", Deployment: "a"}, ID: "1"})
		p.board.Decided(fleet.Record{Key: key, ID: "2"})
		time.Sleep(time.Second)
		if got := happened(s.all()); !slices.Equal(got, []string{"decision fib  2"}) {
			t.Errorf("%v", got)
		}
	})
}

func TestEvents_ThereIsABoundForACallerAndForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := guarding(mayAll("list/ default"))
		h := p.handler(t)
		var open []*eventStream
		for range maxStreamsOfMe {
			open = append(open, followEvents(t, h, "", "Authorization", "Bearer jane"))
		}
		w := do(h, "GET", "/v1/events", "", "Authorization", "Bearer jane")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "jane follows 8") {
			t.Errorf("one more: %d %s", w.Code, w.Body)
		}
		if w := do(h, "GET", "/v1/events?wait=0s", "", "Authorization", "Bearer joe"); w.Code != http.StatusOK {
			t.Errorf("somebody else: %d %s", w.Code, w.Body)
		}
		_ = open[0].answer.Body.Close()
		synctest.Wait()
		p.board.Decided(p.records[0]) // what is written there shows that nobody reads
		time.Sleep(time.Minute)
		if w := do(h, "GET", "/v1/events?wait=0s", "", "Authorization", "Bearer jane"); w.Code != http.StatusOK {
			t.Errorf("after one ended: %d %s", w.Code, w.Body)
		}
	})
}

func TestEvents_EndWhenTheReplicaEndsAndWhenAnotherLeads(t *testing.T) {
	for name, end := range map[string]func(*parts){"it ends": func(p *parts) { close(p.ending) }, "another leads": func(p *parts) { close(p.changed) }} {
		synctest.Test(t, func(t *testing.T) {
			p := newParts()
			s := followEvents(t, p.handler(t), "")
			end(p)
			synctest.Wait()
			if !s.ended() {
				t.Errorf("%s: it goes on", name)
			}
		})
	}
}

func TestEvents_ASilentStreamHasAComment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		h := p.handler(t)
		s := followEvents(t, h, "")
		s.all()
		p.board.Decided(fleet.Record{Key: fleet.Key{Namespace: "x", Deployment: "y"}})
		began := time.Now()
		e := <-s.come
		for e.name != "" {
			e = <-s.come
		}
		if waited := time.Since(began); waited > heartbeatTime+time.Second || e.id == "" {
			t.Errorf("after %v, with the id %q", waited, e.id)
		}
	})
}

func TestEvents_AreRefusedWhileThePictureIsNotWhole(t *testing.T) {
	p := newParts()
	p.missing = "pods are not read yet"
	if w := do(p.handler(t), "GET", "/v1/events", ""); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	p.missing = ""
	for target, field := range map[string]string{"/v1/events?wait=2m": "wait", "/v1/events?namespace=A_B": "namespace"} {
		if w := do(p.handler(t), "GET", target, ""); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), field) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestEvents_AFollowerPassesTheLeadersOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := newParts()
		follower := lead(t, leader.handler(t))
		s := followEvents(t, follower.handler(t), "")
		if s.answer.Header.Get("X-Accel-Buffering") != "no" {
			t.Error("a proxy before the follower keeps it back")
		}
		leader.board.Decided(leader.records[0])
		follower.board.Decided(fleet.Record{Key: key, ID: "of the follower"})
		time.Sleep(time.Second)
		if got := happened(s.all()); !slices.Equal(got, []string{"decision fib  e-1"}) {
			t.Errorf("%v", got)
		}
		close(follower.changed)
		if synctest.Wait(); !s.ended() {
			t.Error("another leads now, and the stream goes on")
		}
		away := lead(t, nil)
		stood := followEvents(t, away.handler(t), "", "Last-Event-ID", s.id+"9")
		if got := happened(stood.all()); !slices.Equal(got, []string{"reset"}) {
			t.Errorf("where the leader does not answer: %v", got)
		}
		time.Sleep(standInTime + time.Second)
		if !stood.ended() {
			t.Error("a follower stands in for a moment alone")
		}
	})
}

func TestEvents_OfShardsAreOneStreamThatIsTakenUpInEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := desks(t)
		for i, d := range list {
			d.board = news.New(fmt.Sprintf("e%d", i))
		}
		h := front(t, list, newParts())
		s := followEvents(t, h, "?wait=5s")
		for i, namespace := range []string{"models", "b", "shop"} {
			list[i].board.Decided(fleet.Record{Key: fleet.Key{Namespace: namespace, Deployment: "app"}, ID: namespace})
			time.Sleep(100 * time.Millisecond)
		}
		if got := happened(s.all()); !slices.Equal(got, []string{"decision app  models", "decision app  b", "decision app  shop"}) {
			t.Errorf("%v", got)
		}
		if s.id != "e0.1.0,e1.1.0,e2.1.0" && strings.Count(s.id, ",") != 2 {
			t.Errorf("the position is %s", s.id)
		}
		time.Sleep(6 * time.Second)
		if !s.ended() {
			t.Error("it goes on")
		}
		list[1].board.Decided(fleet.Record{Key: fleet.Key{Namespace: "b", Deployment: "app"}, ID: "later"})
		again := followEvents(t, h, "?wait=5s", "Last-Event-ID", s.id)
		if got := happened(again.all()); !slices.Equal(got, []string{"decision app  later"}) {
			t.Errorf("taken up: %v", got)
		}
		other := followEvents(t, h, "?wait=5s", "Last-Event-ID", "e0.1.0,e1.1.0")
		if got := happened(other.all()); !slices.Contains(got, "reset") {
			t.Errorf("of another number of shards: %v", got)
		}
		one := followEvents(t, h, "?wait=5s&namespace=b")
		list[0].board.Decided(fleet.Record{Key: fleet.Key{Namespace: "models", Deployment: "app"}, ID: "x"})
		list[1].board.Decided(fleet.Record{Key: fleet.Key{Namespace: "b", Deployment: "app"}, ID: "y"})
		time.Sleep(time.Second)
		if got := happened(one.all()); !slices.Equal(got, []string{"decision app  y"}) {
			t.Errorf("of one namespace: %v", got)
		}
		list[2].missing = "pods"
	})
}

func TestEvents_AShardThatRefusesEndsAll(t *testing.T) {
	list := desks(t)
	elsewhere := newParts()
	elsewhere.missing = "pods are not read yet"
	w := do(front(t, list, elsewhere), "GET", "/v1/events", "")
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	fits(t, w, "Problem")
}

// goes is a client that goes after some bytes.
type goes struct {
	http.ResponseWriter
	left int
}

func (b *goes) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("gone")
	}
	return b.ResponseWriter.Write(p)
}

func TestEvents_AClientThatGoesEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		h := p.handler(t)
		s := followEvents(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&goes{w, 100}, r)
		}), "")
		for range 3 {
			p.board.Decided(p.records[0])
			time.Sleep(time.Second)
		}
		if !s.ended() || p.open.Load() != 0 {
			t.Errorf("%d streams are open", p.open.Load())
		}
		_, _ = io.Copy(io.Discard, s.answer.Body)
	})
}
