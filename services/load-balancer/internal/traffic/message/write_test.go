package message

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAppend_WritesLinesAsTheyAreOnTheWire(t *testing.T) {
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"a field":            {AppendField(nil, "A", "b c"), "A: b c\r\n"},
		"one behind others":  {AppendField([]byte("x\r\n"), "A", ""), "x\r\nA: \r\n"},
		"those not dropped":  {AppendFields(nil, Fields{{Name: "a", Value: "1"}, {Name: "b", Dropped: true}, {Name: "A", Value: "2"}}), "a: 1\r\nA: 2\r\n"},
		"a length":           {AppendLength(nil, 42), "Content-Length: 42\r\n"},
		"a length of none":   {AppendLength(nil, 0), "Content-Length: 0\r\n"},
		"a status":           {AppendStatusLine(nil, HTTP11, 200, "OK"), "HTTP/1.1 200 OK\r\n"},
		"without a reason":   {AppendStatusLine(nil, HTTP11, 299, ""), "HTTP/1.1 299 \r\n"},
		"in HTTP/1.0":        {AppendStatusLine(nil, HTTP10, 404, "Not Found"), "HTTP/1.0 404 Not Found\r\n"},
		"a chunk's size":     {AppendChunkSize(nil, 255), "ff\r\n"},
		"a chunk":            {AppendChunk(nil, []byte("hello")), "5\r\nhello\r\n"},
		"the last chunk":     {AppendLastChunk(nil, nil), "0\r\n\r\n"},
		"it, with a trailer": {AppendLastChunk(nil, Fields{{Name: "A", Value: "b"}, {Name: "C", Dropped: true}}), "0\r\nA: b\r\n\r\n"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

func TestWritable_IsWhatStandsInOneLine(t *testing.T) {
	for _, c := range []struct {
		name, value string
		ok          bool
	}{
		{"A", "b", true}, {"A", "", true}, {"A", "\xe4\tb", true}, {"", "b", false}, {"A:", "b", false}, {"A b", "c", false},
		{"A", "b\r\nC: d", false}, {"A", "b\n", false}, {"A", "\x00", false}, {"A\r\n", "b", false},
	} {
		if got := Writable(c.name, c.value); got != c.ok {
			t.Errorf("%q: %q: %v", c.name, c.value, got)
		}
	}
}

// some is a text of these letters.
func some(random *rand.Rand, letters string, least, most int) string {
	var b strings.Builder
	for range least + random.IntN(most-least+1) {
		b.WriteByte(letters[random.IntN(len(letters))])
	}
	return b.String()
}

// what a field is made of in these tests; none of them means anything to an exchange.
func randomFields(random *rand.Rand) Fields {
	const tokens, values = "aBc-_09!#$%&'*+.^`|~", "ab \t,;=\"\x80\xff:{}()/\\"
	var all Fields
	for range random.IntN(8) {
		name := "q" + some(random, tokens, 0, 12)
		all = append(all, Field{Name: name, Value: strings.Trim(some(random, values, 0, 30), " \t"), Known: KnownAs(name)})
	}
	return all
}

func TestParseRequest_ReadsBackWhatIsWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		want := &Request{
			Method: some(random, "GETpost-!~", 1, 8), Version: HTTP11, Host: "h" + some(random, "a.-1", 0, 5),
			Path: "/" + some(random, "ab/.%25~\xe4", 0, 10), Query: some(random, "a=&?%\xff", 0, 6), HasQuery: true,
		}
		want.Target = want.Path + "?" + want.Query
		want.Fields = append(Fields{{Name: "Host", Value: want.Host, Known: Host}}, randomFields(random)...)
		raw := append(AppendFields([]byte(want.Method+" "+want.Target+" HTTP/1.1\r\n"), want.Fields), "\r\n"...)
		got, err := parse(string(raw))
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-written +read):\n%s", raw, diff)
		}
	}
}

func TestParseResponse_ReadsBackWhatIsWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		want := &Response{Status: 200 + random.IntN(4)*100 + 5, Version: HTTP11, Reason: some(random, "OK \t\xe4", 0, 9), Length: -1, Close: true}
		want.Fields = append(Fields{}, randomFields(random)...)
		raw := AppendStatusLine(nil, want.Version, want.Status, want.Reason)
		raw = append(AppendFields(raw, want.Fields), "\r\n"...)
		got, err := parseAnswer(string(raw), false)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if got.Fields == nil {
			got.Fields = Fields{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-written +read):\n%s", raw, diff)
		}
	}
}

const usual = "POST /v1/chat/completions?stream=true HTTP/1.1\r\nHost: models.example.com:8080\r\nUser-Agent: client/1.0\r\n" +
	"Accept: text/event-stream\r\nAuthorization: Bearer abc\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n" +
	"X-Custom_Name: a\r\nX_Forwarded_For: 1\r\nTraceparent: 00-00000000000000000000000000000001-0000000000000001-01\r\nTE: trailers\r\n" +
	"Content-Length: 128\r\n\r\n"

func TestParse_AHeadCostsOneAllocation(t *testing.T) {
	raw, r := []byte(usual), &Request{}
	if n := testing.AllocsPerRun(100, func() {
		var end HeadEnd
		r.Reset()
		if n, err := end.Find(raw); n != len(raw) || err != nil || r.ParseRequest(raw) != nil {
			t.Fatal(err)
		}
		r.Fields.DropHopByHop()
	}); n != 1 {
		t.Errorf("a request: %v allocations", n)
	}
	raw, a := []byte(answer("HTTP/1.1 200 OK", "Connection: keep-alive", "Keep-Alive: timeout=5, max=9", "Content-Type: x", "Content-Length: 5")), &Response{}
	if n := testing.AllocsPerRun(100, func() {
		a.Reset()
		if err := a.ParseResponse(raw, false); err != nil {
			t.Fatal(err)
		}
		a.Fields.DropHopByHop()
	}); n != 1 {
		t.Errorf("an answer: %v allocations", n)
	}
}

func TestChunksAndWriting_AllocateNothing(t *testing.T) {
	body := AppendLastChunk(AppendChunk(nil, []byte("hello")), nil)
	fs, out := fields("A: b", "C: d"), make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		var c Chunks
		_, used, _ := c.Next(body, 100)
		if _, _, err := c.Next(body[used:], 100); err != nil || !c.Ended() {
			t.Fatal(err)
		}
		b := AppendLength(AppendFields(AppendStatusLine(out, HTTP11, 200, "OK"), fs), 5)
		_ = AppendLastChunk(AppendChunk(b, []byte("hello")), fs)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	raw, r := []byte(usual), &Request{}
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		var end HeadEnd
		r.Reset()
		if _, err := end.Find(raw); err != nil {
			b.Fatal(err)
		}
		if err := r.ParseRequest(raw); err != nil {
			b.Fatal(err)
		}
		r.Fields.DropHopByHop()
	}
}
