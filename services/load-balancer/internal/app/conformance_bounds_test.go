package app_test

import (
	"github.com/nemesis-scaling/nemesis/pkg/testwait"

	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// What is refused is refused at once, whatever of its body has come, and leaves no connection open.
func TestConformance_RefusedBeforeTheBody(t *testing.T) {
	b := newBed(t, func(s *app.Settings) { s.MaxBodyMiB = 1 })
	var all []exchange
	for _, line := range []string{"POST /nowhere", "POST /%zz", "POST /app/../x", "CONNECT h:80"} {
		for _, sent := range []string{"", "12345"} {
			all = append(all, forFramings(10, func(f framing) exchange {
				body := ""
				if sent != "" {
					body = f.part(sent)
				}
				return exchange{name: fmt.Sprintf("%s with %d bytes of ten", line, len(sent)),
					client: []step{sends(line + " HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + body), isRefusedAndClosed(400, 404, 405, 501), triesToSend(notARequest)}}
			})...)
		}
	}
	all = append(all,
		exchange{name: "a length above the limit", client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n"), isRefusedAndClosed(413)}},
		exchange{name: "a length above the limit, and its body", client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n" + text(half)), isRefusedAndClosed(413)}},
		exchange{name: "a body of the limit", reach: []string{"POST /x"}, client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n" + text(1<<20)), gets(200, "ok"), isKept()}},
		exchange{name: "a whole small body may be passed over", client: []step{sends("POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), isRefused(404)}},
	)
	runExchanges(t, b, all)
}

// The place of a refused request is free although its client holds on.
func TestConformance_RefusedBeforeTheBodyHoldsNoPlace(t *testing.T) {
	b := newBed(t, nil)
	limits := settings(common.BalancingPolicy("round_robin"), 8, 600)
	b.controller.set(limits)
	b.balancer.awaitSettings(t, limits)
	s := b.session(t, sessionOptions{}, nil)
	for range 8 {
		w := s.connect()
		if err := w.run([]step{sends("POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"), isRefusedAndClosed(404)}); err != nil {
			t.Fatal(err)
		}
	}
	testwait.Until(t, "every place is free", func() bool { return *b.balancer.state(t).Connections == 0 })
	if err := s.connect().run([]step{sends(getX), gets(200, "ok"), isKept()}); err != nil {
		t.Error(err)
	}
}

// A pod's only slot is not given to a request whose body has not come.
func TestConformance_OneSlot(t *testing.T) {
	one := sessionOptions{concurrency: 1}
	get := another(sends(getX), gets(200, "ok"))
	runExchanges(t, newBed(t, nil), slices.Concat(
		[]exchange{
			{name: "a head and no body", options: one, asleep: true, reach: []string{"GET /x", "POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"), get, sends(text(100)), gets(200, "ok")}},
			{name: "a head and half a body", options: one, asleep: true, reach: []string{"GET /x", "POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n" + text(2000)), get, sends(text(2000)), gets(200, "ok")}},
			{name: "a head that waits to be asked for its body", options: one, asleep: true, reach: []string{"GET /x", "POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"), getsHead(100), get, sends(text(100)), gets(200, "ok"), isKept()}},
			{name: "a head that waits to be asked for its chunks", options: one, reach: []string{"GET /x", "POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"), getsHead(100), get, sends("2\r\nok\r\n0\r\n\r\n"), gets(200, "ok"), isKept()}},
			{name: "a head that waits to be asked for a large body", options: one, reach: []string{"GET /x", "POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n"), getsHead(100), get, sends(text(200_000)), gets(200, "ok"), isKept()}},
			{name: "a head and no body, and the client goes", options: one, reach: []string{"GET /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"), get, hangsUp()}},
			{name: "who waits for the slot is let in when it is free", options: one, reach: []string{"GET /y", "GET /x"},
				client: []step{sends("GET /app/y HTTP/1.1\r\nHost: h\r\n\r\n"), awaits("taken"), another(sends(getX), opens("asked"), gets(200, "ok")), gets(200, "ok")},
				pod:    [][]step{{takesHead("GET /y"), opens("taken"), awaits("asked"), sends(podAnswer)}}},
		},
	))
}

// Who sends or takes too slowly is let go of, and so is its place on the pod.
func TestConformance_Slowness(t *testing.T) {
	b := newBed(t, func(s *app.Settings) { s.StreamIdleTimeout = 300 * time.Millisecond })
	const large = 16 << 20
	narrow := sessionOptions{concurrency: 1, narrow: true}
	all := []exchange{
		{name: "a client that takes nothing of a large answer", options: narrow, reach: []string{"GET /x", "GET /x"},
			client: []step{sends(getX), awaits("asked"), another(sends(getX), gets(200, "ok"))},
			pod:    [][]step{{takesHead("GET /x"), opens("asked"), triesToSend(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", large) + text(large))}}},
		{name: "a client that takes nothing of chunks", options: narrow, reach: []string{"GET /x", "GET /x"},
			client: []step{sends(getX), awaits("asked"), another(sends(getX), gets(200, "ok"))},
			pod:    [][]step{{takesHead("GET /x"), opens("asked"), triesToSend(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", large) + text(large) + "\r\n0\r\n\r\n")}}},
		{name: "a tunnel that is silent", reach: []string{"GET /x"},
			client: []step{sends(webSocket), switchedClient, seesGone()}, pod: [][]step{{switchedPod, sends(switches), seesGone()}}},
	}
	for _, size := range []int{40_000, 65_536} {
		all = append(all, exchange{name: fmt.Sprintf("a client that takes nothing of %d bytes", size), options: narrow, reach: []string{"GET /x", "GET /x"},
			client: []step{sends(getX), awaits("asked"), another(sends(getX), gets(200, "ok"))},
			pod:    [][]step{{takesHead("GET /x"), opens("asked"), sends(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size) + text(size))}}})
	}
	all = append(all, slices.Concat(
		forFramings(10, func(f framing) exchange {
			return exchange{name: "a small body that stops", asleep: true, anyway: true,
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part("hello")), isRefusedAndClosed(400, 408), podServedNothing(), triesToSend(notARequest)}}
		}),
		forFramings(2*half, func(f framing) exchange {
			return exchange{name: "a large body that stops", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part(text(half))), isRefusedAndClosed(400, 408), triesToSend(notARequest)},
				pod:    [][]step{{takesHead("POST /x"), takesPart(text(half)), takesCut()}}}
		}),
	)...)
	runExchanges(t, b, all)
}

// A pod is silent for longer than it may be.
func TestConformance_SilentPods(t *testing.T) {
	b := newBed(t, nil)
	limits := settings(common.BalancingPolicy("round_robin"), 1000, 1)
	b.controller.set(limits)
	b.balancer.awaitSettings(t, limits)
	runExchanges(t, b, []exchange{
		{name: "before its answer", reach: []string{"GET /x"},
			client: []step{sends(getX), isRefused(504), isKept()}, pod: [][]step{{takesHead("GET /x"), podStops()}}},
		{name: "within the head of its answer", reach: []string{"GET /x"},
			client: []step{sends(getX), isRefused(502, 504), isKept()}, pod: [][]step{{takesHead("GET /x"), sends(okFields), podStops()}}},
		{name: "within its answer", reach: []string{"GET /x"},
			client: []step{sends(getX), getsHead(200), isCut()}, pod: [][]step{{takesHead("GET /x"), sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), podStops()}}},
		{name: "and takes nothing of a large body", anyway: true,
			client: []step{sendsBeside("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 16777216\r\n\r\n" + text(16<<20)), isRefused(502, 504), opens("over")},
			pod:    [][]step{{awaits("over")}}},
	})
}

// Nothing of an application that is gone is left behind: the controller is told so.
func TestConformance_ReportsNothingInFlight(t *testing.T) {
	b := newBed(t, nil)
	for _, status := range []string{"000", "042", "099", "+12", "600", "999"} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			s := b.session(t, sessionOptions{}, [][]step{{takesHead("GET /x"), sends("HTTP/1.1 " + status + " X\r\nContent-Length: 0\r\n\r\n"), podStops()}})
			if err := s.connect().run([]step{sends(getX), isRefused(502)}); err != nil {
				t.Fatal(err)
			}
			b.controller.await(t, "that nothing is in flight", func(r autoscaler.TrafficReport) bool {
				a, ok := traffic(r, "app-"+s.id)
				return ok && a.Requests == 1 && a.InFlight == 0 && a.Failures == 1
			})
		})
	}
}
