package httpserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testauthority"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// port is a server that speaks TLS.
type port struct {
	address     string
	secure      *Secure
	connections *Connections
	authority   *testauthority.Authority
	shows       atomic.Pointer[tls.Certificate]
}

func securePort(t testing.TB, clearText bool, o Options) *port {
	t.Helper()
	p := &port{authority: testauthority.New(t), connections: NewConnections(100, 2, time.Minute)}
	p.shows.Store(p.authority.Issue("first"))
	p.secure = NewSecure(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.shows.Load(), nil }, clearText)
	o.Address, o.Log, o.Secure, o.Listen, o.ConnContext = "127.0.0.1:0", discard(), p.secure, p.connections.Listen, p.connections.Context
	o.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/many" {
			p.connections.Many(w, r)
		}
		_, _ = io.Copy(w, r.Body)
		_, _ = io.WriteString(w, "ok")
	})
	s, err := Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := testwait.Receive(t, "the server ends", ended); err != nil {
			t.Error(err)
		}
	})
	p.address = s.Addr().String()
	return p
}

func (p *port) config(name string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.authority.Bundle())
	return &tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
}

func (p *port) dial(t *testing.T, c *tls.Config) *client {
	t.Helper()
	conn, err := tls.Dial("tcp", p.address, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

func TestSecure_SpeaksTLSOneThreeAndHTTPOneOne(t *testing.T) {
	p := securePort(t, false, Options{})
	conn := p.dial(t, p.config("first"))
	for range 3 {
		if !conn.ask(t, "/") {
			t.Error("the connection is not kept")
		}
	}
	state := conn.Conn.(*tls.Conn).ConnectionState()
	if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "http/1.1" {
		t.Errorf("%x %q", state.Version, state.NegotiatedProtocol)
	}
	old := p.config("first")
	old.MaxVersion = tls.VersionTLS12
	if conn, err := tls.Dial("tcp", p.address, old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.2 is spoken")
	}
	testwait.Until(t, "the failed handshake is counted", func() bool { return p.secure.Counts().Failed == 1 })
}

func TestSecure_BodiesLargerThanARecordComeThrough(t *testing.T) {
	p := securePort(t, false, Options{})
	body := strings.Repeat("x", 1<<20)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: p.config("first")}}
	defer web.CloseIdleConnections()
	answer, err := web.Post("https://"+p.address, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if got, err := io.ReadAll(answer.Body); err != nil || string(got) != body+"ok" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestSecure_ClearTextIsToldThatThePortSpeaksTLS(t *testing.T) {
	p := securePort(t, false, Options{})
	conn := dial(t, p.address)
	if _, err := fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(conn.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusBadRequest || !answer.Close || !strings.Contains(string(body), "this port speaks TLS") {
		t.Errorf("%d %q %v", answer.StatusCode, body, err)
	}
	if got := p.secure.Counts(); got != (SecureCounts{ClearText: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestSecure_ClearTextIsServedWhereItIsWantedBesideTLS(t *testing.T) {
	p := securePort(t, true, Options{})
	clear, secured := dial(t, p.address), p.dial(t, p.config("first"))
	for range 2 {
		if !clear.ask(t, "/") || !secured.ask(t, "/") {
			t.Error("a connection is not kept")
		}
	}
	if got := p.secure.Counts(); got != (SecureCounts{}) {
		t.Errorf("%+v", got)
	}
}

// A client that says nothing, nothing more than a byte, or the half of a handshake, is closed in time.
func TestSecure_WhoSaysTooLittleIsClosedInTime(t *testing.T) {
	p := securePort(t, false, Options{HeadTimeout: 50 * time.Millisecond})
	for _, said := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01", "G", "GET / HTTP/1.1\r\n"} {
		conn := dial(t, p.address)
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %v", said, err)
		}
	}
	testwait.Until(t, "all are gone", func() bool { return p.connections.Counts().Open == 0 })
}

func TestSecure_ConnectionsAreBoundedAsInClearText(t *testing.T) {
	p := securePort(t, false, Options{})
	c := p.config("first")
	first, second, third := p.dial(t, c), p.dial(t, c), p.dial(t, c)
	if !first.ask(t, "/many") || !second.ask(t, "/many") || third.ask(t, "/many") {
		t.Error("of many clients two are kept")
	}
	if got := p.connections.Counts(); got.Many != 2 || got.SentOff != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSecure_AnotherCertificateIsForNewConnectionsAndOpenOnesStay(t *testing.T) {
	p := securePort(t, false, Options{})
	before := p.dial(t, p.config("first"))
	before.ask(t, "/")
	p.shows.Store(p.authority.Issue("second"))
	after := p.dial(t, p.config("second"))
	if !before.ask(t, "/") || !after.ask(t, "/") {
		t.Error("a connection is not kept")
	}
}

func TestSecure_SessionsAreResumed(t *testing.T) {
	p := securePort(t, false, Options{})
	c := p.config("first")
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i, resumed := range []bool{false, true} {
		conn := p.dial(t, c)
		conn.ask(t, "/") // the ticket comes with the answer
		if got := conn.Conn.(*tls.Conn).ConnectionState().DidResume; got != resumed {
			t.Errorf("connection %d: resumed %v", i, got)
		}
	}
}

func TestSecure_NothingIsWrittenBeforeItIsKnownWhatIsSpoken(t *testing.T) {
	here, there := net.Pipe()
	defer func() { _ = there.Close() }()
	conn := &sniffed{Conn: here, of: NewSecure(nil, true)}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("it was written")
	}
	if n, err := conn.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if got := (*Secure)(nil).Counts(); got != (SecureCounts{}) {
		t.Error(got)
	}
}
