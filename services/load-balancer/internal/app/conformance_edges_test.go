package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// Every refusal tells programs and people what is wrong, in one form, whatever it is about.
func TestConformance_RefusalsAreProblemDocuments(t *testing.T) {
	refusal := func(name, request string, status int) exchange {
		return exchange{name: name, client: []step{sends(request), {"gets a problem document", func(w *wire) error {
			if err := w.getHead([]int{status}, []string{"Content-Type: application/problem+json"}); err != nil {
				return err
			}
			var p common.Problem
			body, err := io.ReadAll(w.body)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(body, &p); err != nil || p.Status != status || p.Code == "" {
				return fmt.Errorf("the document %s: %w", body, orNone(err))
			}
			return nil
		}}}}
	}
	runExchanges(t, newBed(t, nil), []exchange{
		refusal("a request line", "GET\r\n\r\n", 400),
		refusal("a field", headOf("X : 1"), 400),
		refusal("no host", "GET /app HTTP/1.1\r\n\r\n", 400),
		refusal("two lengths", headOf("Content-Length: 1\r\nContent-Length: 2"), 400),
		refusal("a chunk", "POST /app HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
		refusal("a path", "GET /app/%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
		refusal("no application", "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", 404),
		refusal("a body that is too large", headOf("Content-Length: 1099511627776"), 413),
		refusal("a head that is too large", headOf("X-A: "+text(300<<10)), 431),
	})
}

func headOf(line string) string { return "GET /app HTTP/1.1\r\nHost: h\r\n" + line + "\r\n\r\n" }

func TestConformance_Edges(t *testing.T) {
	b := newBed(t, func(s *app.Settings) { s.MaxBodyMiB = 1 })
	mib := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, text(1<<20))
	runExchanges(t, b, []exchange{
		{name: "a refusal of HEAD has no body", client: []step{sends("HEAD /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"), gets(404, ""), getNext(), isKept()}},
		{name: "a 502 to HEAD has no body", reach: []string{"HEAD /x"},
			client: []step{sends("HEAD /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), gets(502, ""), isKept()}, pod: [][]step{{takesHead("HEAD /x"), hangsUp()}}},
		{name: "a refusal of HTTP/1.0", client: []step{sends("GET /nowhere HTTP/1.0\r\n\r\n"), isRefusedAndClosed(404)}},
		{name: "chunks above the limit", anyway: true,
			client: []step{sendsBeside("POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + mib + mib), isRefused(413), podServedNothing()}},
		{name: "chunks of the limit", reach: []string{"POST /x"},
			client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + mib + "0\r\n\r\n"), gets(200, "ok"), isKept()}},
		{name: "a connection without a request", client: []step{halfCloses(), seesGone()}},
		{name: "a connection with an empty line", client: []step{sends("\r\n"), halfCloses(), seesGone()}},
		{name: "TLS on the port in clear", client: []step{sends("\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 200) + "\r\n\r\n"), isRefusedAndClosed(400)}},
		{name: "every answer has a date", reach: []string{"GET /x"}, client: []step{sends(getX), {"gets a date", func(w *wire) error {
			if err := w.getHead([]int{200}, nil); err != nil {
				return err
			}
			if dates := w.last.values("Date"); len(dates) != 1 {
				return fmt.Errorf("the dates %q", dates)
			}
			return takesBody("ok").do(w)
		}}}},
		{name: "nothing of a request is in another", reach: []string{"POST /x", "GET /x"},
			client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nX-Secret: 1\r\nCookie: a=1\r\nContent-Length: 5\r\n\r\nhello"), gets(200, "ok"), sends(getX), gets(200, "ok")},
			pod:    [][]step{{takesHead("POST /x", "X-Secret: 1"), takesBody("hello"), sends(podAnswer), takesHead("GET /x", "-X-Secret", "-Cookie", "-Content-Length"), sends(podAnswer)}}},
		{name: "nothing of an answer is in another", reach: []string{"GET /x", "GET /y"}, answers: []string{okFields + "X-Secret: 1\r\nSet-Cookie: a=1\r\n\r\nok", podAnswer},
			client: []step{sends(getX), gets(200, "ok", "X-Secret: 1"), sends("GET /app/y HTTP/1.1\r\nHost: h\r\n\r\n"), gets(200, "ok", "-X-Secret", "-Set-Cookie")}},
	})
}

// What a trusted proxy says of its client is believed, and what it cannot say stays ours.
func TestConformance_TrustedProxies(t *testing.T) {
	b := newBed(t, func(s *app.Settings) { s.TrustedProxies = "127.0.0.0/8" })
	says := func(name, lines string, at ...string) exchange {
		return exchange{name: name, reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n\r\n"), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("GET /x", at...), sends(podAnswer)}}}
	}
	runExchanges(t, b, []exchange{
		says("its client", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.1, 127.0.0.1"),
		says("its clients, in two lines", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2", "X-Forwarded-For: 192.0.2.1, 192.0.2.2, 127.0.0.1"),
		says("the scheme", "X-Forwarded-Proto: https", "X-Forwarded-Proto: https"),
		says("the host", "X-Forwarded-Host: example.com", "X-Forwarded-Host: example.com", "Host: h"),
		says("the port", "X-Forwarded-Port: 443", "X-Forwarded-Port: 443"),
		says("Forwarded", "Forwarded: for=192.0.2.1", "Forwarded: for=192.0.2.1"),
		says("a prefix of its own", "X-Forwarded-Prefix: /outer", "X-Forwarded-Prefix: /outer/app"),
		says("nothing", "X-A: 1", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: h"),
		says("with underscores", "X_Forwarded_For: 6.6.6.6", "X-Forwarded-For: 127.0.0.1", "-X_Forwarded_For"),
	})
}

// One connection too many is told so, in order, whatever it has sent.
func TestConformance_TooManyConnections(t *testing.T) {
	b := newBed(t, nil)
	limits := settings(common.BalancingPolicy("round_robin"), 1, 600)
	b.controller.set(limits)
	b.balancer.awaitSettings(t, limits)
	s := b.session(t, sessionOptions{}, [][]step{{takesHead("GET /x"), opens("busy"), awaits("over"), sends(podAnswer)}})
	first := s.connect()
	if err := first.run([]step{sends(getX), awaits("busy")}); err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string]string{
		"a GET": getX, "a POST without its body": "POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", "half a body": postX[:len(postX)-2], "a POST": postX,
	} {
		if err := s.connect().run([]step{sends(request), isRefusedAndClosed(503), triesToSend(notARequest)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := first.run([]step{opens("over"), gets(200, "ok"), isKept()}); err != nil {
		t.Error(err)
	}
}

// The admin port, too, refuses before the body comes.
func TestConformance_AdminPortRefusesBeforeTheBody(t *testing.T) {
	s := &session{t: t, bed: newBed(t, nil), id: "app"}
	for _, f := range framings(10) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.bed.balancer.admin, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := newWire(s, conn.(*net.TCPConn)).run([]step{sends("POST /nowhere HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n"), isRefusedAndClosed(404)}); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// A pod that Kubernetes calls ready, and that once refused a connection, is used when it takes
// connections again, though its checks cannot be made from here.
func TestConformance_APodThatOnceRefusedComesBack(t *testing.T) {
	b := newBed(t, nil)
	s := b.session(t, sessionOptions{closedProbe: true}, nil)
	address := s.pod.address()
	s.pod.close()
	w := s.connect()
	if err := w.run([]step{sends(getX), waits(0)}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the pod's address was taken meanwhile: %v", err)
	}
	s.pod = servingPod(s, l)
	if err := w.run([]step{gets(200, "ok"), isKept()}); err != nil {
		t.Error(err)
	}
}
