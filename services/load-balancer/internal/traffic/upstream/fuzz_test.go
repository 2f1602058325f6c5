package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// caller is a client whose request has five bytes of body, or none, and who reads no answer.
type caller struct {
	asker
	trusted bool
}

func (c *caller) Peer() proxy.Peer {
	if c.trusted {
		return proxy.Peer{IP: netip.MustParseAddr("10.0.0.9"), Address: "10.0.0.9", Port: 1}
	}
	return proxy.Peer{IP: netip.MustParseAddr("192.0.2.1"), Address: "192.0.2.1", Port: 1}
}
func (c *caller) Crowded() (int, bool)           { return 0, false }
func (c *caller) Inform(*message.Response) error { return nil }
func (c *caller) Begin(*proxy.Head) error        { return nil }
func (c *caller) Space() []byte                  { return make([]byte, 1<<10) }
func (c *caller) Commit(int) error               { return nil }
func (c *caller) Flush() error                   { return nil }
func (c *caller) End(message.Fields) error       { return nil }
func (c *caller) Tunnel() (proxy.Stream, error)  { return nil, errors.New("none") }

type noLog struct{}

func (noLog) Add(*accesslog.Record) {}

// writing is a sender that writes the request as it would go out, and answers nothing.
type writing struct{ out []byte }

func (w *writing) Send(_ proxy.Destination, r *proxy.Outgoing) (proxy.Answer, error) {
	w.out = appendHead(nil, r)
	if breaksLines(w.out, r) {
		panic("what was parsed has line breaks")
	}
	switch {
	case !r.Streams:
		w.out = append(w.out, r.Whole...)
	case r.Length < 0:
		for part := range slices.Chunk(append(bytes.Clone(r.Begun), must(io.ReadAll(r.Client))...), 2) {
			w.out = message.AppendChunk(w.out, part)
		}
		w.out = message.AppendLastChunk(w.out, r.Client.Trailer())
	default:
		w.out = append(append(w.out, r.Begun...), must(io.ReadAll(r.Client))...)
	}
	return nil, proxy.ErrBroken
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// Whatever head a client sends that is taken at all: what goes to the pod is one well-formed request,
// and means what the client's did.
func FuzzOutgoing(f *testing.F) {
	for _, seed := range []string{
		"GET /app/1?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
		"POST /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nTE: trailers\r\n\r\n",
		"PUT http://b/app?x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close, X\r\nX: y\r\n\r\n",
		"GET /app HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n",
		"GET /app HTTP/1.0\r\n\r\n",
		"GET /app/%2F..;a=b//x HTTP/1.1\r\nHost: [::1]:80\r\nX-Forwarded-For: a\r\nX-Forwarded-Proto: https\r\nForwarded: x\r\n\r\n",
		"GET /app HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: a\r\nx-forwarded-for: b\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /o\r\n\r\n",
		"M!#$ /app?%zz?& HTTP/1.1\r\nhost: a\r\nCONTENT-LENGTH: 0\r\nX:\r\nX: \t\xff \r\n\r\n",
		"DELETE /app? HTTP/1.1\r\nHost: a\r\nConnection: Host, Content-Length, Transfer-Encoding\r\nContent-Length: 5\r\n\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	d := dispatch.New(dispatch.Options{
		RoomRequests: 1, RoomBytes: 1 << 20, Now: time.Now, Intn: func(int) int { return 0 }, Chance: func() float64 { return 0 }, Waker: noWaker{}, ReportSoon: func() {},
	})
	d.Apply(routing.Update{Version: "1", Complete: true, Routes: []routing.Route{{
		Application: routing.Application{Namespace: "default", Deployment: "app"}, Prefix: "/app", StripPrefix: true, State: routing.Awake, WakeUpTimeout: time.Minute,
		Endpoints: []routing.Endpoint{{Pod: "app-1", Address: "10.0.0.1:80", Ready: true}},
	}}})
	sender := &writing{}
	p := proxy.New(proxy.Options{
		Matcher: d, Sender: sender, AccessLog: noLog{}, Limits: proxy.Limits{Body: 1 << 20, URI: 1 << 20, StreamIdle: time.Minute, Gathered: 1 << 20},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Silence: func() time.Duration { return time.Second },
		Log: slog.New(slog.DiscardHandler), Metrics: proxy.NewMetrics(prometheus.NewRegistry()),
	})
	f.Fuzz(func(t *testing.T, raw []byte, trusted bool) {
		var end message.HeadEnd
		n, err := end.Find(raw)
		if n == 0 || err != nil {
			return
		}
		r := &message.Request{}
		if r.ParseRequest(raw[:n]) != nil || r.Length > 1<<10 {
			return
		}
		meant := *r
		meant.Fields = slices.Clone(r.Fields)
		body := strings.Repeat("x", int(max(r.Length, 0)))
		if r.Length < 0 {
			body = "chunk"
		}
		c := &caller{asker: asker{gone: make(chan struct{}), body: strings.NewReader(body)}, trusted: trusted}
		if r.Length < 0 && len(raw)%2 == 0 {
			c.trailer = message.Fields{{Name: "X-Sum", Value: "1"}}
		}
		sender.out = nil
		p.Serve(c, r)
		if sender.out != nil {
			compare(t, sender.out, &meant, body, trusted)
		}
	})
}

// compare reads what goes out as net/http does.
func compare(t *testing.T, out []byte, meant *message.Request, body string, trusted bool) {
	t.Helper()
	end, own := message.HeadEnd{}, message.Request{}
	if n, err := end.Find(out); err != nil || n == 0 || own.ParseRequest(out[:n]) != nil {
		t.Fatalf("%q would be refused here: %v, %v", out, err, own.ParseRequest(out[:n]))
	}
	in := bufio.NewReader(bytes.NewReader(out))
	got, err := http.ReadRequest(in)
	if err != nil {
		if _, parses := http.ReadRequest(bufio.NewReader(strings.NewReader(meant.Method + " " + meant.Target + " HTTP/1.1\r\nHost: a\r\n\r\n"))); parses != nil {
			return // net/http's parser takes fewer targets than there are
		}
		t.Fatalf("%q: %v", out, err)
	}
	gotBody, err := io.ReadAll(got.Body)
	if rest, _ := io.ReadAll(in); err != nil || string(gotBody) != body || len(rest) > 0 {
		t.Fatalf("%q: body %q, %v, and %q behind it; want %q", out, gotBody, err, rest, body)
	}
	if got.Method != meant.Method || got.Host != meant.Host || got.URL.RawQuery != meant.Query || got.ProtoMinor != 1 || got.Close {
		t.Fatalf("%q: %s %s %q, close %v; want %s %s %q", out, got.Method, got.Host, got.URL.RawQuery, got.Close, meant.Method, meant.Host, meant.Query)
	}
	if upgrade := got.Header.Get("Upgrade"); upgrade != meant.Upgrade || (upgrade != "") != (got.Header.Get("Connection") != "") {
		t.Fatalf("%q: upgrade %q, want %q", out, upgrade, meant.Upgrade)
	}
	if expects := len(got.Header["Expect"]); expects != btoi(meant.Expect) || len(got.Header["X-Forwarded-For"]) != 1 {
		t.Fatalf("%q: expects %d times, want %v; from %q", out, expects, meant.Expect, got.Header["X-Forwarded-For"])
	}
	named := listed(meant.Fields)
	for name, values := range got.Header {
		switch k := message.KnownAs(name); {
		case k == message.Upgrade, k == message.Connection, k == message.Expect, k == message.Trailer, k == message.TE, k == message.ContentLength:
		case k.Says() && trusted:
		case k.Says():
			ours := k == message.XForwardedFor || k == message.XForwardedProto || k == message.XForwardedHost || k == message.XForwardedPrefix
			if len(values) != 1 || !ours {
				t.Fatalf("%q: a stranger's %s: %q", out, name, values)
			}
		default:
			if want := valuesOf(meant.Fields, name); !slices.Equal(values, want) || named[strings.ToLower(name)] {
				t.Fatalf("%q: %s: %q, want %q", out, name, values, want)
			}
		}
	}
	if want := "192.0.2.1"; !trusted && got.Header.Get("X-Forwarded-For") != want || !strings.HasSuffix(got.Header.Get("X-Forwarded-For"), "10.0.0.9") && trusted {
		t.Fatalf("%q: from %q", out, got.Header.Get("X-Forwarded-For"))
	}
}

// listed are the names that Connection fields have.
func listed(fields message.Fields) map[string]bool {
	all := map[string]bool{}
	for _, f := range fields {
		if f.Known == message.Connection {
			for name := range strings.SplitSeq(f.Value, ",") {
				all[strings.ToLower(strings.Trim(name, " \t"))] = true
			}
		}
	}
	return all
}

// valuesOf are those of all fields of that name.
func valuesOf(fields message.Fields, name string) (all []string) {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) && !f.Dropped {
			all = append(all, f.Value)
		}
	}
	return all
}
