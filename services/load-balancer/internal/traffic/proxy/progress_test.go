package proxy

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// streams answers with an event stream.
func streams(_ Destination, r *Outgoing) (Answer, error) {
	return answers(r, "HTTP/1.1 200 OK\nContent-Type: text/event-stream; charset=utf-8\nX-Pod: 1", part{text: "data: one\n\n"}, part{after: time.Second, text: "data: two\n\n"}), nil
}

const wantsEvents = "POST /shop/1 HTTP/1.1\nHost: a\nContent-Length: 0\nAccept: text/event-stream"

func TestProgress_CommentsComeUntilThePodsOwnStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := asleep(t, routing.ShowProgress, sends(streams))
		u.wakes(5 * time.Second)
		c := newClient()
		var flushes []string
		began := time.Now()
		c.onFlush = func(c *client) {
			flushes = append(flushes, time.Since(began).String()+" "+string(c.body[strings.LastIndex(strings.TrimRight(string(c.body), "\n"), "\n")+1:]))
		}
		r := u.ask(c, wantsEvents)
		if want := ": pod starting, 2 of about 40 s\n\n: pod starting, 4 of about 40 s\n\ndata: one\n\ndata: two\n\n"; string(c.body) != want || !c.ended {
			t.Errorf("got %q, want %q", c.body, want)
		}
		equal(t, "the head", c.fields, []string{"Content-Type: text/event-stream", "Cache-Control: no-store", "X-Accel-Buffering: no"})
		if c.head.Status != 200 || c.head.Length != -1 || c.head.Close || r.Status != 200 || r.Refusal != "" || r.Waited != 5*time.Second || r.ResponseBytes != int64(len(c.body)) {
			t.Errorf("%+v; the log has %+v", c.head, r)
		}
		if len(flushes) < 2 || !strings.HasPrefix(flushes[0], "2s : pod") || !strings.HasPrefix(flushes[1], "4s : pod") {
			t.Errorf("sent %q", flushes)
		}
	})
}

func TestProgress_AShortStartIsAnsweredAsEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := asleep(t, routing.ShowProgress, sends(streams))
		u.wakes(time.Second)
		c := newClient()
		u.ask(c, wantsEvents)
		if string(c.body) != "data: one\n\ndata: two\n\n" || c.field("X-Pod") != "1" || c.field("Server-Timing") == "" {
			t.Errorf("%q %q", c.fields, c.body)
		}
	})
}

func TestProgress_AnyOtherEndIsAnErrorEvent(t *testing.T) {
	woken := func(u *unit) { u.wakes(3 * time.Second) }
	for name, test := range map[string]struct {
		sender Sender
		event  func(*unit)
		change func(*Options, *routing.Route)
		code   string
		status int
		broken bool
	}{
		"the pod answers no stream": {sender: sends(hello), event: woken, code: "bad-gateway", status: 502},
		"the pod says no": {sender: sends(func(_ Destination, r *Outgoing) (Answer, error) {
			return answers(r, "HTTP/1.1 401 Unauthorized\nContent-Type: text/event-stream\nContent-Length: 0"), nil
		}), event: woken, code: "unauthenticated", status: 401},
		"the pod's stream is compressed": {sender: sends(func(_ Destination, r *Outgoing) (Answer, error) {
			return answers(r, "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nContent-Encoding: gzip", part{text: "x"}), nil
		}), event: woken, code: "bad-gateway", status: 502},
		"the pod breaks off": {sender: failing(ErrBroken), event: woken, code: "bad-gateway", status: 502, broken: true},
		"nobody starts it":   {sender: sends(hello), change: func(_ *Options, r *routing.Route) { r.WakeUpTimeout = 7 * time.Second }, code: "wake-up-timeout", status: 503},
		"the process ends":   {sender: sends(hello), event: func(u *unit) { time.AfterFunc(3*time.Second, u.d.Close) }, code: "unavailable", status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if test.change == nil {
					test.change = func(*Options, *routing.Route) {}
				}
				u := asleep(t, routing.ShowProgress, test.sender, test.change)
				if test.event != nil {
					test.event(u)
				}
				c := newClient()
				r := u.ask(c, wantsEvents)
				comments, event, ok := strings.Cut(string(c.body), "event: error\ndata: ")
				var document struct {
					Code   string
					Status int
				}
				if err := json.Unmarshal([]byte(strings.TrimSuffix(event, "\n\n")), &document); !ok || err != nil || document.Code != test.code || document.Status != test.status ||
					!strings.HasPrefix(comments, ": pod starting") || !strings.HasSuffix(event, "\n\n") || strings.Count(event, "\n") != 2 {
					t.Errorf("%q: %v", c.body, err)
				}
				if c.head.Status != 200 || !c.ended || r.Status != test.status || r.Refusal != test.code || (u.failed("broken") > 0) != test.broken {
					t.Errorf("%+v; the log has %+v", c.head, r)
				}
			})
		})
	}
}

func TestProgress_GoesOnWhenThePodTakesNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		u := asleep(t, routing.ShowProgress, nil)
		u.o.Sender = sends(func(to Destination, r *Outgoing) (Answer, error) {
			if tries++; tries == 1 {
				return nil, &UnsentError{Err: syscall.ECONNREFUSED, Refused: true}
			}
			return streams(to, r)
		})
		u.wakes(3 * time.Second)
		time.AfterFunc(6*time.Second, func() {
			woken := u.route
			woken.State, woken.Endpoints = routing.Awake, []routing.Endpoint{{Pod: "shop-2", Address: "10.0.0.2:80", Ready: true}}
			u.d.Apply(routing.Update{Version: "3", Routes: []routing.Route{woken}})
		})
		c := newClient()
		u.ask(c, wantsEvents)
		if n := strings.Count(string(c.body), ": pod starting"); n != 2 || !strings.HasSuffix(string(c.body), "data: two\n\n") || tries != 2 {
			t.Errorf("%d tries: %q", tries, c.body)
		}
	})
}

func TestProgress_WhoLeavesLeavesNothing(t *testing.T) {
	for name, leaves := range map[string]func(*client){
		"seen at once":        func(c *client) { c.Cancel() },
		"seen in the writing": func(c *client) { c.spoil(errors.New("reset"), nil) },
		"a fault of ours":     func(c *client) { c.spoil(nil, func(*client) { panic("ouch") }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := asleep(t, routing.ShowProgress, sends(streams))
				c := newClient()
				leaves(c)
				if r := u.ask(c, wantsEvents); r.Error == "" || r.Took > 4*time.Second {
					t.Errorf("the log has %+v", r)
				}
			})
		})
	}
}

func TestProgress_OthersGetFewInformationalAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		head string
		want string
	}{
		"POST":                            {"POST /shop/1 HTTP/1.1\nHost: a\nContent-Length: 2", "hello"},
		"an event stream before its body": {"POST /shop/1 HTTP/1.1\nHost: a\nContent-Length: 2\nExpect: 100-continue\nAccept: text/event-stream", "hello"},
		"HEAD of an event stream":         {"HEAD /shop/1 HTTP/1.1\nHost: a\nAccept: text/event-stream", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := asleep(t, routing.ShowProgress, sends(func(to Destination, r *Outgoing) (Answer, error) {
					if r.Head.Method == http.MethodHead {
						return answers(r, "HTTP/1.1 200 OK\nContent-Length: 5"), nil
					}
					return hello(to, r)
				}), func(_ *Options, r *routing.Route) {
					r.WakeUpTimeout = 10 * time.Minute
					r.StartTimeout = 10 * time.Minute
				})
				u.wakes(5 * time.Minute)
				c := newClient(part{text: "ab"})
				u.ask(c, test.head)
				equal(t, "informational answers", c.informed, []string{
					"Early Hints|Nemesis-Progress: 3;of=40", "Early Hints|Nemesis-Progress: 9;of=40", "Early Hints|Nemesis-Progress: 21;of=40", "Early Hints|Nemesis-Progress: 45;of=40",
				})
				if c.head.Status != 200 || string(c.body) != test.want {
					t.Errorf("%+v %q", c.head, c.body)
				}
			})
		})
	}
}

func TestProgress_AFullPodIsWaitedForWithComments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := asleep(t, routing.ShowProgress, nil, func(_ *Options, r *routing.Route) { r.Concurrency = 1 })
		u.o.Sender = sends(func(to Destination, r *Outgoing) (Answer, error) {
			if r.Path == "/hold" {
				time.Sleep(8 * time.Second)
			}
			return streams(to, r)
		})
		u.wakes(3 * time.Second)
		go u.Serve(newClient(), request(t, "GET /shop/hold HTTP/1.1\nHost: a"))
		synctest.Wait()
		c := newClient()
		u.Serve(c, request(t, wantsEvents))
		synctest.Wait()
		u.settled()
		got := slices.DeleteFunc(strings.Split(string(c.body), "\n"), func(s string) bool { return s == "" })
		if len(got) < 4 || got[0] != ": pod starting, 2 of about 40 s" || got[1] != ": waiting for a place on a pod" || got[len(got)-1] != "data: two" {
			t.Errorf("%q", got)
		}
	})
}

func TestProgressText_IsForPeople(t *testing.T) {
	for want, p := range map[string]dispatch.Progress{
		"pod starting, 0 s":                                      {},
		"pod starting, 12 s":                                     {Elapsed: 12900 * time.Millisecond},
		"pod starting, 12 of about 41 s":                         {Elapsed: 12 * time.Second, Expected: 40100 * time.Millisecond},
		"waiting for a place on a pod":                           {Serving: true, Elapsed: time.Second},
		"no pod can start as things stand: CreateContainerError": {Blocked: routing.Blocked{Reason: "CreateContainerError"}},
	} {
		if got := progressText(p); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}
