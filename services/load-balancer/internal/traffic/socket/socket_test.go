package socket

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// wrapper shows what it wraps, as crypto/tls does.
type wrapper struct{ net.Conn }

func (w wrapper) NetConn() net.Conn { return w.Conn }

// endless shows itself.
type endless struct{ net.Conn }

func (e endless) NetConn() net.Conn { return e }

func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func TestTCP_IsFoundThroughEveryWrapper(t *testing.T) {
	c, _ := pair(t)
	for name, conn := range map[string]net.Conn{
		"itself": c, "wrapped": wrapper{c}, "twice": wrapper{wrapper{c}},
		"TLS": tls.Client(wrapper{c}, &tls.Config{InsecureSkipVerify: true}),
	} {
		if TCP(conn) != c {
			t.Errorf("%s: not found", name)
		}
		if raw, err := Raw(conn); err != nil || raw == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	pipe, _ := net.Pipe()
	for name, conn := range map[string]net.Conn{"a pipe": pipe, "a wrapped pipe": wrapper{pipe}, "itself for ever": endless{c}} {
		if TCP(conn) != nil {
			t.Errorf("%s: found", name)
		}
		if _, err := Raw(conn); !errors.Is(err, ErrNotTCP) {
			t.Errorf("%s: %v", name, err)
		}
		if err := CloseWrite(conn); !errors.Is(err, ErrNotTCP) {
			t.Errorf("%s: %v", name, err)
		}
		if err := SetUserTimeout(conn, time.Second); !errors.Is(err, ErrNotTCP) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCloseWrite_EndsOneDirection(t *testing.T) {
	client, server := pair(t)
	if err := CloseWrite(wrapper{client}); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(server); err != nil || len(rest) != 0 {
		t.Fatalf("%q, %v", rest, err)
	}
	if _, err := server.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
}
