package proxy

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// asleep is a unit whose application sleeps, takes 40 s to start, and answers who waits so.
func asleep(tb testing.TB, mode routing.WhileWaiting, sender Sender, change ...func(*Options, *routing.Route)) *unit {
	tb.Helper()
	return newUnit(tb, sender, append([]func(*Options, *routing.Route){func(_ *Options, r *routing.Route) {
		r.State, r.Endpoints, r.WhileWaiting, r.ExpectedStart = routing.Asleep, nil, mode, 40*time.Second
	}}, change...)...)
}

// wakes gives the application a pod after a while.
func (u *unit) wakes(after time.Duration) {
	time.AfterFunc(after, func() {
		woken := u.route
		woken.State, woken.Endpoints = routing.Awake, []routing.Endpoint{{Pod: "shop-1", Address: "10.0.0.1:80", Ready: true}}
		u.d.Apply(routing.Update{Version: "2", Routes: []routing.Route{woken}})
	})
}

// aWakeUp is the trace of a request, whose id its wake-up has.
const aWakeUp = "\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestWhileWaiting_AnswersAtOnceAndTheStartGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		mode   routing.WhileWaiting
		head   string
		status int
		has    []string // in the fields and the body
	}{
		"Unavailable":                {routing.RefuseAtOnce, "POST /shop/1 HTTP/1.1\nHost: a", 503, []string{"application/problem+json", `"unavailable"`, "pod starting, 0 of about 40 s", "Retry-After: 40"}},
		"Unavailable, HTTP/1.0":      {routing.RefuseAtOnce, "GET /shop/1 HTTP/1.0", 503, []string{"Retry-After: 40"}},
		"Unavailable, to gRPC":       {routing.RefuseAtOnce, "POST /shop/1 HTTP/1.1\nHost: a\nContent-Type: application/grpc", 200, []string{"grpc-status: 14", "grpc-retry-pushback-ms: 40000"}},
		"Unavailable, to WebSockets": {routing.RefuseAtOnce, "GET /shop/1 HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket", 503, nil},
		"Accepted": {routing.Accept, "POST /shop/1 HTTP/1.1\nHost: a", 202, []string{
			"Content-Type: application/json", "Location: /shop/.well-known/nemesis/starts/4bf92f3577b34da6a3ce929d0e0e4736", "Retry-After: 40", `"status":"starting"`, "Cache-Control: no-store",
		}},
		"Page":       {routing.ShowPage, "GET /shop/1 HTTP/1.1\nHost: a\nAccept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", 503, []string{"Content-Type: text/html; charset=utf-8", "Refresh: 5", "Retry-After: 40", `max="40"`, "pod starting, 0 of about 40 s"}},
		"Page, HEAD": {routing.ShowPage, "HEAD /shop/1 HTTP/1.1\nHost: a\nAccept: text/html", 503, []string{"Refresh: 5", "Content-Length: "}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := asleep(t, test.mode, sends(hello))
				c := newClient()
				r := u.ask(c, test.head+aWakeUp)
				if r.Took != 0 || c.head == nil || c.head.Status != test.status || !c.ended || c.head.Close {
					t.Fatalf("%+v after %v", c.head, r.Took)
				}
				for _, has := range test.has {
					if all := strings.Join(c.fields, "\n") + "\n" + string(c.body); !strings.Contains(all, has) {
						t.Errorf("%q is not in %s", has, all)
					}
				}
				if r.Status != test.status && r.Refusal != "unavailable" || r.WakeUp != "4bf92f3577b34da6a3ce929d0e0e4736" {
					t.Errorf("the log has %+v", r)
				}
				// Who comes 12 s later is told what is left, and who comes when it is over gets the answer.
				time.Sleep(12 * time.Second)
				again := newClient()
				if u.ask(again, test.head); again.head.Status != test.status || again.field("Retry-After") != "28" && again.field("grpc-retry-pushback-ms") != "28000" {
					t.Errorf("%+v %q", again.head, again.fields)
				}
				u.wakes(0)
				synctest.Wait()
				last := newClient()
				if u.ask(last, test.head); last.head.Status != 200 || last.field("grpc-status") != "" {
					t.Errorf("%+v %q", last.head, last.fields)
				}
			})
		})
	}
}

func TestWhileWaiting_HoldsWhoCouldMakeNothingOfIt(t *testing.T) {
	const get, html, events = "GET /shop/1 HTTP/1.1\nHost: a", "\nAccept: text/html", "\nAccept: text/event-stream"
	for name, test := range map[string]struct {
		mode routing.WhileWaiting
		head string
	}{
		"by default":                 {"", get + html},
		"Hold":                       {routing.Hold, get + html + events},
		"Accepted, to gRPC":          {routing.Accept, "POST /shop/1 HTTP/1.1\nHost: a\nContent-Type: application/grpc+proto"},
		"Accepted, to WebSockets":    {routing.Accept, get + "\nConnection: Upgrade\nUpgrade: websocket"},
		"Page, to a POST":            {routing.ShowPage, "POST /shop/1 HTTP/1.1\nHost: a" + html},
		"Page, to who takes all":     {routing.ShowPage, get + "\nAccept: */*"},
		"Page, to who wants none":    {routing.ShowPage, get + "\nAccept: application/json, text/html;q=0"},
		"Page, to who says nothing":  {routing.ShowPage, get},
		"Progress, to HTTP/1.0":      {routing.ShowProgress, "GET /shop/1 HTTP/1.0" + events},
		"Progress, to gRPC":          {routing.ShowProgress, "POST /shop/1 HTTP/1.1\nHost: a\nContent-Type: application/grpc" + events},
		"Progress, to WebSockets":    {routing.ShowProgress, get + "\nConnection: Upgrade\nUpgrade: websocket"},
		"Progress, to Python":        {routing.ShowProgress, get + "\nUser-Agent: python-requests/2.32.3"},
		"what a newer one calls mad": {"Dance", get + html},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := asleep(t, test.mode, sends(hello))
				u.wakes(20 * time.Second)
				c := newClient()
				if r := u.ask(c, test.head); r.Waited != 20*time.Second || c.head.Status != 200 || string(c.body) != "hello" || len(c.informed) > 0 {
					t.Errorf("%+v %q %q after %v", c.head, c.body, c.informed, r.Waited)
				}
			})
		})
	}
}

func TestWhileWaiting_IsForTheFirstPodAlone(t *testing.T) {
	for _, mode := range []routing.WhileWaiting{routing.RefuseAtOnce, routing.Accept, routing.ShowPage, routing.ShowProgress} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
					if r.Path == "/hold" {
						<-hold
					}
					return hello(to, r)
				}), func(_ *Options, r *routing.Route) { r.WhileWaiting, r.Concurrency = mode, 1 })
				for range 2 {
					go u.Serve(newClient(), request(t, "GET /shop/hold HTTP/1.1\nHost: a"))
				}
				synctest.Wait()
				time.AfterFunc(10*time.Second, func() { close(hold) })
				c := newClient()
				u.Serve(c, request(t, "GET /shop/1 HTTP/1.1\nHost: a\nAccept: text/html, text/event-stream"))
				if r := u.log.of("/shop/1"); r.Waited != 10*time.Second || c.head.Status != 200 || string(c.body) != "hello" {
					t.Errorf("%+v %q after %v: every pod was busy", c.head, c.body, r.Waited)
				}
				synctest.Wait()
				u.settled()
			})
		})
	}
}

func TestWhileWaiting_HoldsAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := asleep(t, routing.RefuseAtOnce, sends(hello))
		u.wakes(3 * time.Second)
		c := newClient()
		if o := u.Call(c, Order{Target: routing.Target{Application: shop, Prefix: "/shop", Path: "/1"}, Method: "GET"}); o.Refusal != nil || string(c.body) != "hello" {
			t.Errorf("%+v %q", o, c.body)
		}
	})
}

func TestWhileWaiting_HoldsWhoOnlyCallsASleepOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, sends(hello), func(_ *Options, r *routing.Route) {
			r.State, r.WhileWaiting = routing.FallingAsleep, routing.RefuseAtOnce
		})
		u.wakes(10 * time.Millisecond)
		c := newClient()
		if r := u.ask(c, "GET /shop/1 HTTP/1.1\nHost: a"); c.head.Status != 200 || r.Waited != 10*time.Millisecond || r.WakeUp != "" {
			t.Errorf("%+v; the log has %+v", c.head, r)
		}
	})
}

func TestWhileWaiting_SaysWhatBlocksTheStart(t *testing.T) {
	blocked := func(_ *Options, r *routing.Route) {
		r.Blocked = routing.Blocked{Reason: "ImagePullBackOff", Message: "shop-1: no such image"}
	}
	for mode, has := range map[routing.WhileWaiting][]string{
		routing.RefuseAtOnce: {"no pod can start as things stand: ImagePullBackOff", "Retry-After: 30"},
		routing.Accept:       {`"status":"blocked"`, `"reason":"ImagePullBackOff"`, "Retry-After: 30"},
		routing.ShowPage:     {"<h1>It cannot start</h1>", "ImagePullBackOff", "Refresh: 30"},
	} {
		c := newClient()
		asleep(t, mode, sends(hello), blocked).ask(c, "GET /shop/1 HTTP/1.1\nHost: a\nAccept: text/html")
		all := strings.Join(c.fields, "\n") + "\n" + string(c.body)
		for _, h := range has {
			if !strings.Contains(all, h) {
				t.Errorf("%s: %q is not in %s", mode, h, all)
			}
		}
		if strings.Contains(all, "shop-1") {
			t.Errorf("%s names a pod: %s", mode, all)
		}
	}
}

func TestWhileWaiting_WhoLeavesOrCannotBeAnsweredLeavesNothing(t *testing.T) {
	for _, mode := range []routing.WhileWaiting{routing.RefuseAtOnce, routing.Accept, routing.ShowPage} {
		u, c := asleep(t, mode, sends(hello)), newClient()
		c.fails = errors.New("reset")
		if r := u.ask(c, "GET /shop/1 HTTP/1.1\nHost: a\nAccept: text/html"); !strings.Contains(r.Error, "reset") {
			t.Errorf("%s: the log has %+v", mode, r)
		}
	}
}

func TestStarts_TellHowFarAStartIsAndWakeNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := asleep(t, routing.Accept, sends(hello))
		ask := func(id string) (startState, *client) {
			t.Helper()
			c := newClient()
			r := u.ask(c, "GET /shop/.well-known/nemesis/starts/"+id+" HTTP/1.1\nHost: a")
			if c.head.Status != 200 || r.Application.Deployment != "" || c.field("Content-Type") != "application/json" {
				t.Fatalf("%+v %q; the log has %+v", c.head, c.fields, r)
			}
			var s startState
			if err := json.Unmarshal(c.body, &s); err != nil {
				t.Fatal(err)
			}
			return s, c
		}
		if s, _ := ask("00ff"); s.Status != "asleep" || s.ElapsedSeconds != 0 || u.d.Snapshots()[0].Waiting > 0 {
			t.Errorf("%+v", s)
		}
		c := newClient()
		u.ask(c, "POST /shop/1 HTTP/1.1\nHost: a"+aWakeUp)
		place := c.field("Location")
		time.Sleep(12 * time.Second)
		s, answer := ask("4bf92f3577b34da6a3ce929d0e0e4736")
		if s.Status != "starting" || s.ElapsedSeconds != 12 || s.ExpectedSeconds == nil || *s.ExpectedSeconds != 40 || s.Ask != place || answer.field("Retry-After") != "28" {
			t.Errorf("%+v %q, was sent to %s", s, answer.fields, place)
		}
		u.wakes(0)
		synctest.Wait()
		if s, answer = ask("4bf92f3577b34da6a3ce929d0e0e4736"); s.Status != "ready" || answer.field("Retry-After") != "" {
			t.Errorf("%+v %q", s, answer.fields)
		}
		for _, word := range []string{"shop-1", "default"} {
			if strings.Contains(string(answer.body), word) {
				t.Errorf("%s is in %s", word, answer.body)
			}
		}
	})
}

func TestStarts_RefuseWhatIsNone(t *testing.T) {
	u := newUnit(t, sends(func(Destination, *Outgoing) (Answer, error) {
		t.Error("a pod was asked")
		return nil, ErrBroken
	}))
	for head, want := range map[string]int{
		"GET /shop/.well-known/nemesis/starts/":                                  404,
		"GET /shop/.well-known/nemesis/starts/../starts/xyz":                     404,
		"GET /shop/.well-known/nemesis/starts/a/b":                               404,
		"GET /shop/.well-known/nemesis/starts/" + strings.Repeat("a", 65):        404,
		"POST /shop/.well-known/nemesis/starts/4bf92f3577b34da6a3ce929d0e0e4736": 405,
		"GET /other/.well-known/nemesis/starts/4bf92f3577b34da6a3ce929d0e0e4736": 404,
	} {
		c := newClient()
		u.ask(c, head+" HTTP/1.1\nHost: a")
		if c.head.Status != want || c.field("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %+v %s", head, c.head, c.body)
		}
	}
	c := newClient()
	if u.ask(c, "HEAD /shop/.well-known/nemesis/starts/4bf9 HTTP/1.1\nHost: a"); c.head.Status != 200 || len(c.body) > 0 || !c.ended {
		t.Errorf("HEAD: %+v %q", c.head, c.body)
	}
}

func TestAccepts_OnlyWhatIsNamed(t *testing.T) {
	for value, want := range map[string]bool{
		"text/html": true, "TEXT/HTML;level=1": true, "a/b, text/html ;q=0.1": true, "text/html;q=1.000": true,
		"": false, "*/*": false, "text/*": false, "text/html;q=0": false, "text/html; Q=0.000": false, "text/htmlx": false, "application/xhtml+xml": false,
	} {
		if got := accepts(message.Fields{{Name: "Accept", Value: value, Known: message.Accept}}, "text/html"); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if !accepts(message.Fields{{Name: "Accept", Value: "a/b", Known: message.Accept}, {Name: "accept", Value: "text/html", Known: message.Accept}}, "text/html") {
		t.Error("the second field is not read")
	}
}
