package httpapi

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// stream is an open answer, in a bubble of virtual time.
type stream struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Reader

	fitting int // lines that were held against the contract, which takes long
}

// open asks a handler for a stream of the routes, over a connection.
func open(t *testing.T, h http.Handler, query string, header ...string) *stream {
	t.Helper()
	answer := opened(t, h, "/v1/routes"+query, header...)
	return &stream{t: t, answer: answer, lines: bufio.NewReader(answer.Body)}
}

// opened is an answer over a connection, which is closed with the test.
func opened(t *testing.T, h http.Handler, target string, header ...string) *http.Response {
	t.Helper()
	network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := httptest.NewUnstartedServer(h)
	_ = server.Listener.Close()
	server.Listener = network
	server.Start()
	transport := &http.Transport{DialContext: network.dial}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+leaderAddress+target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = answer.Body.Close()
		transport.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	})
	return answer
}

// next reads one line; false: the stream is over.
func (s *stream) next() (u autoscaler.RoutesUpdate, goesOn bool) {
	s.t.Helper()
	line, err := s.lines.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return u, false
	}
	if err == nil {
		err = json.Unmarshal(line, &u)
	}
	if err != nil {
		s.t.Fatalf("%q: %v", line, err)
	}
	if s.fitting++; s.fitting <= 2 {
		asJSON(s.t, u, "RoutesUpdate")
	}
	return u, true
}

// whole reads the lines of one update. It returns how many they were.
func (s *stream) whole() (all autoscaler.RoutesUpdate, lines int) {
	s.t.Helper()
	for {
		u, goesOn := s.next()
		if !goesOn {
			s.t.Fatal("the stream is over")
		}
		if lines++; lines == 1 {
			all = u
		} else {
			all.Applications, all.Removed = append(all.Applications, u.Applications...), append(all.Removed, u.Removed...)
			if u.Version != all.Version || u.Complete != all.Complete || u.Settings != nil || u.Balancers != nil {
				s.t.Errorf("line %d of an update is %+v", lines, u)
			}
		}
		if !value(u.Continued, false) {
			return all, lines
		}
	}
}

func observeMany(f *fleet.Fleet, n int, replicas int32) {
	for i := range n {
		f.Observe(fleet.Observation{
			Key: fleet.Key{Namespace: "many", Deployment: fmt.Sprint("a", i)}, Autoscaler: "many", Address: fleet.Address{Prefix: fmt.Sprint("/a", i)},
			Deployment: fleet.Deployment{Found: true, Replicas: replicas},
			Spec:       scaling.Spec{WakeUpTimeout: time.Minute},
		}, time.Now())
	}
}

func TestStream_TellsEachChangeAndThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		s := open(t, p.handler(t), "?stream=true")
		if got := s.answer.Header.Get("Content-Type"); got != linesType {
			t.Fatalf("Content-Type %s", got)
		}
		first, _ := s.next()
		if !first.Complete || len(first.Applications) != 1 || first.Applications[0].Hash == nil {
			t.Fatalf("first came %+v", first)
		}
		began := time.Now()
		for range 3 {
			if u, _ := s.next(); u.Version != first.Version || u.Complete || len(u.Applications) != 0 {
				t.Errorf("while nothing changed came %+v", u)
			}
		}
		if took := time.Since(began); took != 3*heartbeatTime {
			t.Errorf("three signs of life within %v", took)
		}
		synctest.Wait()
		began = time.Now()
		p.observe(0)
		u, _ := s.next()
		if u.Complete || len(u.Applications) != 1 || u.Version == first.Version || *u.Applications[0].Hash == *first.Applications[0].Hash {
			t.Errorf("the change came as %+v", u)
		}
		if took := time.Since(began); took > batchTime {
			t.Errorf("a change after a rest came after %v", took)
		}
		close(p.ending)
		if _, goesOn := s.next(); goesOn {
			t.Error("it goes on when the service ends")
		}
	})
}

func TestStream_WhatChangesInAMomentIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		s := open(t, p.handler(t), "?stream=true")
		s.whole()
		for i := range 10 {
			observeMany(p.fleet, 100, int32(i%2))
			synctest.Wait() // all that can be sent at once is
			p.observe(int32(i % 2))
		}
		time.Sleep(batchTime)
		close(p.ending)
		lines, changed := 0, map[string]bool{}
		for {
			u, goesOn := s.next()
			if !goesOn {
				break
			}
			lines++
			for _, a := range u.Applications {
				changed[a.Deployment] = true
			}
		}
		if lines > 3 || len(changed) != 101 {
			t.Errorf("%d applications changed in %d lines", len(changed), lines)
		}
	})
}

func TestStream_EverythingComesInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		observeMany(p.fleet, 1000, 0)
		p.fleet.Configure(fleet.BalancerSettings{Policy: "random", MaxConnections: 1, Timeout: time.Second})
		all, lines := open(t, p.handler(t), "?stream=true").whole()
		if !all.Complete || len(all.Applications) != 1001 || lines != 4 || all.Settings == nil || all.Balancers == nil {
			t.Errorf("complete %v: %d applications in %d lines, settings %v", all.Complete, len(all.Applications), lines, all.Settings)
		}
	})
}

func TestStream_WhoSaysWhatItHoldsGetsWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		observeMany(p.fleet, 1000, 0)
		all, _ := open(t, p.handler(t), "?stream=true").whole()
		have := make([]byte, 64*8)
		for _, r := range all.Applications {
			var sum [8]byte
			if _, err := hex.Decode(sum[:], []byte(*r.Hash)); err != nil {
				t.Fatal(err)
			}
			h := uint64(14695981039346656037)
			for _, c := range []byte(r.Namespace + "/" + r.Deployment) {
				h = (h ^ uint64(c)) * 1099511628211
			}
			for i := range sum {
				have[8*(h%64)+uint64(i)] ^= sum[i]
			}
		}
		query := "?stream=true&after=other.7&have=" + base64.RawURLEncoding.EncodeToString(have)
		same, _ := open(t, p.handler(t), query).whole()
		if same.Complete || same.Buckets == nil || len(*same.Buckets)+len(same.Applications) != 0 || same.Version != all.Version {
			t.Errorf("who has everything gets %+v", same)
		}
		p.observe(0)
		changed, _ := open(t, p.handler(t), query).whole()
		if changed.Complete || len(*changed.Buckets) != 1 || len(changed.Applications) == 0 || len(changed.Applications) > 50 {
			t.Errorf("where one changed: buckets %v, %d applications", changed.Buckets, len(changed.Applications))
		}
		// The long poll knows the same.
		var polled autoscaler.RoutesUpdate
		if err := json.Unmarshal(do(p.handler(t), "GET", "/v1/routes"+strings.Replace(query, "stream=true&", "", 1), "").Body.Bytes(), &polled); err != nil || len(polled.Applications) != len(changed.Applications) {
			t.Errorf("a poll: %+v, %v", polled, err)
		}
	})
}

// A reader that reads nothing is sent no more than what fits, then the newest of all at once, and is
// dropped when it takes too long.
func TestStream_WhoReadsSlowlyGetsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		observeMany(p.fleet, 800, 0)
		s := open(t, p.handler(t), "?stream=true")
		for range 20 {
			observeMany(p.fleet, 800, 1)
			observeMany(p.fleet, 800, 0)
			time.Sleep(10 * time.Millisecond)
		}
		first, _ := s.whole()
		second, _ := s.whole()
		newest, _ := p.fleet.Routes("")
		if first.Version == newest.Version || second.Version != newest.Version || len(second.Applications) != 800 {
			t.Errorf("first %s, then %s with %d applications; the newest is %s", first.Version, second.Version, len(second.Applications), newest.Version)
		}
		observeMany(p.fleet, 800, 1)
		time.Sleep(writeTimeout + time.Second)
		if rest, err := io.ReadAll(s.lines); err == nil || len(rest) > 1<<20 {
			t.Errorf("after a long silence %d bytes are left, %v", len(rest), err)
		}
	})
}

func TestStream_LastsAsLongAsIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for wait, want := range map[string]time.Duration{"0s": 0, "5s": 5 * time.Second, "25s": 25 * time.Second} {
			began := time.Now()
			s := open(t, newParts().handler(t), "?stream=true&wait="+wait)
			for goesOn := true; goesOn; {
				_, goesOn = s.next()
			}
			if took := time.Since(began); took != want {
				t.Errorf("wait=%s: it took %v", wait, took)
			}
		}
	})
}

// A right that is taken away, and a token that has ended, count for no longer than this.
func TestStream_IsAskedForAnewByWhoIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for token, most := range map[string]time.Duration{"olga": time.Minute, lbToken: time.Hour} {
			for query, want := range map[string]time.Duration{"?stream=true": most, "?stream=true&wait=10s": 10 * time.Second} {
				began, p := time.Now(), guarding(mayAll("get/routes "))
				s := open(t, p.handler(t), query, "Authorization", "Bearer "+token)
				for goesOn := true; goesOn; {
					_, goesOn = s.next()
				}
				if took := time.Since(began); took != want {
					t.Errorf("%s by %.4s: it took %v, want %v", query, token, took, want)
				}
			}
		}
	})
}

func TestStream_EndsWhenAnotherOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		s := open(t, p.handler(t), "?stream=true")
		s.whole()
		close(p.changed)
		if _, goesOn := s.next(); goesOn {
			t.Error("it goes on")
		}
	})
}

func TestStream_RefusalsAreProblemDocuments(t *testing.T) {
	p := newParts()
	for name, c := range map[string]struct {
		missing, query, field string
		status                int
	}{
		"a digest of no kind":       {"", "&have=" + strings.Repeat("A", 700), "have", 400},
		"a digest that is no text":  {"", "&have=" + strings.Repeat("!", 683), "have", 400},
		"a digest that is cut":      {"", "&have=AAAA", "have", 400},
		"a wait of no kind":         {"", "&wait=2m", "wait", 400},
		"a picture that is not yet": {"the pods", "", "", 503},
	} {
		p.missing = c.missing
		w := do(p.handler(t), "GET", "/v1/routes?stream=true"+c.query, "")
		if w.Code != c.status || !strings.Contains(w.Body.String(), `"`+c.field) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
			continue
		}
		fits(t, w, "Problem")
	}
	close(p.ending)
	p.missing = ""
	if w := do(p.handler(t), "GET", "/v1/routes?stream=true", ""); w.Code != 503 {
		t.Errorf("at the end: %d", w.Code)
	}
}

func TestStream_AFollowerPassesItOnLineByLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := newParts()
		observeMany(leader.fleet, 1000, 0)
		follower := lead(t, leader.handler(t))
		s := open(t, follower.handler(t), "?stream=true")
		if all, lines := s.whole(); len(all.Applications) != 1001 || lines != 4 || s.answer.Header.Get("Content-Type") != linesType {
			t.Errorf("%d applications in %d lines of %s", len(all.Applications), lines, s.answer.Header.Get("Content-Type"))
		}
		began := time.Now()
		leader.observe(0)
		if u, _ := s.next(); len(u.Applications) != 1 || time.Since(began) > batchTime {
			t.Errorf("a change came as %+v after %v", u, time.Since(began))
		}
		for range 20 {
			s.next() // signs of life
		}
		if took := time.Since(began); took < 20*heartbeatTime-batchTime || follower.failed != 0 {
			t.Errorf("it lasted %v, and %d relays failed", took, follower.failed)
		}
		close(follower.changed)
		if _, goesOn := s.next(); goesOn {
			t.Error("it goes on when another one leads")
		}
	})
}

func TestStream_ARelayOfAnEarlierVersionIsGivenAnAnswerThatEnds(t *testing.T) {
	w := do(newParts().handler(t), "GET", "/v1/routes?stream=true", "", relayedHeader, "1")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Body.String(), `"complete":true`) {
		t.Errorf("got %d %s %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
}

func TestStream_WhoeverStandsInForTheLeaderDoesItForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := open(t, lead(t, nil).handler(t), "?stream=true")
		if u, _ := s.whole(); !u.Complete {
			t.Errorf("got %+v", u)
		}
		if _, goesOn := s.next(); goesOn || time.Since(began) != standInTime {
			t.Errorf("it goes on: %v, after %v", goesOn, time.Since(began))
		}
	})
}

// An answer of a leader of an earlier version to a request for a stream is passed on like any other.
func TestStream_AFollowerPassesOnAnAnswerThatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		follower := lead(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(20 * time.Second) // a long poll
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"version":"old.1"}`)
		}))
		w := do(follower.handler(t), "GET", "/v1/routes?stream=true&wait=20s", "")
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Body.String() != `{"version":"old.1"}` || follower.failed != 0 {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
}

func TestStream_AFollowerGivesUpALeaderThatFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		follower := lead(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", linesType)
			_, _ = io.WriteString(w, `{"version":"old.1","complete":false,"applications":[],"removed":[]}`+"\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		s := open(t, follower.handler(t), "?stream=true")
		s.whole()
		began := time.Now()
		if _, goesOn := s.next(); goesOn || time.Since(began) != silenceTime {
			t.Errorf("it goes on: %v, after %v", goesOn, time.Since(began))
		}
	})
}
