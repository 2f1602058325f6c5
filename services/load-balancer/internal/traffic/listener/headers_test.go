package listener

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

// port is a port that reads PROXY headers.
type port struct {
	net.Listener
	headers *Headers
}

func listen(t *testing.T, mode string, trusted ...string) port {
	t.Helper()
	var prefixes []netip.Prefix
	for _, p := range trusted {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	headers := NewHeaders(mode, prefixes, prometheus.NewRegistry())
	l, err := Listen(t.Context(), Options{Address: "127.0.0.1:0", Headers: headers, UserTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return port{l, headers}
}

// send writes bytes on a new connection, ends them, and returns the server's side.
func (p port) send(t *testing.T, what string) (client, server net.Conn) {
	t.Helper()
	client, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if _, err := io.WriteString(client, what); err != nil {
		t.Fatal(err)
	}
	if err := socket.CloseWrite(client); err != nil {
		t.Fatal(err)
	}
	if server, err = p.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func v2(t *testing.T, h *proxyproto.Header) string {
	t.Helper()
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	client4 = &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 4711}
	client6 = &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 4712}
	here    = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 443}
	here6   = &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 443}
)

const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func TestHeaders_TheClientIsWhomTheHeaderNames(t *testing.T) {
	p := listen(t, Accept)
	withTLVs := proxyproto.HeaderProxyFromAddrs(2, client4, here)
	if err := withTLVs.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte(strings.Repeat("a", 1000))}}); err != nil {
		t.Fatal(err)
	}
	local := &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	for name, c := range map[string]struct{ header, client string }{
		"1, IPv4":          {"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", "203.0.113.7:4711"},
		"1, IPv6":          {"PROXY TCP6 2001:db8::7 2001:db8::1 4712 443\r\n", "[2001:db8::7]:4712"},
		"1, unknown":       {"PROXY UNKNOWN\r\n", ""},
		"1, unknown, more": {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
		"2, IPv4":          {v2(t, proxyproto.HeaderProxyFromAddrs(2, client4, here)), "203.0.113.7:4711"},
		"2, IPv6":          {v2(t, proxyproto.HeaderProxyFromAddrs(2, client6, here6)), "[2001:db8::7]:4712"},
		"2, with more":     {v2(t, withTLVs), "203.0.113.7:4711"},
		"2, its own check": {v2(t, local), ""},
		"none":             {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := p.send(t, c.header+request)
			if got := server.RemoteAddr().String(); got != client.LocalAddr().String() {
				t.Errorf("before the header was read, the peer is %s", got)
			}
			got, err := io.ReadAll(server)
			if err != nil || string(got) != request {
				t.Errorf("%q, %v", got, err)
			}
			want := c.client
			if want == "" {
				want = client.LocalAddr().String()
			}
			if got := server.RemoteAddr().String(); got != want {
				t.Errorf("the client is %s, want %s", got, want)
			}
			if got := server.LocalAddr().String(); got != p.Addr().String() {
				t.Errorf("the port is %s", got)
			}
		})
	}
}

func TestHeaders_WhatIsNoHeaderEndsTheConnection(t *testing.T) {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	for name, c := range map[string]struct{ mode, bytes, reason string }{
		"an address that is none":       {Accept, "PROXY TCP4 256.0.0.1 10.0.0.1 1 2\r\n", "malformed"},
		"a port that is none":           {Accept, "PROXY TCP4 203.0.113.7 10.0.0.1 65536 2\r\n", "malformed"},
		"a port with a leading zero":    {Accept, "PROXY TCP4 203.0.113.7 10.0.0.1 01 2\r\n", "malformed"},
		"an IPv6 address as TCP4":       {Accept, "PROXY TCP4 ::1 10.0.0.1 1 2\r\n", "malformed"},
		"too few words":                 {Accept, "PROXY TCP4 203.0.113.7 10.0.0.1 1\r\n", "malformed"},
		"too many words":                {Accept, "PROXY TCP4 203.0.113.7 10.0.0.1 1 2 3\r\n", "malformed"},
		"a bare LF":                     {Accept, "PROXY TCP4 203.0.113.7 10.0.0.1 1 2\n", "malformed"},
		"no end":                        {Accept, "PROXY TCP4 " + strings.Repeat("1", 200), "malformed"},
		"a word that begins like it":    {Accept, "PROXYING TCP4 203.0.113.7 10.0.0.1 1 2\r\n", "malformed"},
		"another protocol":              {Accept, "PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n", "malformed"},
		"version 2, another version":    {Accept, signature + "\x31\x11\x00\x0c" + strings.Repeat("\x00", 12), "malformed"},
		"version 2, unknown family":     {Accept, signature + "\x21\x41\x00\x00", "malformed"},
		"version 2, addresses too few":  {Accept, signature + "\x21\x11\x00\x04\x01\x02\x03\x04", "malformed"},
		"version 2, of a UDP client":    {Accept, signature + "\x21\x12\x00\x0c" + strings.Repeat("\x01", 12), "malformed"},
		"version 2, of a Unix socket":   {Accept, signature + "\x21\x31\x00\xd8" + strings.Repeat("a", 216), "malformed"},
		"version 2, no family":          {Accept, signature + "\x21\x00\x00\x00", "malformed"},
		"version 2, cut off":            {Accept, signature + "\x21\x11\x00\x0c\x01", "malformed"},
		"none, and one is required":     {Require, "", "missing"},
		"nothing, and one is required":  {Require, "\x00nothing", "missing"},
		"malformed, and it is required": {Require, "PROXY TCP4 x\r\n", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := listen(t, c.mode)
			cut := strings.HasSuffix(name, "cut off")
			if !cut {
				c.bytes += request
			}
			client, server := p.send(t, c.bytes)
			for range 2 {
				if n, err := server.Read(make([]byte, 100)); n != 0 || err == nil || errors.Is(err, io.EOF) && !cut {
					t.Fatalf("%d bytes, %v", n, err)
				}
			}
			if got := server.RemoteAddr().String(); got != client.LocalAddr().String() {
				t.Errorf("the client is %s", got)
			}
			if got := testutil.ToFloat64(p.headers.refused.WithLabelValues(c.reason)); got != 1 {
				t.Errorf("%s: %v", c.reason, got)
			}
		})
	}
}

func TestHeaders_OfStrangersAreNotRead(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"
	p := listen(t, Accept, "10.0.0.0/8", "192.0.2.1/32")
	client, server := p.send(t, header+request)
	got, err := io.ReadAll(server)
	if err != nil || string(got) != header+request || server.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("%q, %v, from %s", got, err, server.RemoteAddr())
	}
	p = listen(t, Accept, "10.0.0.0/8", "127.0.0.0/8")
	if _, server = p.send(t, header+request); true {
		if got, err := io.ReadAll(server); err != nil || string(got) != request || server.RemoteAddr().String() != client4.String() {
			t.Errorf("%q, %v, from %s", got, err, server.RemoteAddr())
		}
	}
}

func TestHeaders_WhenTheyAreRequiredStrangersAreClosedAndThePortGoesOn(t *testing.T) {
	p := listen(t, Require, "10.0.0.0/8")
	accepted := make(chan error, 1)
	go func() { _, err := p.Accept(); accepted <- err }()
	for range 2 {
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("a stranger read %d bytes, %v", n, err)
		}
		_ = c.Close()
	}
	_ = p.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the port ended with %v", err)
	}
	if got := testutil.ToFloat64(p.headers.refused.WithLabelValues("untrusted")); got != 2 {
		t.Errorf("%v were counted", got)
	}
}

func TestHeaders_HideNothingOfTheSocket(t *testing.T) {
	p := listen(t, Require)
	client, server := p.send(t, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"+request)
	if socket.TCP(server) == nil {
		t.Error("the TCP connection is not found")
	}
	if err := socket.SetUserTimeout(server, time.Second); err != nil {
		t.Error(err)
	}
	if n, err := server.(io.ReaderFrom).ReadFrom(strings.NewReader("answer")); n != 6 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := socket.CloseWrite(server); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := io.ReadAll(server); err != nil || string(got) != request {
		t.Errorf("after our side was closed: %q, %v", got, err)
	}
}

// settler is how a server asks for the header before all else.
type settler interface{ Settle() ([]byte, error) }

func TestSettle_ReadsTheHeaderAndWhatCameWithIt(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"
	for name, c := range map[string]struct{ mode, sent, client string }{
		"a header": {Require, header + request, "203.0.113.7:4711"}, "none": {Accept, request, ""}, "a header alone": {Accept, header, "203.0.113.7:4711"},
		"a header and much": {Accept, header + strings.Repeat(request, 50), "203.0.113.7:4711"},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := listen(t, c.mode).send(t, c.sent)
			early, err := server.(settler).Settle()
			if err != nil {
				t.Fatal(err)
			}
			if c.client == "" {
				c.client = client.LocalAddr().String()
			}
			if got := server.RemoteAddr().String(); got != c.client {
				t.Errorf("the client is %s, want %s", got, c.client)
			}
			rest, err := io.ReadAll(socket.TCP(server)) // past the wrapper
			if got := string(early) + string(rest); err != nil || got != strings.TrimPrefix(c.sent, header) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	for _, sent := range []string{request, "PROXY TCP4 x\r\n" + request, ""} {
		p := listen(t, Require)
		_, server := p.send(t, sent)
		if early, err := server.(settler).Settle(); err == nil {
			t.Errorf("%q is taken for a header: %q", sent, early)
		}
		if testutil.ToFloat64(p.headers.refused.WithLabelValues("missing"))+testutil.ToFloat64(p.headers.refused.WithLabelValues("malformed")) != 1 {
			t.Errorf("%q is not counted", sent)
		}
	}
}

// pipes is a listener of connections in memory, for virtual time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) { return <-p, nil }
func (p pipes) Close() error              { return nil }
func (p pipes) Addr() net.Addr            { return here }

func TestHeaders_AreNotWaitedForForEver(t *testing.T) {
	for name, c := range map[string]struct {
		mode, begins string
		ends         bool
	}{
		"nothing comes, and one is required":     {Require, "", true},
		"a part comes, and one is required":      {Require, "PROX", true},
		"a part of 2 comes, and one is required": {Require, "\r\n\r\n\x00\r\nQUIT\n\x21", true},
		"a part of 2 comes":                      {Accept, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00", true},
		"a part of 1 comes":                      {Accept, "PROXY TCP4 ", true},
		"what could begin one comes":             {Accept, "PRO", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				headers := NewHeaders(c.mode, nil, prometheus.NewRegistry())
				client, conn := net.Pipe()
				ports := make(pipes, 1)
				ports <- conn
				server, err := headers.listen(ports).Accept()
				if err != nil {
					t.Fatal(err)
				}
				go func() { _, _ = io.WriteString(client, c.begins) }()
				began := time.Now()
				got := make([]byte, 10)
				n, err := server.Read(got)
				if waited := time.Since(began); waited > headerTime {
					t.Errorf("it was waited for %v", waited)
				}
				if c.ends && (n != 0 || err == nil) || !c.ends && string(got[:n]) != c.begins {
					t.Errorf("%q, %v", got[:n], err)
				}
				_, _ = client.Close(), server.Close()
			})
		})
	}
}

func TestHeaders_TheCallersDeadlineHoldsAndStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		headers := NewHeaders(Accept, nil, prometheus.NewRegistry())
		client, conn := net.Pipe()
		ports := make(pipes, 1)
		ports <- conn
		server, err := headers.listen(ports).Accept()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := server.SetReadDeadline(began.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if _, err := server.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		_, _ = client.Close(), server.Close()
	})
}

// Whatever comes first, what is handed on is a suffix of it, and the client is whom a header of the
// format names.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\nGET", "PROXY TCP6 ::1 ::2 1 2\r\n", "PROXY UNKNOWN\r\n", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02rest", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00rest", "\x16\x03\x01",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bytes string) {
		headers := NewHeaders(Accept, nil, prometheus.NewRegistry())
		client, conn := net.Pipe()
		ports := make(pipes, 1)
		ports <- conn
		server, err := headers.listen(ports).Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(client, bytes)
			_ = client.Close()
		}()
		got, _ := io.ReadAll(server)
		_ = server.Close()
		if !strings.HasSuffix(bytes, string(got)) {
			t.Fatalf("%q became %q", bytes, got)
		}
		if address := server.RemoteAddr(); address != conn.RemoteAddr() {
			if _, ok := address.(*net.TCPAddr); !ok || len(got) == len(bytes) {
				t.Fatalf("%q: the client is %v (%T)", bytes, address, address)
			}
		}
	})
}
