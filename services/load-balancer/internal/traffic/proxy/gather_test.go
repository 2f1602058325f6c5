package proxy

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

const (
	withLength = "POST /shop HTTP/1.1\nHost: a\nContent-Length: "
	inChunks   = "POST /shop HTTP/1.1\nHost: a\nTransfer-Encoding: chunked"
)

// taking is a sender that reads the body, and notes what it was given and when.
type taking struct {
	began, ended time.Time
	begun        int
	whole        bool
	body         []byte
	err          error
}

func (s *taking) Send(_ Destination, r *Outgoing) (Answer, error) {
	s.began, s.begun, s.whole, s.body = time.Now(), len(r.Begun)+len(r.Whole), !r.Streams, append(bytes.Clone(r.Begun), r.Whole...)
	if r.Streams {
		var rest []byte
		rest, s.err = io.ReadAll(r.Client)
		s.body = append(s.body, rest...)
	}
	s.ended = time.Now()
	if s.err != nil {
		return nil, &BodyError{s.err}
	}
	return answers(r, "HTTP/1.1 200 OK\nContent-Length: 0"), nil
}

// trickle is so many parts, each after such a pause.
func trickle(parts, size int, pause time.Duration) (all []part) {
	for range parts {
		all = append(all, part{after: pause, text: strings.Repeat("x", size)})
	}
	return all
}

func TestGather_WhatIsReadBeforeAPodIsTaken(t *testing.T) {
	one := func(_ *Options, r *routing.Route) { r.Concurrency = 1 }
	for name, test := range map[string]struct {
		head   string
		body   []part
		change func(*Options, *routing.Route)
		begun  int           // bytes that were there when the pod was taken
		whole  bool          // and they were all
		at     time.Duration // when the pod was taken
		status int
	}{
		"nothing":                                    {withLength + "0", nil, nil, 0, true, 0, 200},
		"a small body":                               {withLength + "5", []part{{text: "hello"}}, nil, 5, true, 0, 200},
		"a small body in parts":                      {withLength + "30", trickle(3, 10, time.Second), nil, 30, true, 3 * time.Second, 200},
		"one that ends with its last part":           {withLength + "5", []part{{text: "hello", err: io.EOF}}, nil, 5, true, 0, 200},
		"as much as is read":                         {withLength + "65536", trickle(16, 4096, 0), nil, 64 << 10, false, 0, 200},
		"more than that":                             {withLength + "81920", trickle(20, 4096, 0), nil, 64 << 10, false, 0, 200},
		"a slow one is not given a pod":              {withLength + "2000", trickle(20, 100, 900*time.Millisecond), nil, 0, false, 0, 408},
		"one that pauses is not given a pod":         {withLength + "100", []part{{text: "x"}, {after: time.Hour, text: "y"}}, nil, 0, false, 0, 408},
		"one that never comes":                       {withLength + "100", []part{{after: time.Hour}}, nil, 0, false, 0, 408},
		"one that is just fast enough":               {withLength + "2500", trickle(10, 250, time.Second), nil, 2500, true, 10 * time.Second, 200},
		"one that breaks off":                        {withLength + "100", []part{{text: "x", err: io.ErrUnexpectedEOF}}, nil, 0, false, 0, 400},
		"chunks":                                     {inChunks, trickle(3, 10, time.Millisecond), nil, 0, false, 0, 200},
		"chunks that pause go on":                    {inChunks, []part{{text: "hello"}, {after: 3 * time.Second, text: "world"}}, nil, 5, false, 0, 200},
		"chunks that come late":                      {inChunks, []part{{after: 3 * time.Second, text: "world"}}, nil, 0, false, 0, 200},
		"chunks that never stop go on":               {inChunks, trickle(100, 1, 990*time.Millisecond), nil, 0, false, 0, 200},
		"chunks that pause, before a pod of one":     {inChunks, []part{{text: "hello"}, {after: 3 * time.Second, text: "world"}}, one, 10, true, 3 * time.Second, 200},
		"chunks that stop, before a pod of one":      {inChunks, []part{{text: "hello"}, {after: time.Hour}}, one, 0, false, 0, 408},
		"a large one in chunks, before a pod of one": {inChunks, trickle(20, 4096, 0), one, 64 << 10, false, 0, 200},
		"one that is asked for":                      {withLength + "5\nExpect: 100-continue", []part{{after: time.Second, text: "hello"}}, nil, 0, false, 0, 200},
		"one that is asked for, before a pod of one": {withLength + "5\nExpect: 100-continue", []part{{after: time.Second, text: "hello"}}, one, 5, true, time.Second, 200},
		"one that is asked for and never comes":      {withLength + "100\nExpect: 100-continue", []part{{after: time.Hour}}, one, 0, false, 0, 408},
		"more than allowed":                          {inChunks, trickle(300, 4096, 0), nil, 64 << 10, false, 0, 413},
		"just as much as allowed":                    {inChunks, trickle(256, 4096, 0), nil, 64 << 10, false, 0, 200},
		"when all hold too much already":             {withLength + "20000", trickle(10, 2000, 0), func(o *Options, _ *routing.Route) { o.Limits.Gathered = 4096 }, 8192, false, 0, 200},
		"when all may hold nothing":                  {withLength + "20000", trickle(10, 2000, 0), func(o *Options, _ *routing.Route) { o.Limits.Gathered = 0 }, 4096, false, 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pod, size := &taking{}, 0
				for _, p := range test.body {
					size += len(p.text)
				}
				change := test.change
				if change == nil {
					change = func(*Options, *routing.Route) {}
				}
				u, c, began := newUnit(t, pod, change), newClient(test.body...), time.Now()
				r := u.ask(c, test.head)
				if c.head.Status != test.status || r.Status != test.status {
					t.Fatalf("%+v %s", c.head, c.body)
				}
				if c.head.Close != (test.status != 200) {
					t.Errorf("close %v", c.head.Close)
				}
				switch test.status {
				case 200:
					at := pod.began.Sub(began)
					if pod.begun != test.begun || pod.whole != test.whole || len(pod.body) != size || r.RequestBytes != int64(size) {
						t.Errorf("the pod was taken with %d bytes, whole %v, and got %d of %d; the log has %d", pod.begun, pod.whole, len(pod.body), size, r.RequestBytes)
					}
					if at != test.at {
						t.Errorf("the pod was taken after %v", at)
					}
				case 413: // it was on its way when that was seen
				default:
					if !pod.began.IsZero() || r.Tries != 0 {
						t.Errorf("a pod was taken after %v", pod.began.Sub(began))
					}
				}
			})
		})
	}
}

func TestGather_ASlowBodyIsGivenUpWhenItsRateIsTooLow(t *testing.T) {
	for bytesASecond, want := range map[int]time.Duration{
		1:   5 * time.Second, // after the grace
		100: 8 * time.Second,
		200: 26 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			u, c, began := newUnit(t, sends(hello)), newClient(trickle(1000, bytesASecond, time.Second)...), time.Now()
			u.ask(c, withLength+"8000")
			took := time.Since(began)
			if c.head.Status != 408 || c.code(t) != "request-timeout" || took < want-time.Second || took > want+time.Second {
				t.Errorf("%d bytes a second: %d after %v, want about %v", bytesASecond, c.head.Status, took, want)
			}
		})
	}
}

// What is here of a body with a length is given at once. Of one in chunks it may be a chunk's size alone.
func TestGather_HasPatienceOnlyWithWhatIsWaitedFor(t *testing.T) {
	for head, want := range map[string]bool{withLength + "3": false, "POST /shop HTTP/1.1\nHost: a\nTransfer-Encoding: chunked": true} {
		u := newUnit(t, sends(hello))
		c := newClient(part{text: "abc"})
		if r := u.ask(c, head); r.Status != 200 || r.RequestBytes != 3 || (c.patience > 0) != want {
			t.Errorf("%q: %d, %d bytes, patience %v", head, r.Status, r.RequestBytes, c.patience)
		}
	}
}

func TestGather_OfAllRequestsTogetherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) { return (&taking{}).Send(to, r) }), func(o *Options, _ *routing.Route) { o.Limits.Gathered = 100 << 10 })
		for range 10 { // each would like to hold 60 KiB more than it has
			c := newClient(part{text: strings.Repeat("x", 50<<10)}, part{after: time.Second, text: "end"})
			go u.Serve(c, request(t, withLength+strconv.Itoa(50<<10+3)))
		}
		synctest.Wait()
		if held := u.gathered.Load(); held == 0 || held > 100<<10 {
			t.Errorf("%d bytes are held", held)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		u.settled()
		for _, r := range u.log.all {
			if r.Status != 200 || r.RequestBytes != 50<<10+3 {
				t.Errorf("the log has %+v", r)
			}
		}
	})
}

func TestRest_IsBoundedInTimeAndSize(t *testing.T) {
	for name, test := range map[string]struct {
		body   []part
		status int
		after  time.Duration
	}{
		"a pause that is short enough": {[]part{{after: 2 * time.Second, text: "a"}, {after: 59 * time.Second, text: "b"}}, 200, 61 * time.Second},
		"a pause that is too long":     {[]part{{after: 2 * time.Second, text: "a"}, {after: 61 * time.Second, text: "b"}}, 408, 62 * time.Second},
		"an end before the end":        {[]part{{after: 2 * time.Second, text: "a", err: io.ErrUnexpectedEOF}}, 400, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, c, began := newUnit(t, &taking{}), newClient(test.body...), time.Now()
				u.ask(c, inChunks)
				if took := time.Since(began); c.head.Status != test.status || took != test.after {
					t.Errorf("%d after %v", c.head.Status, took)
				}
				if len(u.usable()) != 2 || u.failed("broken") > 0 {
					t.Error("the pod was blamed")
				}
			})
		})
	}
}

func TestGather_AClientThatGoesWhileItsBodyIsReadTakesNoPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, c := newUnit(t, sends(hello)), newClient(part{text: "x"}, part{after: time.Hour})
		time.AfterFunc(time.Second, c.Cancel)
		if r := u.ask(c, withLength+"10"); r.Tries != 0 || c.head != nil || r.Status != 0 || r.RequestBytes != 1 || r.Took != time.Second {
			t.Errorf("%+v; the log has %+v", c.head, r)
		}
	})
}
