package accesslog

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
)

var options = NewOptions(Origin{Balancer: "lb-1", Version: "0.2.0", Namespace: "default"}, []string{"page", "lang"})

// full is a record with everything in it.
func full() Record {
	return Record{
		ArrivedAt: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600)), Took: 1_234_567_890, Waited: 1_200_000 * time.Microsecond,
		FirstByte: 1_210_500 * time.Microsecond, Upstream: 34 * time.Millisecond,
		Method: "POST", Scheme: "https", Host: "shop.example:8443", Path: "/shop/chat", Query: "page=2&token=abc", Version: "1.1",
		RequestID: "req-1", UserAgent: "curl/8", Referrer: "https://u:p@shop.example/a?session=1&page=3#frag", RequestType: "Application/JSON; charset=utf-8",
		RequestHeaders: []Header{{"accept-language", []string{"de", "en"}}}, Client: "192.0.2.7", Peer: "10.0.0.9", PeerPort: 4711,
		Application: Application{Namespace: "default", Deployment: "shop"}, Pod: "shop-1", Address: "10.1.2.3:8080", PodPath: "/chat",
		Policy: "its turn", Tries: 2, WakeUp: "4bf92f3577b34da6a3ce929d0e0e4736", Uncounted: true,
		Status: 200, ResponseType: "text/event-stream", ResponseHeaders: []Header{{"location", []string{"/next?secret=1"}}},
		RequestBytes: 12, ResponseBytes: 3456, GenAI: genai.Facts{Model: "llama", InputTokens: 9, OutputTokens: 12},
		TraceID: [16]byte{0x4b, 0xf9, 15: 1}, SpanID: [8]byte{0, 0xf0, 7: 2}, SampleRate: 0.25,
	}
}

const fullDocument = `{
 "@timestamp": "2026-01-02T02:04:05.678901234Z", "ecs": {"version": "9.0.0"},
 "data_stream": {"type": "logs", "dataset": "nemesis.access", "namespace": "default"},
 "host": {"name": "lb-1"}, "service": {"name": "load-balancer", "version": "0.2.0", "node": {"name": "lb-1"}},
 "event": {"kind": "event", "category": ["web"], "type": ["access"], "dataset": "nemesis.access", "id": "x.1", "action": "proxied", "outcome": "success",
  "start": "2026-01-02T02:04:05.678901234Z", "end": "2026-01-02T02:04:06.913469124Z", "duration": 1234567890},
 "message": "POST /shop/chat 200",
 "http": {"version": "1.1",
  "request": {"id": "req-1", "method": "POST", "mime_type": "application/json", "referrer": "https://shop.example/a?session=REDACTED&page=3",
   "body": {"bytes": 12}, "headers": {"accept-language": ["de", "en"]}},
  "response": {"status_code": 200, "mime_type": "text/event-stream", "body": {"bytes": 3456}, "headers": {"location": ["/next?secret=REDACTED"]}}},
 "url": {"original": "/shop/chat?page=2&token=REDACTED", "path": "/shop/chat", "query": "page=2&token=REDACTED", "domain": "shop.example", "port": 8443, "scheme": "https"},
 "client": {"address": "192.0.2.7", "ip": "192.0.2.7"}, "source": {"address": "10.0.0.9", "ip": "10.0.0.9", "port": 4711},
 "destination": {"address": "10.1.2.3", "ip": "10.1.2.3", "port": 8080}, "user_agent": {"original": "curl/8"},
 "kubernetes": {"namespace": "default", "deployment": {"name": "shop"}, "pod": {"name": "shop-1"}},
 "trace": {"id": "4bf90000000000000000000000000001"}, "span": {"id": "00f0000000000002"},
 "gen_ai": {"response": {"model": "llama"}, "usage": {"input_tokens": 9, "output_tokens": 12}},
 "nemesis": {"application": "default/shop", "target": "http://10.1.2.3:8080/chat", "policy": "its turn", "tries": 2,
  "wakeup": {"id": "4bf92f3577b34da6a3ce929d0e0e4736"}, "uncounted": true, "sample_rate": 0.25,
  "latency": {"ms": 1234.567}, "wait": {"ms": 1200}, "upstream": {"ms": 34}, "time_to_first_byte": {"ms": 1210.5}}
}`

// parsed is an entry's document; its form is checked as the spool and Elasticsearch need it.
func parsed(t *testing.T, entry []byte, id string) map[string]any {
	t.Helper()
	action, document, ok := bytes.Cut(entry, []byte("\n"))
	if !ok || !bytes.HasSuffix(document, []byte("\n")) || bytes.Count(entry, []byte("\n")) != 2 || !utf8.Valid(entry) {
		t.Fatalf("these are not two lines of UTF-8: %q", entry)
	}
	var what map[string]map[string]string
	if err := json.Unmarshal(action, &what); err != nil {
		t.Fatalf("%v: %s", err, action)
	}
	want := map[string]map[string]string{"create": {"_index": "logs-nemesis.access-default", "_id": id}}
	if !bytes.HasPrefix(action, []byte(`{"create":`)) || !cmp.Equal(what, want) {
		t.Fatalf("the first line is %s", action)
	}
	var d map[string]any
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatalf("%v: %s", err, document)
	}
	return d
}

func TestAppendEntry_WritesWhatIsKnown(t *testing.T) {
	var want map[string]any
	if err := json.Unmarshal([]byte(fullDocument), &want); err != nil {
		t.Fatal(err)
	}
	r := full()
	entry := AppendEntry([]byte("before"), "x.1", &r, options)
	if got := parsed(t, bytes.TrimPrefix(entry, []byte("before")), "x.1"); !cmp.Equal(got, want) {
		t.Errorf("(-want +got)\n%s", cmp.Diff(want, got))
	}
}

// describe is the document once more, as the table of fields has it: independent of how it is
// written. Texts are shorter than their bounds, and queries have nothing that is redacted.
func describe(id string, r *Record) map[string]any {
	d := map[string]any{}
	put := func(field string, value any) {
		switch v := value.(type) {
		case string:
			if v == "" {
				return
			}
			value = string([]rune(v)) // what is no UTF-8 becomes U+FFFD
		case time.Duration:
			if v == 0 {
				return
			}
			value = float64(v.Microseconds()) / 1000
		}
		names := strings.Split(field, ".")
		at := d
		for _, name := range names[:len(names)-1] {
			if at[name] == nil {
				at[name] = map[string]any{}
			}
			at = at[name].(map[string]any)
		}
		at[names[len(names)-1]] = value
	}
	known := func(field string, n int64) {
		if n != 0 {
			put(field, n)
		}
	}
	status := r.Status
	action, outcome, trouble := "proxied", "success", ""
	if r.Error != "" {
		trouble, outcome = "cut-off", "failure"
	}
	if status == 0 {
		status, action, trouble = 499, "abandoned", "client-gone"
	}
	if status >= 400 {
		outcome = "failure"
	}
	if r.Refusal != "" {
		action, trouble = "refused", r.Refusal
	}
	stamp := r.ArrivedAt.UTC().Format(time.RFC3339Nano)
	for field, value := range map[string]any{
		"@timestamp": stamp, "ecs.version": "9.0.0", "data_stream.type": "logs", "data_stream.dataset": "nemesis.access", "data_stream.namespace": "default",
		"host.name": "lb-1", "service.name": "load-balancer", "service.version": "0.2.0", "service.node.name": "lb-1",
		"event.kind": "event", "event.category": []string{"web"}, "event.type": []string{"access"}, "event.dataset": "nemesis.access", "event.id": id,
		"event.action": action, "event.outcome": outcome, "event.start": stamp, "event.end": r.ArrivedAt.Add(r.Took).UTC().Format(time.RFC3339Nano), "event.duration": int64(r.Took),
		"message":      string([]rune(r.Method)) + " " + string([]rune(r.Path)) + " " + string(rune('0'+status/100)) + string(rune('0'+status/10%10)) + string(rune('0'+status%10)),
		"http.version": r.Version, "http.request.id": r.RequestID, "http.request.method": r.Method, "http.request.body.bytes": r.RequestBytes,
		"http.response.status_code": status, "url.path": r.Path, "url.query": r.Query, "url.scheme": r.Scheme,
		"client.address": r.Client, "source.address": r.Peer, "user_agent.original": r.UserAgent,
		"kubernetes.namespace": r.Application.Namespace, "kubernetes.deployment.name": r.Application.Deployment, "kubernetes.pod.name": r.Pod,
		"error.type": trouble, "error.message": r.Error, "gen_ai.response.model": r.GenAI.Model,
		"nemesis.target": r.Target(), "nemesis.policy": r.Policy, "nemesis.tries": r.Tries, "nemesis.wakeup.id": r.WakeUp, "nemesis.refusal": r.Refusal,
		"nemesis.latency.ms": r.Took, "nemesis.wait.ms": r.Waited, "nemesis.upstream.ms": r.Upstream, "nemesis.time_to_first_byte.ms": r.FirstByte,
	} {
		put(field, value)
	}
	if r.Status != 0 && r.Refusal == "" {
		put("http.response.body.bytes", r.ResponseBytes)
	}
	if r.Path != "" && r.Query != "" {
		put("url.original", r.Path+"?"+r.Query)
	} else {
		put("url.original", r.Path)
	}
	host := netip.MustParseAddrPort(r.Host) // here always one
	put("url.domain", strings.TrimSuffix(r.Host, ":8080"))
	put("url.port", int(host.Port()))
	for field, address := range map[string]string{"client": r.Client, "source": r.Peer} {
		if ip, err := netip.ParseAddr(address); err == nil {
			put(field+".ip", ip.Unmap().WithZone("").String())
		}
	}
	known("source.port", int64(r.PeerPort))
	if r.Client == r.Peer {
		known("client.port", int64(r.PeerPort))
	}
	if r.Address != "" {
		pod := netip.MustParseAddrPort(r.Address)
		put("destination.address", pod.Addr().String())
		put("destination.ip", pod.Addr().String())
		put("destination.port", pod.Port())
	}
	if r.Application.Deployment != "" {
		put("nemesis.application", r.Application.String())
	}
	for side, all := range map[string][]Header{"request": r.RequestHeaders, "response": r.ResponseHeaders} {
		for _, h := range all {
			values := []string{}
			for _, v := range h.Values {
				values = append(values, string([]rune(v)))
			}
			put("http."+side+".headers."+h.Name, values)
		}
	}
	known("gen_ai.usage.input_tokens", r.GenAI.InputTokens)
	known("gen_ai.usage.output_tokens", r.GenAI.OutputTokens)
	if r.TraceID != [16]byte{} {
		put("trace.id", hex.EncodeToString(r.TraceID[:]))
	}
	if r.SpanID != [8]byte{} {
		put("span.id", hex.EncodeToString(r.SpanID[:]))
	}
	if r.Uncounted {
		put("nemesis.uncounted", true)
	}
	rate := r.SampleRate
	if rate == 0 {
		rate = 1
	}
	put("nemesis.sample_rate", rate)
	return d
}

// some is a record of any content.
func some(random *rand.Rand) Record {
	bytesOf := func() string {
		b := make([]byte, random.IntN(20))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return string(b)
	}
	text := func() string {
		switch random.IntN(4) {
		case 0:
			return ""
		case 1:
			return bytesOf()
		}
		all := []string{"a", "\"", "\\", "\n", "\x00", "\x7f", "é", "\u2028", "😀", "</script>", "\xed\xa0\x80", "\xff"}
		var b strings.Builder
		for range 1 + random.IntN(9) {
			b.WriteString(all[random.IntN(len(all))])
		}
		return b.String()
	}
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	amount := func() int64 { return max(0, random.Int64N(1<<random.IntN(50)+1)-1) }
	span := func() time.Duration { return time.Duration(random.Int64N(1<<random.IntN(40)+1)) * time.Microsecond }
	headers := func() []Header {
		var all []Header
		for _, name := range []string{"x-one", "x-two"}[:random.IntN(3)] {
			all = append(all, Header{name, []string{text(), text()}[:random.IntN(3)]})
		}
		return all
	}
	r := Record{
		ArrivedAt: time.Unix(random.Int64N(1<<32), random.Int64N(1e9)), Took: time.Duration(amount()), Waited: span(), FirstByte: span(), Upstream: span(),
		Method: text(), Scheme: pick("", "http", "https"), Host: pick("10.0.0.1:8080", "[2001:db8::1]:8080"), Path: text(), Query: pick("", "page=1", "lang=de&page="),
		Version: pick("1.0", "1.1", ""), RequestID: text(), UserAgent: text(), RequestHeaders: headers(),
		Client: pick("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0", "@", text()), PeerPort: uint16(random.Uint32()),
		Application: Application{Namespace: pick("", "default"), Deployment: pick("", "fib")}, Pod: pick("", "fib-1"),
		Address: pick("", "10.0.0.2:80", "[2001:db8::2]:80"), PodPath: "/" + text(), Policy: text(), Tries: random.IntN(3), WakeUp: text(),
		Status: []int{0, 101, 200, 304, 404, 500, 503}[random.IntN(7)], ResponseHeaders: headers(), RequestBytes: amount(), ResponseBytes: amount(),
		GenAI: genai.Facts{Model: text(), InputTokens: amount(), OutputTokens: amount()}, Refusal: pick("", "", "too-large"), Error: text(),
		SampleRate: []float64{0, 1, 0.1, 1e-9}[random.IntN(4)], Uncounted: random.IntN(4) == 0,
	}
	r.Peer = pick(r.Client, "10.0.0.1")
	if random.IntN(2) == 0 {
		r.TraceID[random.IntN(16)], r.SpanID[random.IntN(8)] = byte(random.Uint32()), byte(random.Uint32())
	}
	return r
}

func TestAppendEntry_IsWhatTheTableOfFieldsSays(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var buffer []byte
	for n := range 5000 {
		r := some(random)
		buffer = AppendEntry(buffer[:0], "e.1", &r, options)
		got := parsed(t, buffer, "e.1")
		text, err := json.Marshal(describe("e.1", &r))
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(want, got) {
			t.Fatalf("record %d, %+v (-want +got)\n%s", n, r, cmp.Diff(want, got))
		}
	}
}

// lossy are the parts of a record that a document does not bring back.
var lossy = cmpopts.IgnoreFields(Record{}, "RequestHeaders", "ResponseHeaders", "RequestType", "ResponseType", "Referrer")

func TestDecode_BringsBackWhatWasWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		want := some(random)
		_, line, _ := bytes.Cut(AppendEntry(nil, "e.1", &want, options), []byte("\n"))
		got, err := Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		again := AppendEntry(nil, "e.1", &got.Record, options)
		second, err := Decode(again[bytes.IndexByte(again, '\n'):])
		if err != nil || !cmp.Equal(got, second) {
			t.Fatalf("read back and written again it is another one: %v\n%s", err, cmp.Diff(got, second))
		}
		for _, s := range []*string{&want.Method, &want.Path, &want.RequestID, &want.UserAgent, &want.Client, &want.Peer, &want.PodPath, &want.Policy, &want.WakeUp, &want.GenAI.Model, &want.Error} {
			*s = string([]rune(*s))
		}
		want.ArrivedAt, want.SampleRate = want.ArrivedAt.UTC(), want.rate()
		if want.Address == "" {
			want.PodPath = ""
		}
		if want.Status == 0 && want.Refusal != "" {
			want.Status = GoneStatus
		}
		if want.Status == 0 || want.Refusal != "" {
			want.ResponseBytes = 0
		}
		if !cmp.Equal(Entry{"e.1", want}, got, lossy) {
			t.Fatalf("(-want +got)\n%s", cmp.Diff(Entry{"e.1", want}, got, lossy))
		}
	}
}

func TestDecode_KnowsWhatIsNoneOfItsDocuments(t *testing.T) {
	for line, want := range map[string]error{
		`{"event":{"dataset":"nemesis.scaling","id":"1"}}`: ErrOtherDataset, `{}`: ErrOtherDataset, `{"event":{"dataset":"nemesis.access","id":"1"`: nil, ``: nil, `[]`: nil,
	} {
		_, err := Decode([]byte(line))
		if err == nil || want != nil && err != want { //nolint:errorlint // it is not wrapped
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAppendEntry_BoundsEveryTextAtAWholeCharacter(t *testing.T) {
	for _, before := range []string{"", "x", "xx"} {
		r := full()
		big := before + strings.Repeat("€", 100_000)
		for _, s := range []*string{
			&r.Method, &r.Scheme, &r.Host, &r.Path, &r.Query, &r.Version, &r.RequestID, &r.UserAgent, &r.Referrer, &r.RequestType, &r.Client, &r.Peer,
			&r.Application.Namespace, &r.Application.Deployment, &r.Pod, &r.Address, &r.PodPath, &r.Policy, &r.WakeUp, &r.ResponseType, &r.GenAI.Model, &r.Refusal, &r.Error,
		} {
			*s = big
		}
		values := make([]string, 1000)
		for i := range values {
			values[i] = big
		}
		r.RequestHeaders, r.ResponseHeaders = []Header{{"x-one", values}}, []Header{{"location", values}}
		entry := AppendEntry(nil, "e.1", &r, options)
		if len(entry) > 32<<10 || bytes.Contains(entry, []byte("\uFFFD")) {
			t.Errorf("%d bytes, or a character cut in two", len(entry))
		}
		if path := parsed(t, entry, "e.1")["url"].(map[string]any)["path"].(string); len(path) > maxPath || len(path) < maxPath-2 {
			t.Errorf("a path of %d bytes", len(path))
		}
	}
}

func TestAppendEntry_AllocatesNothing(t *testing.T) {
	r, buffer := full(), make([]byte, 0, 16<<10)
	if n := testing.AllocsPerRun(100, func() { AppendEntry(buffer, "abcdef.1", &r, options) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMatcher_TellsTheSameOfARecordReadBack(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	queries := []Query{
		{Namespace: "default"}, {Deployment: "fib"}, {Status: 4}, {Status: 499}, {Status: 200}, {Client: netip.MustParseAddr("192.0.2.1")},
		{Since: time.Unix(1<<31, 0)}, {Until: time.Unix(1<<31, 0)}, {Text: "10.0.0.2:80/"}, {Text: "é"}, {},
	}
	seen := map[bool]int{}
	for range 2000 {
		r := some(random)
		_, line, _ := bytes.Cut(AppendEntry(nil, "e.1", &r, options), []byte("\n"))
		e, err := Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			fresh, back := q.Matcher().Match(&r), q.Matcher().Match(&e.Record)
			if fresh != back {
				t.Fatalf("%+v: %v, and %v of what was read back of %+v", q, fresh, back, r)
			}
			seen[fresh]++
		}
	}
	if seen[true] < 1000 || seen[false] < 1000 {
		t.Errorf("too few of one kind: %v", seen)
	}
}

func FuzzAppendEntry(f *testing.F) {
	f.Add("GET", "/a", "x=1&page=2", "shop:80", "https://a:b@c/d?e=f#g", "de\x00\xff", "192.0.2.1")
	f.Add("", "", "&&==;", "[::1]:x", "//u@h", "\xed\xa0\x80", "fe80::1%a\"b")
	f.Fuzz(func(t *testing.T, method, path, query, host, referrer, value, client string) {
		r := Record{
			Method: method, Path: path, Query: query, Host: host, Referrer: referrer, RequestHeaders: []Header{{"referer", []string{referrer, value}}, {"x", []string{value}}},
			Client: client, Peer: client, RequestID: value, UserAgent: value, RequestType: value, ResponseType: value, Pod: value, Address: host, PodPath: path,
			Policy: value, WakeUp: value, Refusal: value, Error: value, GenAI: genai.Facts{Model: value},
		}
		entry := AppendEntry(nil, value, &r, options)
		action, line, _ := bytes.Cut(entry, []byte("\n"))
		if !json.Valid(action) || !json.Valid(line) || !utf8.Valid(entry) || bytes.Count(entry, []byte("\n")) != 2 {
			t.Fatalf("%q", entry)
		}
		if _, err := Decode(line); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	})
}

func FuzzDecode(f *testing.F) {
	r := full()
	_, line, _ := bytes.Cut(AppendEntry(nil, "x.1", &r, options), []byte("\n"))
	f.Add(line)
	f.Add([]byte(`{"event":{"dataset":"nemesis.access"},"trace":{"id":"zz"},"nemesis":{"target":"http://"}}`))
	f.Fuzz(func(_ *testing.T, line []byte) {
		if e, err := Decode(line); err == nil {
			AppendEntry(nil, e.ID, &e.Record, options)
			(Query{Text: "x"}).Matcher().Match(&e.Record)
		}
	})
}

func BenchmarkAppendEntry(b *testing.B) {
	plain := full()
	plain.Waited, plain.WakeUp, plain.GenAI, plain.RequestHeaders, plain.ResponseHeaders = 0, "", genai.Facts{}, nil, nil
	plain.UserAgent, plain.Referrer = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", ""
	for name, r := range map[string]Record{"usual": plain, "full": full()} {
		b.Run(name, func(b *testing.B) {
			buffer := make([]byte, 0, 16<<10)
			b.ReportAllocs()
			for b.Loop() {
				buffer = AppendEntry(buffer[:0], "3k5h2v9c.dz7q1w2e3r4t.1z", &r, options)
			}
			b.ReportMetric(float64(len(buffer)), "bytes")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	r := full()
	_, line, _ := bytes.Cut(AppendEntry(nil, "x.1", &r, options), []byte("\n"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(line); err != nil {
			b.Fatal(err)
		}
	}
}
