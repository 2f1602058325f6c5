package app_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestConformance_Expect(t *testing.T) {
	const expecting = "POST /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
	runExchanges(t, newBed(t, nil), slices.Concat(
		forFramings(5, func(f framing) exchange {
			return exchange{name: "the pod asks for the body", asleep: true, reach: []string{"POST /x"},
				client: []step{sends(expecting + f.field + "\r\n"), getsHead(100), sends(f.part("hello") + f.end), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x", "Expect: 100-continue"), sends("HTTP/1.1 100 Continue\r\n\r\n"), takesBody("hello"), sends(podAnswer)}},
			}
		}),
		forFramings(5, func(f framing) exchange {
			return exchange{name: "the pod does not want the body", asleep: true, reach: []string{"POST /x"},
				client: []step{sends(expecting + f.field + "\r\n"), gets(403, "no"), isClosed(), triesToSend(notARequest)},
				pod:    [][]step{{takesHead("POST /x"), sends("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), podStops()}},
			}
		}),
		forFramings(5, func(f framing) exchange {
			return exchange{name: "the client does not wait", asleep: true, reach: []string{"POST /x"},
				client: []step{sends(expecting + f.field + "\r\n" + f.part("hello") + f.end), getsFinally(200), isKept()},
				pod:    [][]step{{takesHead("POST /x"), sends("HTTP/1.1 100 Continue\r\n\r\n"), takesBody("hello"), sends(podAnswer)}},
			}
		}),
		forFramings(5, func(f framing) exchange {
			return exchange{name: "the pod knows no expectations", reach: []string{"POST /x"},
				client: []step{sends(expecting + f.field + "\r\n"), getsHead(100), sends(f.part("hello") + f.end), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), sends(podAnswer)}},
			}
		}),
		forFramings(5, func(f framing) exchange {
			return exchange{name: "nobody is asked where there is no application",
				client: []step{sends("POST /nowhere HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n" + f.field + "\r\n"), isRefusedAndClosed(404)}}
		}),
		[]exchange{
			{name: "in capitals", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nexpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"), getsHead(100), sends("hello"), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x"), sends("HTTP/1.1 100 Continue\r\n\r\n"), takesBody("hello"), sends(podAnswer)}}},
			{name: "of HTTP/1.0 there are none", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"), gets(200, "ok"), seesEnd()}},
			{name: "without a body", asleep: true, reach: []string{"GET /x"},
				client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n"), getsFinally(200), isKept()}},
			{name: "with a body of nothing", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"), getsFinally(200), isKept()}},
			{name: "the body is too large",
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1099511627776\r\n\r\n"), isRefusedAndClosed(413)}},
			{name: "the pod goes instead of asking", reach: []string{"POST /x"},
				client: []step{sends(expecting + "Content-Length: 5\r\n\r\n"), isRefusedAndClosed(502), triesToSend(notARequest)},
				pod:    [][]step{{takesHead("POST /x"), hangsUp()}}},
			{name: "the client goes instead of sending", anyway: true,
				client: []step{sends(expecting + "Content-Length: 5\r\n\r\n"), getsHead(100), hangsUp()},
				pod:    [][]step{{takesHead("POST /x"), sends("HTTP/1.1 100 Continue\r\n\r\n"), takesCut()}}},
		},
	))
}

func TestConformance_Informational(t *testing.T) {
	// On a busy machine it may be seen too late that a body is sent for the connection to be kept: where
	// many requests need a script each, each has a connection.
	const lastAnswer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
	hint := "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\nConnection: X-A\r\nX-A: 1\r\n\r\n"
	runExchanges(t, newBed(t, nil), []exchange{
		{name: "a hint is passed on", asleep: true, reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), getsHead(103, "link: <a>", "-X-A", "-Connection"), gets(200, "ok", "-link"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(hint + podAnswer)}}},
		{name: "a hint comes before the answer", reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), getsHead(103, "link: <a>"), opens("hinted"), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(hint), awaits("hinted"), sends(podAnswer)}}},
		{name: "several are passed on in their order", reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), getsHead(102, "X-N: 1"), getsHead(103, "X-N: 2"), getsHead(102, "X-N: 3"), gets(200, "ok"), isKept()},
			pod: [][]step{{takesHead("GET /x"), sends("HTTP/1.1 102 Processing\r\nX-N: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-N: 2\r\n\r\n"),
				sends("HTTP/1.1 102 Processing\r\nX-N: 3\r\n\r\n" + podAnswer)}}},
		{name: "HTTP/1.0 gets none", asleep: true, reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.0\r\nHost: h\r\n\r\n"), gets(200, "ok"), seesEnd()},
			pod:    [][]step{{takesHead("GET /x"), sends(hint + "HTTP/1.1 100 Continue\r\n\r\n" + podAnswer)}}},
		{name: "HTTP/1.0 that keeps gets none", asleep: true, reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(hint + podAnswer)}}},
		{name: "a hint to HEAD", reach: []string{"HEAD /x"},
			client: []step{sends("HEAD /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), getsHead(103), gets(200, ""), isKept()},
			pod:    [][]step{{takesHead("HEAD /x"), sends(hint + okFields + "\r\n")}}},
		{name: "a hint with a length", reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), getsHead(103, "-Content-Length", "-Transfer-Encoding"), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + podAnswer)}}},
		{name: "100 that nobody waits for", reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), getsFinally(200), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends("HTTP/1.1 100 Continue\r\n\r\n" + podAnswer)}}},
		{name: "a flood ends", reach: []string{"GET /x"},
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"), getsFinally(200, 502)},
			pod:    [][]step{{takesHead("GET /x"), triesToSend(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5000) + podAnswer), podStops()}}},
		{name: "a hint and 100 close together while the body comes", asleep: true, reach: slices.Repeat([]string{"POST /x"}, 40),
			client: []step{times(40, sends("POST /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n"),
				getsHintAndContinue(), sends(text(half)), getsHead(103), sends(text(half)), gets(200, "ok")), isKept()},
			pod: slices.Repeat([][]step{{takesHead("POST /x"), sends(hint + "HTTP/1.1 100 Continue\r\n\r\n"), takesPart(text(half)), sends(hint), takesBody(text(half)), sends(lastAnswer), hangsUp()}}, 40)},
		{name: "a hint and 100 close together, and the body does not wait", anyway: true,
			client: []step{times(40, sends("POST /app/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n"+text(2*half)), getsFinally(200)), isKept()},
			pod:    slices.Repeat([][]step{{takesHead("POST /x"), sends("HTTP/1.1 100 Continue\r\n\r\n" + hint), takesPart(text(half)), sends(hint), takesBody(text(half)), sends(lastAnswer), hangsUp()}}, 40)},
	})
}

// getsHintAndContinue sees both come whole. They come in this order, but where the pod takes longer
// than a second on a busy machine: then the balancer has let the body go by itself.
func getsHintAndContinue() step {
	return step{"gets a hint and 100", func(w *wire) error {
		return errors.Join(w.getHead([]int{100, 103}, nil), w.getHead([]int{100, 103}, nil))
	}}
}
