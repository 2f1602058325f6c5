package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// failing is a sender that fails so.
func failing(err error) sends {
	return func(Destination, *Outgoing) (Answer, error) { return nil, err }
}

// code is that of the problem document that the client got.
func (c *client) code(t *testing.T) string {
	t.Helper()
	var document struct{ Code, Instance string }
	if err := json.Unmarshal(c.body, &document); err != nil || c.field("Content-Type") != "application/problem+json" {
		t.Errorf("%s %q: %v", c.field("Content-Type"), c.body, err)
	}
	return document.Code
}

func TestRefuse_IsAProblemDocument(t *testing.T) {
	for name, test := range map[string]struct {
		head   string
		body   []part
		status int
		code   string
		reason string
		close  bool
	}{
		"CONNECT":                         {"CONNECT example.com:443 HTTP/1.1\nHost: a", nil, 405, "method-not-allowed", "invalid", false},
		"a long target":                   {"GET /" + strings.Repeat("x", 2000) + " HTTP/1.1\nHost: a", nil, 400, "invalid", "invalid", false},
		"a body that is said to be large": {"POST /shop HTTP/1.1\nHost: a\nContent-Length: 1048577", nil, 413, "too-large", "too-large", true},
		"a body that turns out large":     {"POST /shop HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", []part{{text: strings.Repeat("x", 1<<20+1)}}, 413, "too-large", "too-large", true},
		"no route":                        {"GET /nothing HTTP/1.1\nHost: a", nil, 404, "not-found", "no-route", false},
		"no route, with a body":           {"POST /nothing HTTP/1.1\nHost: a\nContent-Length: 10", nil, 404, "not-found", "no-route", true},
		"no route, with chunks":           {"POST /nothing HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", nil, 404, "not-found", "no-route", true},
		"no route, with an expectation":   {"POST /nothing HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 10", nil, 404, "not-found", "no-route", true},
		"an odd path":                     {"GET /a%00 HTTP/1.1\nHost: a", nil, 400, "invalid", "invalid", false},
		"a broken escape":                 {"GET /a%zz HTTP/1.1\nHost: a", nil, 400, "invalid", "invalid", false},
		"OPTIONS *":                       {"OPTIONS * HTTP/1.1\nHost: a", nil, 400, "invalid", "invalid", false},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
				_, err := io.Copy(io.Discard, r.Client)
				return nil, &BodyError{err}
			}))
			c := newClient(test.body...)
			r := u.ask(c, test.head)
			if c.head == nil || c.head.Status != test.status || c.code(t) != test.code || c.head.Close != test.close || !c.ended {
				t.Fatalf("%+v, ended %v: %s", c.head, c.ended, c.body)
			}
			if c.head.Length != int64(len(c.body)) || c.field("Cache-Control") != "no-store" || c.field("X-Content-Type-Options") != "nosniff" {
				t.Errorf("fields %q for %d bytes", c.fields, len(c.body))
			}
			method, _, _ := strings.Cut(test.head, " ")
			if r.Status != test.status || r.Method != method || r.Client != "192.0.2.1" || r.Error == "" || r.Took < 0 || r.Refusal != test.code ||
				r.ResponseType != "application/problem+json" || r.ResponseBytes != int64(len(c.body)) {
				t.Errorf("the log has %+v", r)
			}
			if n := testutil.ToFloat64(u.o.Metrics.rejected.WithLabelValues(r.Application.Namespace, r.Application.Deployment, test.reason)); n != 1 {
				t.Errorf("%s was counted %v times", test.reason, n)
			}
		})
	}
}

func TestRefuse_ToHEADHasNoBody(t *testing.T) {
	c := newClient()
	newUnit(t, sends(hello)).ask(c, "HEAD /none HTTP/1.1\nHost: a")
	if c.head.Status != 404 || !c.head.Bodiless || len(c.body) > 0 || !c.ended || c.field("Content-Length") == "" || c.field("Content-Length") == "0" {
		t.Errorf("%+v %q %s", c.head, c.fields, c.body)
	}
}

func TestRefuse_OneConnectionTooManyIsTold(t *testing.T) {
	c := newClient(part{text: "x"})
	c.crowded = 7
	r := newUnit(t, sends(hello)).ask(c, "POST /shop/1 HTTP/1.1\nHost: a\nContent-Length: 1")
	if c.head.Status != 503 || !c.head.Close || c.field("Retry-After") != "1" || c.code(t) != "too-many-connections" || !strings.Contains(string(c.body), "7 client connections") {
		t.Errorf("%+v %q %s", c.head, c.fields, c.body)
	}
	if r.Status != 503 || r.Path != "/shop/1" || r.Client != "192.0.2.1" || r.Peer != "192.0.2.1" || c.reads > 0 {
		t.Errorf("the log has %+v; the body was read %d times", r, c.reads)
	}
}

func TestMalformed_IsAnsweredAndLogged(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		part   string
	}{
		"a part":      {&message.Error{Part: "Host", Allowed: "there must be one"}, 400, "Host"},
		"the version": {&message.Error{Part: "version", Allowed: "it must be HTTP/1.1", Version: true}, 505, "version"},
	} {
		u, c := newUnit(t, nil), newClient()
		u.Malformed(c, &message.Request{Version: message.HTTP11}, test.err)
		u.settled()
		if c.head.Status != test.status || !strings.Contains(string(c.body), `"`+test.part+`"`) || !c.ended {
			t.Errorf("%s: %+v %s", name, c.head, c.body)
		}
		if r := u.log.last(); r.Status != test.status || r.Peer != "192.0.2.1" || r.Version != "1.1" {
			t.Errorf("%s: the log has %+v", name, r)
		}
	}
}

func TestRefuse_SaysWhatAFailureOnThePodsSideWas(t *testing.T) {
	for name, test := range map[string]struct {
		err          error
		status       int
		code         string
		kind, reason string
		says         string
	}{
		"broken":       {fmt.Errorf("%w: EOF", ErrBroken), 502, "bad-gateway", "broken", "", "not sent again"},
		"silent":       {ErrHeadTimeout, 504, "upstream-timeout", "head-timeout", "", "timeout_seconds"},
		"no file left": {&LocalError{syscall.EMFILE}, 503, "unavailable", "", "local-limit", "no connection left"},
		"no port left": {&LocalError{syscall.EADDRNOTAVAIL}, 503, "unavailable", "", "local-limit", "no connection left"},
		"a slow body":  {&BodyError{errBodyTooSlow}, 408, "request-timeout", "", "", "too slowly"},
		"a large body": {&BodyError{errBodyTooLarge}, 413, "too-large", "", "too-large", "1048576"},
		"a bad body":   {&BodyError{io.ErrUnexpectedEOF}, 400, "invalid", "", "", "did not arrive"},
		"an end":       {ErrInterrupted, 503, "unavailable", "", "", "was ended"},
		"a bad head":   {&message.Error{Part: "head", Allowed: "no line breaks"}, 400, "invalid", "", "invalid", "no line breaks"},
		"a fault":      {&FaultError{Fault: "ouch", Stack: []byte("here")}, 500, "internal", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			u, c := newUnit(t, failing(test.err)), newClient()
			r := u.ask(c, "GET /shop HTTP/1.1\nHost: a")
			if c.head.Status != test.status || c.code(t) != test.code || !strings.Contains(string(c.body), test.says) || r.Error == "" || r.Pod == "" || r.Tries != 1 {
				t.Errorf("%+v %s; the log has %+v", c.head, c.body, r)
			}
			for _, kind := range []string{"broken", "head-timeout"} {
				if got := u.failed(kind); got != btoi(kind == test.kind) {
					t.Errorf("%s was counted %d times", kind, got)
				}
			}
			if test.reason != "" && u.rejected(test.reason) != 1 {
				t.Errorf("%s was not counted", test.reason)
			}
			if again := c.field("X-Should-Retry"); (again == "false") != (test.kind != "" || name == "an end" || name == "a fault") || again == "true" {
				t.Errorf("X-Should-Retry: %q", again)
			}
			if test.status == 503 && test.reason != "" && c.field("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if len(u.usable()) != 2 {
				t.Errorf("usable are %v", u.usable())
			}
			if u.faults() != btoi(name == "a fault") || strings.Contains(u.text.String(), "ouch") != (name == "a fault") {
				t.Errorf("%d faults; the log has %s", u.faults(), u.text)
			}
			if name == "no file left" && !strings.Contains(u.text.String(), "too many open files") {
				t.Errorf("the log has %s", u.text)
			}
		})
	}
}

func TestRefuse_TellsGRPCNotToTryAgainWhatMayHaveBeenWorkedOn(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{"broken": {ErrBroken, "-1"}, "silent": {ErrHeadTimeout, "-1"}, "no file left": {&LocalError{syscall.EMFILE}, "1000"}, "a slow body": {&BodyError{errBodyTooSlow}, ""}} {
		c := newClient()
		newUnit(t, failing(test.err)).ask(c, "POST /shop HTTP/1.1\nHost: a\nContent-Type: application/grpc")
		if got := c.field("grpc-retry-pushback-ms"); got != test.want || c.head.Status != 200 || c.field("X-Should-Retry") != "" {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestRefuse_NobodyIsAnsweredWhoHasGone(t *testing.T) {
	for _, err := range []error{ErrGone, fmt.Errorf("%w: closed", ErrBroken)} {
		u, c := newUnit(t, nil), newClient()
		u.o.Sender = sends(func(Destination, *Outgoing) (Answer, error) {
			c.Cancel()
			return nil, err
		})
		if r := u.ask(c, "GET /shop HTTP/1.1\nHost: a"); c.head != nil || r.Status != 0 || r.Refusal != "" || r.Error == "" {
			t.Errorf("%v: %+v, the log has %+v", err, c.head, r)
		}
		if u.failed("broken") != 0 {
			t.Error("the pod was blamed")
		}
	}
}

func TestRefuse_AClientThatTakesNoAnswerIsInTheLog(t *testing.T) {
	c := newClient()
	c.fails = errors.New("reset")
	if r := newUnit(t, sends(hello)).ask(c, "GET /none HTTP/1.1\nHost: a"); r.Status != 404 || !strings.Contains(r.Error, "reset") {
		t.Errorf("the log has %+v", r)
	}
}

func TestWait_EndsWithAReasonAndLeavesNothing(t *testing.T) {
	none := func(_ *Options, r *routing.Route) {
		r.State, r.Endpoints, r.WakeUpTimeout = routing.Asleep, nil, 5*time.Second
	}
	full := func(_ *Options, r *routing.Route) { r.Concurrency, r.BusyTimeout = 1, 3*time.Second }
	for name, test := range map[string]struct {
		change func(*Options, *routing.Route)
		event  func(u *unit, c *client)
		status int
		code   string
		after  time.Duration
	}{
		"nobody starts it": {none, nil, 503, "wake-up-timeout", 5 * time.Second},
		"blocked": {func(o *Options, r *routing.Route) {
			none(o, r)
			r.Blocked = routing.Blocked{Reason: "ImagePullBackOff", Message: "no such image"}
		}, nil, 503, "start-blocked", 2 * time.Second},
		"every pod is full": {full, nil, 429, "busy", 3 * time.Second},
		"the route goes": {func(o *Options, r *routing.Route) {
			none(o, r)
			r.WakeUpTimeout = time.Minute
		}, func(u *unit, _ *client) { u.d.Apply(routing.Update{Version: "2", Complete: true}) }, 503, "unavailable", 6 * time.Second},
		"the process ends": {none, func(u *unit, _ *client) { u.d.Close() }, 503, "unavailable", time.Second},
		"the client goes":  {none, func(_ *unit, c *client) { c.Cancel() }, 0, "", time.Second},
		"there is a pod then": {none, func(u *unit, _ *client) {
			woken := u.route
			woken.State, woken.Endpoints = routing.Awake, []routing.Endpoint{{Pod: "shop-1", Address: "10.0.0.1:80", Ready: true}}
			u.d.Apply(routing.Update{Version: "2", Routes: []routing.Route{woken}})
		}, 200, "", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
					if r.Path == "/hold" {
						<-hold
					}
					return hello(to, r)
				}), test.change)
				if test.code == "busy" {
					for range 2 {
						go u.Serve(newClient(), request(t, "GET /shop/hold HTTP/1.1\nHost: a"))
					}
					synctest.Wait()
				}
				c := newClient()
				if test.event != nil {
					time.AfterFunc(time.Second, func() { test.event(u, c) })
				}
				began := time.Now()
				u.Serve(c, request(t, "GET /shop HTTP/1.1\nHost: a"))
				r := u.log.last()
				if took := time.Since(began); took != test.after || r.Waited != test.after || r.Took != test.after {
					t.Errorf("took %v, the log has %v and %v, want %v", took, r.Took, r.Waited, test.after)
				}
				close(hold)
				synctest.Wait()
				u.settled()
				switch {
				case r.Status != test.status || r.Refusal != test.code:
					t.Errorf("the log has %+v", r)
				case test.code != "" && (c.head.Status != test.status || c.code(t) != test.code || c.field("Retry-After") == ""):
					t.Errorf("%+v %q", c.head, c.fields)
				case test.status == 200 && (string(c.body) != "hello" || c.field("Server-Timing") != "wait;dur=1000.0"):
					t.Errorf("%q %s", c.fields, c.body)
				}
			})
		})
	}
}

func TestWait_ARoomThatIsFullRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, sends(hello), func(_ *Options, r *routing.Route) { r.State, r.Endpoints = routing.Asleep, nil })
		for range 2 { // as many as the room holds
			go u.Serve(newClient(), request(t, "GET /shop HTTP/1.1\nHost: a"))
		}
		synctest.Wait()
		c := newClient()
		u.Serve(c, request(t, "GET /shop HTTP/1.1\nHost: a"))
		if c.head.Status != 503 || c.code(t) != "waiting-room-full" || u.rejected("waiting-room-full") != 1 {
			t.Errorf("%+v %s", c.head, c.body)
		}
		u.d.Close()
		synctest.Wait()
		u.settled()
	})
}
