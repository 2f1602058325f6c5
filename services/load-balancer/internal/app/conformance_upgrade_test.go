package app_test

import (
	"fmt"
	"slices"
	"testing"
)

const (
	switches  = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"
	webSocket = "GET /app/x HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhl\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

var (
	switchedClient = getsHead(101, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: x")
	switchedPod    = takesHead("GET /x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhl")
)

func TestConformance_Tunnels(t *testing.T) {
	reach := []string{"GET /x"}
	runExchanges(t, newBed(t, nil), []exchange{
		{name: "bytes go both ways", asleep: true, reach: reach,
			client: []step{sends(webSocket), switchedClient, times(5, sends("ping"), getsBytes("pong")), halfCloses(), seesEnd()},
			pod:    [][]step{{switchedPod, sends(switches), times(5, getsBytes("ping"), sends("pong")), seesEnd(), hangsUp()}}},
		{name: "any bytes go both ways", reach: reach,
			client: []step{sends(webSocket), switchedClient, sends("\x00\xff\r\n\r\n" + notARequest), getsBytes("\x00\xff\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), hangsUp()},
			pod:    [][]step{{switchedPod, sends(switches), getsBytes("\x00\xff\r\n\r\n" + notARequest), sends("\x00\xff\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), seesGone()}}},
		{name: "many bytes go both ways", reach: reach,
			client: []step{sends(webSocket), switchedClient, sends(text(half)), getsBytes(text(half)), halfCloses(), seesEnd()},
			pod:    [][]step{{switchedPod, sends(switches), getsBytes(text(half)), sends(text(half)), seesEnd(), hangsUp()}}},
		{name: "the client speaks first, before the answer", asleep: true, reach: reach,
			client: []step{sends(webSocket + "early"), switchedClient, getsBytes("late"), hangsUp()},
			pod:    [][]step{{switchedPod, sends(switches), getsBytes("early"), sends("late"), seesGone()}}},
		{name: "the pod speaks together with its answer", asleep: true, reach: reach,
			client: []step{sends(webSocket), switchedClient, getsBytes("early"), hangsUp()},
			pod:    [][]step{{switchedPod, sends(switches + "early"), seesGone()}}},
		{name: "the client ends its side, and the pod speaks on", asleep: true, reach: reach,
			client: []step{sends(webSocket), switchedClient, sends("last"), halfCloses(), getsBytes("more"), opens("more"), getsBytes("and more"), seesEnd()},
			pod:    [][]step{{switchedPod, sends(switches), getsBytes("last"), seesEnd(), sends("more"), awaits("more"), sends("and more"), hangsUp()}}},
		{name: "the pod ends its side, and the client speaks on", asleep: true, reach: reach,
			client: []step{sends(webSocket), switchedClient, getsBytes("last"), seesEnd(), sends("more"), awaits("more"), sends("and more"), hangsUp()},
			pod:    [][]step{{switchedPod, sends(switches + "last"), halfCloses(), getsBytes("more"), opens("more"), getsBytes("and more"), seesEnd()}}},
		{name: "the client goes, and the pod sees it", reach: reach,
			client: []step{sends(webSocket), switchedClient, aborts()},
			pod:    [][]step{{switchedPod, sends(switches), seesGone()}}},
		{name: "the pod goes, and the client sees it", reach: reach,
			client: []step{sends(webSocket), switchedClient, seesGone()},
			pod:    [][]step{{switchedPod, sends(switches), aborts()}}},
		{name: "the pod goes with its answer", reach: reach,
			client: []step{sends(webSocket), switchedClient, seesEnd()},
			pod:    [][]step{{switchedPod, sends(switches), hangsUp()}}},
		{name: "a hint before the answer", reach: reach,
			client: []step{sends(webSocket), getsHead(103), switchedClient, sends("ping"), getsBytes("pong"), hangsUp()},
			pod:    [][]step{{switchedPod, sends("HTTP/1.1 103 Early Hints\r\n\r\n" + switches), getsBytes("ping"), sends("pong"), seesGone()}}},
		{name: "the application wakes", options: sessionOptions{heldBack: true}, reach: reach,
			client: []step{sends(webSocket + "early"), waits(1), wakes(), switchedClient, getsBytes("late"), hangsUp()},
			pod:    [][]step{{switchedPod, sends(switches), getsBytes("early"), sends("late"), seesGone()}}},
	})
}

func TestConformance_Upgrades(t *testing.T) {
	runExchanges(t, newBed(t, nil), slices.Concat(upgradesRefused(), upgradesOffered(), upgradesWithBodies()))
}

func upgradesRefused() []exchange {
	return []exchange{
		{name: "the pod answers as ever", asleep: true, reach: []string{"GET /x"},
			client: []step{sends(webSocket), gets(200, "ok"), isKept()},
			pod:    [][]step{{switchedPod, sends(podAnswer)}}},
		{name: "the pod refuses", reach: []string{"GET /x"},
			client: []step{sends(webSocket), gets(426, "no"), isKept()},
			pod:    [][]step{{switchedPod, sends("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno")}}},
		{name: "the pod refuses, and a request waits behind", reach: []string{"GET /x", "GET /y"},
			client: []step{sends(webSocket + "GET /app/y HTTP/1.1\r\nHost: h\r\n\r\n"), gets(200, "ok"), gets(200, "ok"), isKept()},
			pod:    [][]step{{switchedPod, sends(podAnswer)}}},
		{name: "the pod changes to what was not offered", reach: []string{"GET /x"},
			client: []step{sends(webSocket), isRefused(502)},
			pod:    [][]step{{switchedPod, sends("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), podStops()}}},
		{name: "HTTP/1.0 has none", reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.0\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), gets(200, "ok"), seesEnd()},
			pod:    [][]step{{takesHead("GET /x", "-Upgrade", "-Connection"), sends(podAnswer)}}},
		{name: "the pod goes", reach: []string{"GET /x"},
			client: []step{sends(webSocket), isRefused(502)},
			pod:    [][]step{{switchedPod, hangsUp()}}},
	}
}

func upgradesOffered() []exchange {
	offer := func(name, protocols string, at ...string) exchange {
		return exchange{name: name, reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n" + protocols + "\r\n\r\n"), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("GET /x", at...), sends(podAnswer)}}}
	}
	return []exchange{
		offer("one protocol", "Upgrade: websocket", "Upgrade: websocket"),
		offer("h2c behind another", "Upgrade: websocket, h2c", "Upgrade: websocket"),
		offer("h2c before another", "Upgrade: h2c, websocket", "Upgrade: websocket"),
		offer("h2c in another line", "Upgrade: websocket\r\nUpgrade: h2c", "Upgrade: websocket"),
		offer("h2c in capitals", "Upgrade: H2C", "-Upgrade", "-Connection"),
		offer("h2c alone", "Upgrade: h2c", "-Upgrade", "-Connection"),
		offer("TLS", "Upgrade: TLS/1.2, HTTP/1.1", "-HTTP2-Settings"),
	}
}

// upgradesWithBodies are never upgraded: the pod would have to tell the body from the new protocol.
func upgradesWithBodies() []exchange {
	const upgrade = "POST /app/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	var all []exchange
	for _, size := range []int{5, 20_000} {
		all = append(all, forFramings(size, func(f framing) exchange {
			return exchange{name: fmt.Sprintf("a body of %d", size), asleep: true, reach: []string{"POST /x"},
				client: []step{sends(upgrade + f.field + "\r\n" + f.part(text(size)) + f.end), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x", "-Upgrade", "-Connection"), takesBody(text(size)), sends(podAnswer)}}}
		})...)
		all = append(all, forFramings(size, func(f framing) exchange {
			return exchange{name: fmt.Sprintf("the pod changes nevertheless, after a body of %d", size), asleep: true, reach: []string{"POST /x"},
				client: []step{sends(upgrade + f.field + "\r\n" + f.part(text(size)) + f.end), isRefused(502)},
				pod:    [][]step{{takesHead("POST /x", "-Upgrade", "-Connection"), takesBody(text(size)), sends(switches), podStops()}}}
		})...)
	}
	for _, f := range framings(2 * half) {
		all = append(all, exchange{name: "the pod changes on the head, and the client writes on, " + f.name, asleep: true, reach: []string{"POST /x"},
			client: []step{sends(upgrade + f.field + "\r\n" + f.part(text(half))), awaits("changed"), triesToSend(f.part(text(half)) + f.end), isRefused(502)},
			pod:    [][]step{{takesHead("POST /x"), sends(switches), opens("changed"), podStops()}}})
	}
	return all
}
