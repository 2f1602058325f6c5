package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// framing is a way to send a body.
type framing struct {
	name  string
	field string // of the head, for a body of that many bytes
	part  func(text string) string
	end   string
}

func framings(size int) []framing {
	return []framing{
		{"length", fmt.Sprintf("Content-Length: %d\r\n", size), func(text string) string { return text }, ""},
		{"chunks", "Transfer-Encoding: chunked\r\n", func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }, "0\r\n\r\n"},
	}
}

// forFramings makes a case of each way to send a body of that size.
func forFramings(size int, make func(f framing) exchange) []exchange {
	var all []exchange
	for _, f := range framings(size) {
		c := make(f)
		c.name += ", " + f.name
		all = append(all, c)
	}
	return all
}

const (
	// half is half of a body that is too large to be read before it is sent on.
	half = 100_000
	// notARequest is what a body has that must not be taken for a request.
	notARequest = "GET /app/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
)

func text(n int) string { return strings.Repeat("x", n) }

func TestConformance_Bodies(t *testing.T) {
	b := newBed(t, nil)
	runExchanges(t, b, slices.Concat(
		forFramings(2*half, func(f framing) exchange {
			return exchange{name: "a large body is passed on as it comes", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part(text(half))), awaits("half"), sends(f.part(text(half)) + f.end), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x"), takesPart(text(half)), opens("half"), takesBody(text(half)), sends(podAnswer)}},
			}
		}),
		forFramings(2*half, func(f framing) exchange {
			return exchange{name: "an answer runs beside the body", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part(text(half))), getsHead(200), takesPart("begun"), sends(f.part(text(half)) + f.end), takesBody("ended"), isKeptOrClosed()},
				pod: [][]step{{takesHead("POST /x"), takesPart(text(half)), sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"),
					takesBody(text(half)), sends("5\r\nended\r\n0\r\n\r\n")}},
			}
		}),
		[]exchange{
			{name: "a chunk is passed on before the next one comes", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"), awaits("first"), sends("2\r\nlo\r\n"), awaits("second"), sends("0\r\n\r\n"), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x"), takesPart("hel"), opens("first"), takesPart("lo"), opens("second"), takesBody(""), sends(podAnswer)}},
			},
			{name: "a part of a chunk is passed on", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), awaits("first"), sends("lo\r\n0\r\n\r\n"), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x"), takesPart("hel"), opens("first"), takesBody("lo"), sends(podAnswer)}},
			},
			{name: "the application wakes while the body comes", options: sessionOptions{heldBack: true}, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello"), awaits("started"), wakes(), sends("world"), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("helloworld"), sends(podAnswer)}},
			},
			{name: "the application wakes while chunks come", options: sessionOptions{heldBack: true}, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), awaits("started"), wakes(), sends("5\r\nworld\r\n0\r\n\r\n"), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("helloworld"), sends(podAnswer)}},
			},
			{name: "a large body waits with its client", options: sessionOptions{heldBack: true}, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + text(half)), awaits("started"), wakes(), sends(text(half)), gets(200, "ok"), isKept()},
				pod:    [][]step{{takesHead("POST /x"), takesBody(text(2 * half)), sends(podAnswer)}},
			},
			{name: "empty lines behind a body are passed over", reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\r\n"), gets(200, "ok"), isKept()}},
			{name: "what stands behind a body is the next request", reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloworld\r\n\r\n"), gets(200, "ok"), isRefusedAndClosed(400)}},
			{name: "a body with a length of nothing", asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"), gets(200, "ok"), isKept()}},
		},
	))
}

// An answer that ends before the body does ends the connection: what still comes of the body is
// never a request.
func TestConformance_EarlyAnswers(t *testing.T) {
	b := newBed(t, nil)
	const refusal = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
	var all []exchange
	for _, size := range []int{20_000, 1_000_000} {
		all = append(all, forFramings(size, func(f framing) exchange {
			return exchange{name: fmt.Sprintf("the head alone is answered, of %d", size), asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part(text(100))), gets(401, "no"), isClosed(), triesToSend(f.part(notARequest)), triesToSend(notARequest)},
				pod:    [][]step{{takesHead("POST /x"), sends(refusal), podStops()}},
			}
		})...)
		all = append(all, forFramings(size, func(f framing) exchange {
			return exchange{name: fmt.Sprintf("the body goes on before the answer is read, of %d", size), asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part(text(100))), awaits("answered"), triesToSend(f.part(notARequest)), gets(401, "no"), isClosed(), triesToSend(notARequest)},
				pod:    [][]step{{takesHead("POST /x"), sends(refusal), opens("answered"), podStops()}},
			}
		})...)
		all = append(all, forFramings(size, func(f framing) exchange {
			return exchange{name: fmt.Sprintf("the pod closes behind its answer, of %d", size), asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part(text(100))), gets(401, "no"), isClosed(), triesToSend(notARequest)},
				pod:    [][]step{{takesHead("POST /x"), sends("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"), halfCloses(), podStops()}},
			}
		})...)
	}
	all = append(all, forFramings(2_000_000, func(f framing) exchange {
		return exchange{name: "the client reads only when it has sent all", reach: []string{"POST /x"},
			client: []step{triesToSend("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part(text(2_000_000)) + f.end), gets(401, "no")},
			pod:    [][]step{{takesHead("POST /x"), sends(refusal), podStops()}},
		}
	})...)
	all = append(all,
		exchange{name: "a large early answer comes whole", reach: []string{"POST /x"},
			client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + text(100)), gets(200, text(500_000)), isClosed(), triesToSend(notARequest)},
			pod:    [][]step{{takesHead("POST /x"), sends("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + text(500_000)), podStops()}}},
		exchange{name: "an early answer in chunks", reach: []string{"POST /x"},
			client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + text(100)), gets(200, "ok"), isClosed(), triesToSend(notARequest)},
			pod:    [][]step{{takesHead("POST /x"), sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), podStops()}}},
		exchange{name: "an early answer without a body", reach: []string{"POST /x"},
			client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + text(100)), gets(204, ""), isClosed(), triesToSend(notARequest)},
			pod:    [][]step{{takesHead("POST /x"), sends("HTTP/1.1 204 No Content\r\n\r\n"), podStops()}}},
		exchange{name: "the pod's connection of an early answer is not used again", reach: []string{"POST /x", "GET /y"},
			client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + text(100)), gets(401, "no"), isClosed(),
				another(sends("GET /app/y HTTP/1.1\r\nHost: h\r\n\r\n"), gets(200, "ok"))},
			pod: [][]step{{takesHead("POST /x"), sends(refusal), podStops()}}},
	)
	runExchanges(t, b, all)
}
