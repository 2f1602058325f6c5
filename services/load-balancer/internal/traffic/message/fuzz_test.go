package message

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// wide is room for whatever a fuzzer makes, so that net/http's own bounds are not met.
const wide = 64 << 10

// body is the request's or answer's body as this package reads it; false when it is faulty or not whole.
func body(t *testing.T, raw []byte, length int64, step int) (d decoded, ok bool) {
	t.Helper()
	switch {
	case length < 0:
		d = decode(t, raw, always(step), always(1+step*7%4096))
		return d, d.ended
	case int64(len(raw)) < length:
		return d, false
	}
	return decoded{data: string(raw[:length]), used: int(length), ended: true}, true
}

// refusedLater tells whether a request that net/http refuses is let pass here because whoever comes next
// refuses it, or because it means nothing.
func refusedLater(r *Request) bool {
	if r.Method == http.MethodConnect {
		return true // by its method
	}
	if _, err := routing.Normalise(r.Path); err != nil && r.Path != "*" {
		return true // by its path
	}
	return r.Fields.Has(Trailer) // which is passed on to nobody, and announces nothing that is believed
}

func FuzzRequest(f *testing.F) {
	for _, c := range refused {
		f.Add([]byte(c.raw))
	}
	f.Add([]byte(usual + strings.Repeat("x", 128)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = raw[EmptyLines(raw):]
		ours, fault := parse(string(raw))
		reader := bufio.NewReaderSize(bytes.NewReader(raw), wide)
		theirs, err := http.ReadRequest(reader)
		switch {
		case fault != nil:
			return // what is refused more may be
		case err != nil:
			if !refusedLater(ours) {
				t.Fatalf("net/http refuses what is taken here: %v", err)
			}
			return
		}
		if theirs.Method != ours.Method || theirs.RequestURI != ours.Target || theirs.ContentLength != ours.Length || theirs.Close != ours.Close {
			t.Errorf("%+v\n%+v", ours, theirs)
		}
		if ours.Version == HTTP10 != (theirs.ProtoMinor == 0) {
			t.Errorf("version %s, %s", ours.Version, theirs.Proto)
		}
		sameTarget(t, ours, theirs)
		sameFields(t, ours.Fields, theirs.Header)
		readsBack(t, ours)
		end := headEnd(raw)
		for _, step := range []int{1, 3, len(raw) + 1} {
			sameBody(t, ours.Length, raw[end:], step, theirs.Body, &theirs.Trailer, reader)
			if theirs, err = http.ReadRequest(reset(reader, raw)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func reset(reader *bufio.Reader, raw []byte) *bufio.Reader {
	reader.Reset(bytes.NewReader(raw))
	return reader
}

func headEnd(raw []byte) int {
	h := HeadEnd{lenient: true}
	n, _ := h.Find(raw)
	return n
}

// sameTarget: both would go to the same host, and ask for the same there.
func sameTarget(t *testing.T, ours *Request, theirs *http.Request) {
	t.Helper()
	if ours.Method == http.MethodConnect {
		return
	}
	if ours.Host != theirs.Host {
		t.Errorf("host %q, %q", ours.Host, theirs.Host)
	}
	path, err := url.PathUnescape(ours.Path)
	if want := theirs.URL.Path; err != nil || path != want && (want != "" || path != "/") {
		t.Errorf("path %q, %q (%v)", path, want, err)
	}
	if ours.Query != theirs.URL.RawQuery || ours.HasQuery != (theirs.URL.ForceQuery || theirs.URL.RawQuery != "") {
		t.Errorf("query %q %v, %q", ours.Query, ours.HasQuery, theirs.URL)
	}
	if ours.Scheme != theirs.URL.Scheme {
		t.Errorf("scheme %q, %q", ours.Scheme, theirs.URL.Scheme)
	}
}

// sameFields: every field that is passed on says the same to both. net/http takes some out.
func sameFields(t *testing.T, ours Fields, theirs http.Header) {
	t.Helper()
	values := map[string][]string{}
	for _, field := range ours {
		switch field.Known {
		case Host, ContentLength, TransferEncoding, Trailer, CacheControl:
			continue
		default:
		}
		name := textproto.CanonicalMIMEHeaderKey(field.Name)
		values[name] = append(values[name], field.Value)
	}
	for name, want := range values {
		if !slices.Equal(want, theirs[name]) {
			t.Errorf("%s: %q, %q", name, want, theirs[name])
		}
	}
}

// unfold takes away how folded lines are joined: net/http keeps a blank for each, also for empty ones.
func unfold(ours Fields, theirs http.Header) {
	one := func(value string) string { return strings.Join(strings.Fields(value), " ") }
	for i := range ours {
		ours[i].Value = one(ours[i].Value)
	}
	for _, values := range theirs {
		for i := range values {
			values[i] = one(values[i])
		}
	}
}

// readsBack: a head that is written as it was read is read as the same again.
func readsBack(t *testing.T, r *Request) {
	t.Helper()
	version := " HTTP/1.1\r\n"
	if r.Version == HTTP10 {
		version = " HTTP/1.0\r\n"
	}
	raw := []byte(r.Method + " " + r.Target + version)
	for _, field := range r.Fields {
		raw = AppendField(raw, field.Name, field.Value)
	}
	again, err := parse(string(append(raw, "\r\n"...)))
	if err != nil || again.Path != r.Path || again.Host != r.Host || again.Length != r.Length || again.Close != r.Close ||
		again.Upgrade != r.Upgrade || again.Expect != r.Expect || !slices.Equal(again.Fields, r.Fields) {
		t.Errorf("%+v\nis read back as\n%+v, %v", r, again, err)
	}
}

// sameBody: a body that is whole here is the same there, to the byte at which the next message begins.
func sameBody(t *testing.T, length int64, raw []byte, step int, theirs io.Reader, trailer *http.Header, reader *bufio.Reader) {
	t.Helper()
	got, err := io.ReadAll(theirs)
	ours, ok := body(t, raw, length, step)
	switch {
	case !ok:
		return
	case err != nil:
		t.Fatalf("by %d: net/http refuses a body that is taken here: %v", step, err)
	}
	if ours.data != string(got) {
		t.Errorf("by %d: body %q, %q", step, ours.data, got)
	}
	if rest, _ := io.ReadAll(reader); length != 0 && len(raw)-ours.used != len(rest) {
		t.Errorf("by %d: %d bytes are left, %d", step, len(raw)-ours.used, len(rest))
	}
	values := map[string][]string{}
	for _, field := range ours.trailer {
		name := textproto.CanonicalMIMEHeaderKey(field.Name)
		values[name] = append(values[name], field.Value)
	}
	for name, want := range values {
		if !slices.Equal(want, (*trailer)[name]) {
			t.Errorf("by %d: trailer %s: %q, %q", step, name, want, (*trailer)[name])
		}
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte(answer("HTTP/1.1 200 OK", "Content-Length: 5")+"hello"), false)
	f.Add([]byte(answer("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")+"5\r\nhello\r\n0\r\nA: b\r\n\r\n"), false)
	f.Add([]byte(answer("HTTP/1.0 404 Not Found", "A: b", " c")+"to the end"), true)
	f.Fuzz(func(t *testing.T, raw []byte, toHead bool) {
		ours, fault := parseAnswer(string(raw), toHead)
		request := &http.Request{Method: http.MethodGet}
		if toHead {
			request.Method = http.MethodHead
		}
		reader := bufio.NewReaderSize(bytes.NewReader(raw), wide)
		theirs, err := http.ReadResponse(reader, request)
		if fault != nil || err != nil {
			return // each takes what the other does not
		}
		unfold(ours.Fields, theirs.Header)
		if theirs.StatusCode != ours.Status || theirs.Close && !ours.Close {
			t.Errorf("%+v\n%+v", ours, theirs)
		}
		sameFields(t, ours.Fields, theirs.Header)
		if ours.Chunked && ours.Version == HTTP10 {
			return // net/http passes the frame on as if it were the body
		}
		rest := raw[headEnd(raw):]
		if ours.Length < 0 && !ours.Chunked {
			ours.Length = int64(len(rest))
		}
		sameBody(t, ours.Length, rest, 5, theirs.Body, &theirs.Trailer, reader)
	})
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 1)
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\nrest"), 3)
	f.Fuzz(func(t *testing.T, raw []byte, step int) {
		step = 1 + max(step, 0)%(len(raw)+1)
		atOnce, inSteps := decode(t, raw, always(len(raw)+1), always(wide)), decode(t, raw, always(step), always(step))
		if atOnce.data != inSteps.data || atOnce.ended != inSteps.ended || (atOnce.err == "") != (inSteps.err == "") {
			t.Fatalf("at once %+v, by %d %+v", atOnce, step, inSteps)
		}
		whole := append([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"), raw...)
		reader := bufio.NewReaderSize(bytes.NewReader(whole), wide)
		theirs, err := http.ReadRequest(reader)
		if err != nil {
			t.Fatal(err)
		}
		sameBody(t, -1, raw, step, theirs.Body, &theirs.Trailer, reader)
	})
}
