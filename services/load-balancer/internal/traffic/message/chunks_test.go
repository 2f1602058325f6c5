package message

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decoded is what came of a chunked body.
type decoded struct {
	data    string
	used    int // bytes of the input that were done with
	ended   bool
	err     string
	trailer Fields
}

// decode takes a body apart that comes in pieces of so many bytes, and is read into space for so many.
// What was used is gone then, as it is from a connection's buffer.
func decode(t *testing.T, raw []byte, step func() int, most func() int) (d decoded) {
	t.Helper()
	var c Chunks
	var out bytes.Buffer
	come := 0
	for {
		room := most()
		data, used, err := c.Next(raw[d.used:come], room)
		if len(data) > room {
			t.Fatalf("%d bytes of data for %d bytes of room", len(data), room)
		}
		out.Write(data)
		if d.used += used; d.used > come {
			t.Fatalf("%d of %d bytes are used", d.used, come)
		}
		if err != nil {
			again, none, same := c.Next(raw[d.used:come], room)
			if same == nil || len(again) != 0 || none != 0 || c.Ended() {
				t.Fatalf("asked again after %v: %q, %d, %v", err, again, none, same)
			}
			d.err = err.Error()
			break
		}
		if c.Ended() {
			d.ended, d.trailer = true, c.Trailer
			break
		}
		if len(data) > 0 || used > 0 {
			continue
		}
		if come == len(raw) {
			break
		}
		come = min(come+step(), len(raw))
	}
	d.data = out.String()
	return d
}

func always(n int) func() int { return func() int { return n } }

func TestChunks_AreTakenApartTheSameHoweverTheyCome(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want decoded
	}{
		"nothing":              {"0\r\n\r\n", decoded{ended: true}},
		"one":                  {"5\r\nhello\r\n0\r\n\r\n", decoded{data: "hello", ended: true}},
		"several":              {"5\r\nhello\r\nA\r\n, worldly.\r\n1\r\n!\r\n0\r\n\r\n", decoded{data: "hello, worldly.!", ended: true}},
		"capitals and zeros":   {"000b\r\n01234567890\r\n0B\r\n01234567890\r\n00\r\n\r\n", decoded{data: "0123456789001234567890", ended: true}},
		"extensions":           {"1;a\r\nx\r\n1;a=b;c=\"d;e\" \t\r\ny\r\n0;f\r\n\r\n", decoded{data: "xy", ended: true}},
		"data like a frame":    {"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", decoded{data: "\r\n0\r\n\r\n", ended: true}},
		"what follows is left": {"1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", decoded{data: "x", ended: true}},
		"a trailer":            {"0\r\nA: b\r\nHost: h\r\n\r\nGET", decoded{ended: true, trailer: Fields{{Name: "A", Value: "b"}, {Name: "Host", Value: "h", Known: Host, Dropped: true}}}},
		"half a size":          {"1", decoded{}},
		"half a line":          {"5\r\nhello\r\n0\r", decoded{data: "hello"}},
		"half the data":        {"5\r\nhel", decoded{data: "hel"}},
		"half a trailer":       {"0\r\nA: b\r\n", decoded{}},
		"no end":               {"0\r\n", decoded{}},
	} {
		for step := 1; step <= len(c.raw); step++ {
			for _, most := range []int{1, 2, 7, 1 << 20} {
				got := decode(t, []byte(c.raw), always(step), always(most))
				want := c.want
				want.used = got.used
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(decoded{})); diff != "" {
					t.Fatalf("%s, by %d into %d (-want +got):\n%s", name, step, most, diff)
				}
				if rest, _, _ := strings.Cut(c.raw, "GET"); got.ended && got.used != len(rest) {
					t.Errorf("%s, by %d into %d: %d bytes were used", name, step, most, got.used)
				}
			}
		}
	}
}

func TestChunks_RefuseWhatCouldBeReadInTwoWaysHoweverItComes(t *testing.T) {
	for name, c := range map[string]struct{ raw, part string }{
		"no size":                          {"\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a sign":                           {"+5\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a minus":                          {"-5\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a prefix":                         {"0x5\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a blank before it":                {" 5\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a blank behind it":                {"5 \r\nhello\r\n0\r\n\r\n", "chunk"},
		"a blank before an extension":      {"5 ;a\r\nhello\r\n0\r\n\r\n", "chunk"},
		"two sizes":                        {"5,5\r\nhello\r\n0\r\n\r\n", "chunk"},
		"an underscore":                    {"1_0\r\nhello\r\n0\r\n\r\n", "chunk"},
		"another letter":                   {"g\r\nhello\r\n0\r\n\r\n", "chunk"},
		"an extension that is none":        {"5 a\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a control in an extension":        {"5;a=\x00\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a CR in an extension":             {"5;a\rb\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a CR behind the size":             {"5\r\r\nhello\r\n0\r\n\r\n", "chunk"},
		"a bare LF behind the size":        {"5\nhello\r\n0\r\n\r\n", "chunk"},
		"a bare LF behind an extension":    {"5;a\nhello\r\n0\r\n\r\n", "chunk"},
		"a bare LF at the last chunk":      {"0\n\r\n", "chunk"},
		"a bare LF behind the data":        {"5\r\nhello\n0\r\n\r\n", "chunk"},
		"a bare CR behind the data":        {"5\r\nhello\r0\r\n\r\n", "chunk"},
		"more data than said":              {"5\r\nhello!\r\n0\r\n\r\n", "chunk"},
		"less data than said":              {"5\r\nhell\r\n0\r\n\r\n", "chunk"},
		"17 digits":                        {"00000000000000005\r\nhello\r\n0\r\n\r\n", "chunk"},
		"more than can be counted":         {"ffffffffffffffff\r\n", "chunk"},
		"a size that never ends":           {strings.Repeat("0", 5000), "chunk"},
		"an extension that is too long":    {"5;" + strings.Repeat("a", maxChunkLine) + "\r\nhello\r\n0\r\n\r\n", "chunk"},
		"one that never ends":              {"5;" + strings.Repeat("a", maxChunkLine+1), "chunk"},
		"extensions that outgrow the data": {strings.Repeat("1;"+strings.Repeat("a", 4000)+"\r\nx\r\n", 5) + "0\r\n\r\n", "chunk"},
		"a bare LF at the end":             {"0\r\n\n", "line end"},
		"a bare LF in the trailer":         {"0\r\nA: b\nC: d\r\n\r\n", "line end"},
		"a bare LF behind the trailer":     {"0\r\nA: b\r\n\n", "line end"},
		"a request in place of a trailer":  {"0\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "field line"},
		"a folded trailer":                 {"0\r\nA: b\r\n c\r\n\r\n", "field line"},
		"a space before the colon":         {"0\r\nA : b\r\n\r\n", "field name"},
		"a control in a trailer":           {"0\r\nA: \x01\r\n\r\n", "field value"},
		"too many trailers":                {"0\r\n" + strings.Repeat("A: b\r\n", MaxFields+1) + "\r\n", "head"},
		"a trailer that is too long":       {"0\r\nA: " + strings.Repeat("b", maxTrailer) + "\r\n\r\n", "trailer"},
		"one that does not end":            {"0\r\nA: " + strings.Repeat("b", maxTrailer), "trailer"},
	} {
		for _, step := range []int{1, 2, 3, 1000, 1 << 20} {
			d := decode(t, []byte(c.raw), always(step), always(1<<20))
			if d.ended || !strings.HasPrefix(d.err, c.part+": ") {
				t.Errorf("%s, by %d: ended %v, %q; want a fault of the %s", name, step, d.ended, d.err, c.part)
			}
		}
	}
}

func TestChunks_TakeAsMuchAsTheyMay(t *testing.T) {
	for name, raw := range map[string]string{
		"16 digits":            "0000000000000005\r\nhello\r\n0\r\n\r\n",
		"a long extension":     "5;" + strings.Repeat("a", maxChunkLine-5) + "\r\nhello\r\n0\r\n\r\n",
		"a long trailer":       "0\r\nA: " + strings.Repeat("b", maxTrailer-100) + "\r\n\r\n",
		"a byte at a time":     strings.Repeat("1\r\nx\r\n", 50_000) + "0\r\n\r\n",
		"extensions with data": strings.Repeat("800;"+strings.Repeat("a", 4000)+"\r\n"+strings.Repeat("x", 0x800)+"\r\n", 50) + "0\r\n\r\n",
	} {
		if d := decode(t, []byte(raw), always(4096), always(4096)); !d.ended || d.err != "" {
			t.Errorf("%s: ended %v, %q", name, d.ended, d.err)
		}
	}
}

func TestChunks_AReaderMayTakeDataPastThem(t *testing.T) {
	var c Chunks
	if c.Left() != 0 {
		t.Error("data is left before the first chunk")
	}
	data, used, err := c.Next([]byte("a\r\n01"), 100)
	if string(data) != "01" || used != 5 || err != nil || c.Left() != 8 {
		t.Fatalf("%q, %d, %v, %d left", data, used, err, c.Left())
	}
	c.Took(3)
	if c.Left() != 5 {
		t.Errorf("%d left", c.Left())
	}
	c.Took(5)
	if c.Left() != 0 {
		t.Errorf("%d left", c.Left())
	}
	if data, used, err = c.Next([]byte("\r\n0\r\n\r\nrest"), 100); len(data) != 0 || used != 7 || err != nil || !c.Ended() {
		t.Errorf("%q, %d, %v, ended %v", data, used, err, c.Ended())
	}
	if data, used, err = c.Next([]byte("rest"), 100); len(data) != 0 || used != 0 || err != nil {
		t.Errorf("after the end: %q, %d, %v", data, used, err)
	}
}

func TestChunks_WithoutRoomTheFrameIsReadAlone(t *testing.T) {
	var c Chunks
	if data, used, err := c.Next([]byte("1\r\nx"), 0); len(data) != 0 || used != 3 || err != nil || c.Left() != 1 {
		t.Fatalf("%q, %d, %v", data, used, err)
	}
	if data, used, err := c.Next([]byte("x"), 1); string(data) != "x" || used != 1 || err != nil {
		t.Fatalf("%q, %d, %v", data, used, err)
	}
	if _, used, err := c.Next([]byte("\r\n0\r\n\r\n"), 0); used != 7 || err != nil || !c.Ended() {
		t.Errorf("%d, %v, ended %v", used, err, c.Ended())
	}
}

// What is written is read back, whatever its parts are and however it comes.
func TestAppendChunk_IsReadBackAsItWas(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var raw, want []byte
		for range random.IntN(6) {
			part := bytes.Repeat([]byte("\r\n0;x")[random.IntN(5):], 1+random.IntN(2000))
			raw, want = AppendChunk(raw, part), append(want, part...)
		}
		trailer := Fields{{Name: "A", Value: "b"}, {Name: "Gone", Value: "x", Dropped: true}, {Name: "C"}}[:random.IntN(4)]
		raw = append(AppendLastChunk(raw, trailer), "GET / HTTP/1.1\r\n"...)
		some := func(n int) func() int { return func() int { return 1 + random.IntN(n) } }
		d := decode(t, raw, some(3000), some(5000))
		if !d.ended || d.data != string(want) || d.used != len(raw)-len("GET / HTTP/1.1\r\n") || d.err != "" {
			t.Fatalf("ended %v, %d bytes of %d, %d used of %d, %q", d.ended, len(d.data), len(want), d.used, len(raw), d.err)
		}
		var kept Fields
		for _, f := range trailer {
			if !f.Dropped {
				kept = append(kept, f)
			}
		}
		if diff := cmp.Diff(kept, d.trailer); diff != "" {
			t.Fatalf("(-written +read):\n%s", diff)
		}
	}
}

// A byte that is changed anywhere in a body changes nothing silently: the same comes of every split.
func TestChunks_EveryByteInEveryPlaceComesToTheSameForEverySplit(t *testing.T) {
	const whole = "3;a=b\r\nabc\r\n0a\r\n0123456789\r\n0\r\nA: b\r\n\r\n"
	for at := range len(whole) {
		for c := range 256 {
			raw := []byte(whole)
			raw[at] = byte(c)
			at1, all := decode(t, raw, always(1), always(4)), decode(t, raw, always(len(raw)), always(100))
			if at1.data != all.data || at1.ended != all.ended || (at1.err == "") != (all.err == "") || at1.ended && at1.used != all.used {
				t.Fatalf("byte %#x at %d: by one %+v, at once %+v", c, at, at1, all)
			}
		}
	}
}

func TestChunks_AFaultNamesWhatIsAllowed(t *testing.T) {
	var c Chunks
	_, _, err := c.Next([]byte("x\r\n"), 1)
	if fault, ok := errors.AsType[*Error](err); !ok || fault.Part != "chunk" || fault.Allowed == "" {
		t.Errorf("%v", err)
	}
}
