package http1

import (
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// today are fields that make an answer's bytes the same every day.
func today(more ...message.Field) message.Fields {
	return append(message.Fields{{Name: "date", Value: "today", Known: message.Date}}, more...)
}

func TestAnswer_IsFramedAsTheRequestAllows(t *testing.T) {
	const last = " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	gone := message.Field{Name: "Gone", Value: "x", Dropped: true}
	for name, c := range map[string]struct {
		request string
		head    proxy.Head
		parts   []string
		want    string
	}{
		"a length": {"GET /" + last, proxy.Head{Status: 200, Reason: "OK", Length: 5}, []string{"he", "llo"},
			"HTTP/1.1 200 OK\r\ndate: today\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"nothing": {"GET /" + last, proxy.Head{Status: 299, Length: 0}, nil,
			"HTTP/1.1 299 \r\ndate: today\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		"chunks": {"GET /" + last, proxy.Head{Status: 200, Reason: "OK", Length: -1}, []string{"he", "llo, world"},
			"HTTP/1.1 200 OK\r\ndate: today\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhe\r\na\r\nllo, world\r\n0\r\n\r\n"},
		"no chunks": {"GET /" + last, proxy.Head{Status: 200, Reason: "OK", Length: -1}, nil,
			"HTTP/1.1 200 OK\r\ndate: today\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"},
		"to HTTP/1.0": {"GET / HTTP/1.0\r\n\r\n", proxy.Head{Status: 200, Reason: "OK", Length: 5}, []string{"hello"},
			"HTTP/1.0 200 OK\r\ndate: today\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"to HTTP/1.0, until the end": {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", proxy.Head{Status: 200, Reason: "OK", Length: -1}, []string{"he", "llo"},
			"HTTP/1.0 200 OK\r\ndate: today\r\nConnection: close\r\n\r\nhello"},
		"to a HEAD": {"HEAD /" + last, proxy.Head{Status: 200, Reason: "OK", Length: 0, Bodiless: true, Add: []message.Field{{Name: "Content-Length", Value: "7"}}}, nil,
			"HTTP/1.1 200 OK\r\ndate: today\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"},
		"304": {"GET /" + last, proxy.Head{Status: 304, Reason: "Not Modified", Bodiless: true}, nil,
			"HTTP/1.1 304 Not Modified\r\ndate: today\r\nConnection: close\r\n\r\n"},
		"fields as they came and beside them": {"GET /" + last,
			proxy.Head{Status: 200, Reason: "OK", Fields: today(gone, message.Field{Name: "x-a", Value: "1"}), Add: []message.Field{{Name: "X-B", Value: "2"}}, Length: 0}, nil,
			"HTTP/1.1 200 OK\r\ndate: today\r\nx-a: 1\r\nX-B: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
	} {
		script := func(cl proxy.Client, _ *message.Request) {
			if c.head.Fields == nil {
				c.head.Fields = today()
			}
			reply(cl, &c.head, c.parts...)
		}
		client := start(t, script).serve().dial().send(c.request)
		if got, err := io.ReadAll(client.r); string(got) != c.want || err != nil {
			t.Errorf("%s: %q, %v\nwant %q", name, got, err, c.want)
		}
	}
}

func TestAnswer_SaysThatTheConnectionEndsWhenTheHandlerWantsIt(t *testing.T) {
	c := start(t, func(c proxy.Client, _ *message.Request) { reply(c, &proxy.Head{Status: 200, Close: true}) }).serve().dial()
	c.send(get("/")).expect(200, "", true)
	c.expectEnd()
}

func TestAnswer_GetsADateWhenItHasNone(t *testing.T) {
	c := start(t, echo).serve().dial()
	answer := c.send(get("/")).expect(200, "", false)
	if at, err := time.Parse(time.RFC1123, answer.Header.Get("Date")); err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("%q: %v", answer.Header.Get("Date"), err)
	}
}

func TestDate_IsMadeOnceASecond(t *testing.T) {
	var d date
	at := time.Date(2026, 11, 27, 22, 40, 5, 999, time.FixedZone("", 3600))
	first := d.at(at)
	if first != "Fri, 27 Nov 2026 21:40:05 GMT" {
		t.Errorf("%q", first)
	}
	if n := testing.AllocsPerRun(10, func() { d.at(at.Add(500 * time.Millisecond)) }); n != 0 {
		t.Errorf("%v allocations in the same second", n)
	}
	if next := d.at(at.Add(time.Second)); next != "Fri, 27 Nov 2026 21:40:06 GMT" {
		t.Errorf("%q", next)
	}
}

func TestAnswer_OfAnySizeArrivesWholeInEveryFraming(t *testing.T) {
	body := times("0123456789abcdef", 200<<10/16*5) // some way beyond every buffer
	for name, c := range map[string]struct {
		request string
		length  int64
	}{
		"length": {get("/"), int64(len(body))}, "chunks": {get("/"), -1}, "until the end": {"GET / HTTP/1.0\r\n\r\n", -1},
	} {
		largest := 0
		script := func(cl proxy.Client, _ *message.Request) {
			_ = cl.Begin(&proxy.Head{Status: 200, Reason: "OK", Length: c.length})
			for rest := body; len(rest) > 0; {
				space := cl.Space()
				largest = max(largest, len(space))
				n := copy(space, rest)
				rest = rest[n:]
				if cl.Commit(n) != nil {
					return
				}
			}
			_ = cl.End(nil)
		}
		if _, got, err := start(t, script).serve().dial().send(c.request).read("GET"); got != body || err != nil {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(body), err)
		}
		if largest != mostSpace {
			t.Errorf("%s: the largest space is %d", name, largest)
		}
	}
}

// spaces are the sizes of the spaces that are given out while so much is put into each.
func spaces(t *testing.T, length int64, puts ...int) (sizes []int, total int) {
	t.Helper()
	script := func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: length})
		for _, n := range puts {
			sizes = append(sizes, len(c.Space()))
			_ = c.Commit(n)
		}
		_ = c.End(nil)
	}
	_, got, err := start(t, script).serve().dial().send(get("/")).read("GET")
	if err != nil {
		t.Fatal(err)
	}
	return sizes, len(got)
}

func TestSpace_GrowsWithWhatIsPutIntoItWhereTheLengthIsNotKnown(t *testing.T) {
	const least = leastSpace
	sizes, total := spaces(t, -1, least, 10, 2*least, 0, 4*least)
	if want := []int{least, 2 * least, 2 * least, 4 * least, 4 * least}; !slices.Equal(sizes, want) || total != 7*least+10 {
		t.Errorf("%d, want %d; %d bytes", sizes, want, total)
	}
}

func TestSpace_IsWhatIsLeftWhereTheLengthIsKnown(t *testing.T) {
	sizes, total := spaces(t, 100_000, mostSpace, 10, 100_000-mostSpace-10)
	if want := []int{mostSpace, 100_000 - mostSpace, 100_000 - mostSpace - 10}; !slices.Equal(sizes, want) || total != 100_000 {
		t.Errorf("%d, want %d; %d bytes", sizes, want, total)
	}
}

func TestAnswer_EndsWithATrailerWhereItIsChunked(t *testing.T) {
	trailer := message.Fields{{Name: "Grpc-Status", Value: "0"}, {Name: "Gone", Value: "x", Dropped: true}}
	script := func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		_ = write(c, "hello")
		_ = c.End(trailer)
	}
	d := start(t, script).serve()
	answer, body, err := d.dial().send(get("/")).read("GET")
	if body != "hello" || err != nil || len(answer.Trailer) != 1 || answer.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("%q, %v, %v", body, answer.Trailer, err)
	}
	if _, body, err := d.dial().send("GET / HTTP/1.0\r\n\r\n").read("GET"); body != "hello" || err != nil {
		t.Errorf("HTTP/1.0: %q, %v", body, err)
	}
}

func TestAnswer_ThatIsLongerOrShorterThanSaidIsNotWhole(t *testing.T) {
	faults := make(chan error, 2)
	script := func(c proxy.Client, r *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: 5})
		if r.Path == "/shorter" {
			_ = write(c, "hell")
			_ = c.Flush()
			faults <- c.End(nil)
			return
		}
		_ = write(c, "hello")
		_ = c.Flush()
		faults <- write(c, "!")
	}
	d := start(t, script).serve()
	c := d.dial().send(get("/shorter"))
	if _, body, err := c.read("GET"); body != "hell" || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(<-faults, errLess) {
		t.Errorf("shorter: %q, %v", body, err)
	}
	c = d.dial().send(get("/longer"))
	if _, body, err := c.read("GET"); body != "hello" || err != nil || !errors.Is(<-faults, errMore) {
		t.Errorf("longer: %q, %v", body, err)
	}
	c.expectEnd() // and nothing more of it
}

// abandoned is an answer that its handler leaves in the middle.
func abandoned(c proxy.Client, r *message.Request) {
	length := int64(-1)
	if r.Path == "/length" {
		length = 100
	}
	_ = c.Begin(&proxy.Head{Status: 200, Reason: "OK", Length: length})
	_ = write(c, "some of it")
	_ = c.Flush()
	_ = write(c, "this is never sent")
}

func TestAnswer_ThatIsAbandonedIsSeenToBeSoInEveryFraming(t *testing.T) {
	for name, d := range map[string]*site{"in clear": start(t, abandoned).serve(), "TLS": start(t, abandoned).encrypted().serve()} {
		for framing, request := range map[string]string{
			"length": get("/length"), "chunks": get("/chunks"), "until the end": "GET / HTTP/1.0\r\n\r\n", "length, HTTP/1.0": "GET /length HTTP/1.0\r\n\r\n",
		} {
			_, body, err := d.dial().send(request).read("GET")
			if err == nil || body != "some of it"[:min(len(body), 10)] {
				t.Errorf("%s, %s: %q, %v", name, framing, body, err)
			}
			if reset := errors.Is(err, syscall.ECONNRESET); !reset && body != "some of it" {
				t.Errorf("%s, %s: %q arrives", name, framing, body)
			}
		}
	}
}

func TestAnswer_ThatNeverBeganIsTheEndOfTheConnection(t *testing.T) {
	d := start(t, func(c proxy.Client, r *message.Request) {
		if r.Path == "/put" { // in the buffer, and never sent
			_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		}
	}).serve()
	d.dial().send(get("/")).expectEnd()
	d.dial().send(get("/put")).expectEnd()
}

func TestAnswer_BeginsOnce(t *testing.T) {
	again := make(chan error, 1)
	script := func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: 2})
		again <- c.Begin(&proxy.Head{Status: 500, Length: 0})
		_ = c.Inform(&message.Response{Status: 103}) // too late
		_ = write(c, "ok")
		_ = c.End(nil)
	}
	c := start(t, script).serve().dial().send(get("/"))
	c.expect(200, "ok", false)
	if err := <-again; !errors.Is(err, errBegun) {
		t.Error(err)
	}
}

func TestAnswer_GoesOutWhenItIsFlushedAndHoldsNoBufferThen(t *testing.T) {
	held, proceed := make(chan int, 3), make(chan struct{})
	script := func(c proxy.Client, _ *message.Request) {
		out := &c.(*conn).answer.out
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		held <- cap(out.Bytes)
		_ = write(c, "one")
		_ = c.Flush()
		held <- cap(out.Bytes)
		<-proceed
		_ = c.Space() // for nothing
		_ = c.Commit(0)
		_ = c.Flush()
		held <- cap(out.Bytes)
		_ = c.End(nil)
	}
	c := start(t, script).serve().dial().send(get("/"))
	var got []byte
	for !strings.HasSuffix(string(got), "3\r\none\r\n") {
		b, err := c.r.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b)
	}
	close(proceed)
	if before, flushed, empty := <-held, <-held, <-held; before == 0 || flushed != 0 || empty != 0 {
		t.Errorf("%d, %d, %d bytes are held", before, flushed, empty)
	}
}

func TestInform_PassesOnWhatComesBeforeTheAnswer(t *testing.T) {
	script := func(c proxy.Client, _ *message.Request) {
		_ = c.Inform(&message.Response{Status: 103, Reason: "Early Hints", Fields: message.Fields{{Name: "Link", Value: "a"}, {Name: "Gone", Dropped: true}}})
		reply(c, &proxy.Head{Status: 200, Reason: "OK", Fields: today()})
	}
	d := start(t, script).serve()
	want := "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\ndate: today\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	if got, err := io.ReadAll(d.dial().send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").r); string(got) != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	want = "HTTP/1.0 200 OK\r\ndate: today\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	if got, err := io.ReadAll(d.dial().send("GET / HTTP/1.0\r\n\r\n").r); string(got) != want || err != nil {
		t.Errorf("HTTP/1.0: %q, %v", got, err)
	}
}
