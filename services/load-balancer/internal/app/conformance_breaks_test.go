package app_test

import (
	"slices"
	"testing"
)

const (
	getX  = "GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"
	postX = "POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
)

// Pods that close or reset their connection at each point: a request that may have been worked on
// is not sent again, and a client gets what came, or a 502.
func TestConformance_PodsBreakOff(t *testing.T) {
	var all []exchange
	for name, breaks := range map[string]func() step{"closes": hangsUp, "resets": aborts} {
		all = append(all,
			exchange{name: "behind the head of a POST, and " + name, asleep: true, reach: []string{"POST /x"},
				client: []step{sends(postX), isRefused(502)}, pod: [][]step{{takesHead("POST /x"), breaks()}}},
			exchange{name: "behind a POST, and " + name, asleep: true, reach: []string{"POST /x"},
				client: []step{sends(postX), isRefused(502), isKept()}, pod: [][]step{{takesHead("POST /x"), takesBody("hello"), breaks()}}},
			exchange{name: "behind a GET on a new connection, and " + name, asleep: true, reach: []string{"GET /x"},
				client: []step{sends(getX), isRefused(502), isKept()}, pod: [][]step{{takesHead("GET /x"), breaks()}}},
			exchange{name: "within a large body, and " + name, asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + text(half)), isRefusedAndClosed(502), triesToSend(notARequest)},
				pod:    [][]step{{takesHead("POST /x"), takesPart(text(100)), breaks()}}},
			exchange{name: "behind the informational answer, and " + name, reach: []string{"POST /x"},
				client: []step{sends(postX), getsHead(103), isRefused(502), isKept()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), sends("HTTP/1.1 103 Early Hints\r\n\r\n"), breaks()}}},
			exchange{name: "within the status line, and " + name, reach: []string{"POST /x"},
				client: []step{sends(postX), isRefused(502), isKept()}, pod: [][]step{{takesHead("POST /x"), takesBody("hello"), sends("HTTP/1.1 2"), breaks()}}},
			exchange{name: "within the head, and " + name, reach: []string{"POST /x"},
				client: []step{sends(postX), isRefused(502), isKept()}, pod: [][]step{{takesHead("POST /x"), takesBody("hello"), sends(okFields), breaks()}}},
			exchange{name: "within the body, and " + name, reach: []string{"POST /x"},
				client: []step{sends(postX), getsHead(200), takesPart("hel"), opens("part"), isCut()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), sends("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), awaits("part"), breaks()}}},
			exchange{name: "within the chunks, and " + name, reach: []string{"POST /x"},
				client: []step{sends(postX), getsHead(200), takesPart("hel"), opens("part"), isCut()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), awaits("part"), breaks()}}},
			exchange{name: "behind a chunk, and " + name, reach: []string{"POST /x"},
				client: []step{sends(postX), getsHead(200), takesPart("hello"), opens("part"), isCut()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), awaits("part"), breaks()}}},
			exchange{name: "behind the head of a body with a length, and " + name, reach: []string{"POST /x"},
				client: []step{sends(postX), getsHead(200), opens("part"), isCut()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), sends("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), awaits("part"), breaks()}}},
		)
	}
	all = append(all,
		exchange{name: "resets a body without a length", reach: []string{"POST /x"},
			client: []step{sends(postX), getsHead(200), takesPart("hel"), opens("part"), isCut()},
			pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), sends("HTTP/1.1 200 OK\r\n\r\nhel"), awaits("part"), aborts()}}},
		exchange{name: "ends its side behind its answer", reach: []string{"POST /x"},
			client: []step{sends(postX), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), sends(podAnswer), halfCloses(), podStops()}}},
	)
	slices.SortFunc(all, func(a, b exchange) int { return len(a.name) - len(b.name) })
	runExchanges(t, newBed(t, nil), all)
}

// Kept connections to pods: what may be sent again when one turns out to be dead, and what may not.
func TestConformance_KeptPodConnections(t *testing.T) {
	first := []step{takesHead("GET /first"), sends(podAnswer)}
	ask := []step{sends("GET /app/first HTTP/1.1\r\nHost: h\r\n\r\n"), gets(200, "ok")}
	client := func(steps ...step) []step { return slices.Concat(ask, steps) }
	pod := func(steps ...step) [][]step { return [][]step{slices.Concat(first, steps)} }
	var all []exchange
	for name, breaks := range map[string]func() step{"closes": hangsUp, "resets": aborts} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			body := "ok"
			if method == "HEAD" {
				body = ""
			}
			all = append(all, exchange{name: method + " is sent once more when the pod " + name, reach: []string{"GET /first", method + " /x", method + " /x"},
				client: client(sends(method+" /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), gets(200, body), isKept()),
				pod:    pod(takesHead(method+" /x"), breaks())})
		}
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "PURGE"} {
			all = append(all, exchange{name: method + " is not sent again when the pod " + name, reach: []string{"GET /first", method + " /x"},
				client: client(sends(method+" /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), isRefused(502), isKept()),
				pod:    pod(takesHead(method+" /x"), takesBody("hello"), breaks())})
		}
		all = append(all,
			exchange{name: "GET is sent once more, and not twice, when the pod " + name, reach: []string{"GET /first", "GET /x", "GET /x"},
				client: client(sends(getX), isRefused(502), isKept()),
				pod:    append(pod(takesHead("GET /x"), breaks()), []step{takesHead("GET /x"), breaks()})},
			exchange{name: "GET is not sent again behind a byte when the pod " + name, reach: []string{"GET /first", "GET /x"},
				client: client(sends(getX), isRefused(502), isKept()),
				pod:    pod(takesHead("GET /x"), sends("H"), breaks())},
			exchange{name: "a connection that ended while it was idle is not used, where the pod " + name, reach: []string{"GET /first", "POST /x"},
				client: client(opens("answered"), awaits("ended"), sends(postX), gets(200, "ok"), isKept()),
				pod:    pod(awaits("answered"), breaks(), opens("ended"))},
		)
	}
	all = append(all,
		exchange{name: "an answer that nobody asked for is nobody's", reach: []string{"GET /first", "POST /x"},
			client: client(opens("answered"), awaits("sent"), sends(postX), gets(200, "ok"), isKept()),
			pod:    pod(awaits("answered"), sends("HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nevil"), opens("sent"), podStops())},
		exchange{name: "a connection is used again", reach: []string{"GET /first", "POST /x"},
			client: client(sends(postX), gets(200, "ok")), pod: pod(takesHead("POST /x"), takesBody("hello"), sends(podAnswer))},
		exchange{name: "close is heeded", reach: []string{"GET /x", "GET /y"},
			client: []step{sends(getX), gets(200, "ok", "-Connection"), sends("GET /app/y HTTP/1.1\r\nHost: h\r\n\r\n"), gets(200, "ok")},
			pod:    [][]step{{takesHead("GET /x"), sends("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"), podStops()}}},
	)
	slices.SortFunc(all, func(a, b exchange) int { return len(a.name) - len(b.name) })
	runExchanges(t, newBed(t, nil), all)
}
