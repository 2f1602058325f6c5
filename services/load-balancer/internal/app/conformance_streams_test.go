package app_test

import "testing"

// What a pod sends is passed on as it comes, be it a byte.
func TestConformance_Streams(t *testing.T) {
	const (
		ask    = "GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"
		askOld = "GET /app/x HTTP/1.0\r\nHost: h\r\n\r\n"
		length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
		chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	)
	reach := []string{"GET /x"}
	runExchanges(t, newBed(t, nil), []exchange{
		{name: "a head comes before the body", asleep: true, reach: reach,
			client: []step{sends(ask), getsHead(200), opens("head"), takesBody("helloworld"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(length), awaits("head"), sends("helloworld")}}},
		{name: "a head comes before the chunks", asleep: true, reach: reach,
			client: []step{sends(ask), getsHead(200), opens("head"), takesBody("hello"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(chunks), awaits("head"), sends("5\r\nhello\r\n0\r\n\r\n")}}},
		{name: "a body with a length trickles", asleep: true, reach: reach,
			client: []step{sends(ask), getsHead(200), takesPart("hello"), opens("one"), takesPart("w"), opens("two"), takesBody("orld"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(length + "hello"), awaits("one"), sends("w"), awaits("two"), sends("orld")}}},
		{name: "a chunk trickles", asleep: true, reach: reach,
			client: []step{sends(ask), getsHead(200), takesPart("hello"), opens("one"), takesPart("w"), opens("two"), takesBody("orld"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(chunks + "a\r\nhello"), awaits("one"), sends("w"), awaits("two"), sends("orld\r\n0\r\n\r\n")}}},
		{name: "a chunk's size trickles", reach: reach,
			client: []step{sends(ask), getsHead(200), takesPart("hello"), opens("one"), takesBody("worldworldworld!"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(chunks + "5\r\nhello\r\n1"), awaits("one"), sends("0\r\nworldworldworld!\r\n0\r\n\r\n")}}},
		{name: "chunks come one by one", asleep: true, reach: reach,
			client: []step{sends(ask), getsHead(200), takesPart("one"), opens("one"), takesPart("two"), opens("two"), takesBody("end"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(chunks + "3\r\none\r\n"), awaits("one"), sends("3\r\ntwo\r\n"), awaits("two"), sends("3\r\nend\r\n0\r\n\r\n")}}},
		{name: "the last chunk comes late", reach: reach,
			client: []step{sends(ask), getsHead(200), takesPart("hello"), opens("one"), takesBody(""), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(chunks + "5\r\nhello\r\n"), awaits("one"), sends("0\r\n\r\n")}}},
		{name: "the trailer comes late", reach: reach,
			client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n"), getsHead(200, "Trailer: X-Sum"), takesPart("hello"), opens("one"), takesBody(""), getsTrailer("X-Sum: 1"), isKept()},
			pod: [][]step{{takesHead("GET /x", "TE: trailers"), sends("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
				awaits("one"), sends("0\r\nX-Sum: 1\r\n\r\n")}}},
		{name: "events come one by one", asleep: true, reach: reach,
			client: []step{sends(ask), getsHead(200, "Content-Type: text/event-stream"), takesPart("data: 1\n\n"), opens("one"), takesBody("data: 2\n\n"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"), awaits("one"), sends("data: 2\n\n"), hangsUp()}}},
		{name: "HTTP/1.0 gets chunks as they come", asleep: true, reach: reach,
			client: []step{sends(askOld), getsHead(200, "-Transfer-Encoding"), takesPart("hello"), opens("one"), takesBody("world")},
			pod:    [][]step{{takesHead("GET /x"), sends(chunks + "5\r\nhello\r\n"), awaits("one"), sends("5\r\nworld\r\n0\r\n\r\n")}}},
		{name: "HTTP/1.0 that keeps is closed behind chunks", reach: reach,
			client: []step{sends("GET /app/x HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"), getsHead(200, "-Transfer-Encoding"), takesPart("hello"), opens("one"), takesBody("world")},
			pod:    [][]step{{takesHead("GET /x"), sends(chunks + "5\r\nhello\r\n"), awaits("one"), sends("5\r\nworld\r\n0\r\n\r\n")}}},
		{name: "HTTP/1.0 gets the pod's end", reach: reach,
			client: []step{sends(askOld), getsHead(200), takesPart("hello"), opens("one"), takesBody("world")},
			pod:    [][]step{{takesHead("GET /x"), sends("HTTP/1.0 200 OK\r\n\r\nhello"), awaits("one"), sends("world"), hangsUp()}}},
	})
}
