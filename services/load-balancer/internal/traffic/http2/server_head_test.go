package http2

import (
	"net/http"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

func TestServer_AHeadArrivesAsItWasSent(t *testing.T) {
	heads := make(chan message.Request, 1)
	f := serve(t, func(c proxy.Client, r *message.Request) {
		keep := *r
		keep.Fields = append(message.Fields(nil), r.Fields...)
		heads <- keep
		reply(c, 204, "")
	})
	p := f.client(t)
	p.request(1, true, "GET", "/a%2Fb//..;c?x=%20&y", "x-one", "1", "x-two", "a", "x-two", "b", "cookie", "a=1", "cookie", "b=2", "te", "trailers")
	if got := p.status(); got != "204" {
		t.Fatal(got)
	}
	r := <-heads
	if r.Method != http.MethodGet || r.Target != "/a%2Fb//..;c?x=%20&y" || r.Path != "/a%2Fb//..;c" || r.Query != "x=%20&y" || r.Host != "a.example" ||
		r.Version != message.HTTP2 || r.Length != 0 || !r.Trailers || r.Close || r.Upgrade != "" {
		t.Errorf("%+v", r)
	}
	var got []string
	for _, f := range r.Fields {
		got = append(got, f.Name+": "+f.Value)
	}
	if want := "Host: a.example|Cookie: a=1; b=2|Te: trailers|X-One: 1|X-Two: a|X-Two: b"; strings.Join(got, "|") != want {
		t.Errorf("%s", strings.Join(got, "|"))
	}
}

func TestServer_WhatHTTP1RefusesIsRefused(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) { reply(c, 200, "served") })
	for name, c := range map[string]struct {
		path   string
		more   []string
		answer string // a status, or RST
	}{
		"a blank in the path":               {"/a b", nil, "400"},
		"a user in the host":                {"/", []string{":authority", "u@a"}, "RST"},
		"another host":                      {"/", []string{"host", "b.example"}, "400"},
		"the same host":                     {"/", []string{"host", "a.example"}, "200"},
		"a length that is none":             {"/", []string{"content-length", "+0"}, "400"},
		"a length without a body":           {"/", []string{"content-length", "5"}, "400"},
		"a control character":               {"/", []string{"x-a", "a\x01b"}, "RST"},
		"a line end":                        {"/", []string{"x-a", "a\r\nb: c"}, "RST"},
		"a line end in the path":            {"/a\r\nb", nil, "RST"},
		"an upper-case name":                {"/", []string{"X-A", "a"}, "RST"},
		"a field of one connection":         {"/", []string{"connection", "close"}, "400"},
		"a field of framing":                {"/", []string{"transfer-encoding", "chunked"}, "400"},
		"a change of protocol":              {"/", []string{"upgrade", "websocket"}, "400"},
		"no path":                           {"", nil, "RST"},
		"a path that is none":               {"x", nil, "RST"},
		"a target of another form":          {"http://b/", nil, "400"},
		"a pseudo field that is not known":  {"/", []string{":x", "y"}, "RST"},
		"a forged field is not passed on":   {"/", []string{"x_forwarded_for", "1"}, "200"},
		"OPTIONS *, which is not the path":  {"*", nil, "400"},
		"more fields than there may be":     {"/", strings.Split(strings.Repeat("x-a|b|", 300)+"x-a|b", "|"), "400"},
		"what is in order, and only odd":    {"/~!$&'()*+,;=:@", []string{"x", ""}, "200"},
		"a host that HTTP/1.1 lets through": {"/", []string{"host", ""}, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			p := f.client(t)
			fields := []string{":method", "GET", ":scheme", "http", ":path", c.path}
			if len(c.more) == 0 || c.more[0] != ":authority" {
				fields = append(fields, ":authority", "a.example")
			}
			p.headers(1, true, append(fields, c.more...)...)
			got := ""
			for got == "" {
				frame, err := p.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				switch frame := frame.(type) {
				case *h2.MetaHeadersFrame:
					got = frame.PseudoValue("status")
				case *h2.RSTStreamFrame, *h2.GoAwayFrame:
					got = "RST"
				}
			}
			if got != c.answer {
				t.Errorf("%s, want %s", got, c.answer)
			}
		})
	}
}

// What net/http takes and hands on passes the parser of HTTP/1.1: no part of it becomes another part.
func FuzzReadRequest(f *testing.F) {
	f.Add("GET", "/a?b", "a.example", "X-A", "1", int64(0))
	f.Add("POST", "/ HTTP/1.1\r\nX: y", "a\r\nb", "Content-Length", "5", int64(5))
	f.Add("OPTIONS", "*", "", "Host", "b", int64(-1))
	f.Fuzz(func(t *testing.T, method, target, host, name, value string, length int64) {
		if target == "" {
			return // net/http refuses it
		}
		var r message.Request
		err := readRequest(&r, &http.Request{Method: method, RequestURI: target, Host: host, Header: http.Header{name: {value}}, ContentLength: length})
		if err != nil {
			return
		}
		if r.Method != method || r.Target != target || r.Host != strings.Trim(host, " \t") || r.Version != message.HTTP2 || r.Length != max(length, -1) || r.Upgrade != "" || r.Expect || len(r.Fields) > 2 {
			t.Fatalf("%q %q %q %q %q %d: %+v", method, target, host, name, value, length, r)
		}
		if len(r.Fields) == 2 && (r.Fields[1].Name != name || r.Fields[1].Value != strings.Trim(value, " \t")) {
			t.Fatalf("%q: %q became %+v", name, value, r.Fields[1])
		}
	})
}
