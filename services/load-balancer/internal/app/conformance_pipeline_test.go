package app_test

import (
	"strings"
	"testing"
)

func TestConformance_Pipelines(t *testing.T) {
	get := func(path string) string { return "GET /app" + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }
	post := func(path, body string) string {
		return "POST /app" + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n" + body
	}
	named := func(name string) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name
	}
	var many, lines []string
	var answers []step
	for range 50 {
		many, lines, answers = append(many, get("/x")), append(lines, "GET /x"), append(answers, gets(200, "ok"))
	}
	runExchanges(t, newBed(t, nil), []exchange{
		{name: "answers come in the order of the requests", asleep: true, reach: []string{"GET /a", "GET /b", "GET /c"}, answers: []string{named("a"), named("b"), named("c")},
			client: []step{sends(get("/a") + get("/b") + get("/c")), gets(200, "a"), gets(200, "b"), gets(200, "c"), isKept()}},
		{name: "fifty at once", reach: lines, client: append([]step{sends(strings.Join(many, ""))}, append(answers, isKept())...)},
		{name: "with bodies", asleep: true, reach: []string{"POST /a", "GET /b", "POST /c"}, answers: []string{named("a"), named("b"), named("c")},
			client: []step{sends(post("/a", "hello") + get("/b") + post("/c", "world")), gets(200, "a"), gets(200, "b"), gets(200, "c"), isKept()}},
		{name: "with chunks", asleep: true, reach: []string{"POST /a", "GET /b"}, answers: []string{named("a"), named("b")},
			client: []step{sends("POST /app/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n" + get("/b")), gets(200, "a"), gets(200, "b"), isKept()}},
		{name: "cut within a request", reach: []string{"GET /a", "GET /b"}, answers: []string{named("a"), named("b")},
			client: []step{sends(get("/a") + "GET /app/b HT"), gets(200, "a"), sends("TP/1.1\r\nHost: h\r\n\r\n"), gets(200, "b"), isKept()}},
		{name: "cut within a body", reach: []string{"GET /a", "POST /b"}, answers: []string{named("a"), named("b")},
			client: []step{sends(get("/a") + post("/b", "he")), gets(200, "a"), sends("llo"), gets(200, "b"), isKept()}},
		{name: "an empty line between them", reach: []string{"GET /a", "GET /b"}, answers: []string{named("a"), named("b")},
			client: []step{sends(get("/a") + "\r\n" + get("/b")), gets(200, "a"), gets(200, "b"), isKept()}},
		{name: "HEAD between them", reach: []string{"GET /a", "HEAD /b", "GET /c"}, answers: []string{named("a"), okFields + "\r\n", named("c")},
			client: []step{sends(get("/a") + "HEAD /app/b HTTP/1.1\r\nHost: h\r\n\r\n" + get("/c")), gets(200, "a"), headNext(), gets(200, ""), getNext(), gets(200, "c"), isKept()}},
		{name: "nothing is taken behind one that closes", asleep: true, reach: []string{"GET /a"}, answers: []string{named("a")},
			client: []step{sends("GET /app/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + get("/b")), gets(200, "a"), isClosed()}},
		{name: "nothing is taken behind HTTP/1.0", reach: []string{"GET /a"}, answers: []string{named("a")},
			client: []step{sends("GET /app/a HTTP/1.0\r\nHost: h\r\n\r\n" + get("/b")), gets(200, "a"), isClosed()}},
		{name: "nothing is taken behind one that is refused", reach: []string{"GET /a"}, answers: []string{named("a")},
			client: []step{sends(get("/a") + "GET /app/b HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n" + get("/c")), gets(200, "a"), isRefusedAndClosed(400)}},
		{name: "one without an application is passed over", reach: []string{"GET /a", "GET /c"}, answers: []string{named("a"), named("c")},
			client: []step{sends(get("/a") + "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n" + get("/c")), gets(200, "a"), isRefused(404), gets(200, "c"), isKept()}},
		{name: "one that the pod breaks is passed over", reach: []string{"GET /a", "POST /b", "GET /c"},
			client: []step{sends(get("/a") + post("/b", "hello") + get("/c")), gets(200, "ok"), isRefused(502), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("GET /a"), sends(podAnswer), takesHead("POST /b"), takesBody("hello"), hangsUp()}}},
		{name: "a large answer before the next", asleep: true, reach: []string{"GET /a", "GET /b"}, answers: []string{"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + text(2_000_000), named("b")},
			client: []step{sends(get("/a") + get("/b")), gets(200, text(2_000_000)), gets(200, "b"), isKept()}},
		{name: "while the first waits for its application", options: sessionOptions{heldBack: true}, reach: []string{"GET /a", "GET /b"}, answers: []string{named("a"), named("b")},
			client: []step{sends(get("/a") + get("/b")), waits(1), wakes(), gets(200, "a"), gets(200, "b"), isKept()}},
		{name: "a client that goes behind its requests", anyway: true,
			client: []step{sends(strings.Join(many, "")), aborts()}},
	})
}

// headNext and getNext say to what the next answer is, where several were asked for at once.
func headNext() step {
	return step{"expects an answer to HEAD", func(w *wire) error { w.method = "HEAD"; return nil }}
}

func getNext() step {
	return step{"expects an answer to GET", func(w *wire) error { w.method = "GET"; return nil }}
}
