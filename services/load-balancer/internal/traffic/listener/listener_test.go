package listener

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2", "http/1.1"}}
}

func TestListen_TLSAfterAHeaderThroughAllLayers(t *testing.T) {
	l, err := Listen(t.Context(), Options{
		Address: "127.0.0.1:0", TLS: serverTLS(t), Headers: NewHeaders(Require, nil, prometheus.NewRegistry()), UserTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for offers, want := range map[string]string{"h2,http/1.1": "h2", "http/1.1": "http/1.1", "": ""} {
		raw, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(raw, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"); err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{InsecureSkipVerify: true}
		if offers != "" {
			config.NextProtos = strings.Split(offers, ",")
		}
		client := tls.Client(raw, config)
		shaken := make(chan error, 1)
		go func() { shaken <- client.Handshake() }()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		secure := server.(*tls.Conn)
		if got, want := secure.RemoteAddr().String(), raw.LocalAddr().String(); got != want {
			t.Errorf("before the header came the peer is %s, want %s", got, want)
		}
		if err := errors.Join(secure.HandshakeContext(t.Context()), <-shaken); err != nil || secure.ConnectionState().NegotiatedProtocol != want {
			t.Fatalf("%q: %q, %v", offers, secure.ConnectionState().NegotiatedProtocol, err)
		}
		if got := server.RemoteAddr().String(); got != "203.0.113.7:4711" {
			t.Errorf("the client is %s", got)
		}
		if socket.TCP(server) == nil || socket.SetUserTimeout(server, time.Second) != nil {
			t.Error("the TCP connection is not found")
		}
		if err := socket.CloseWrite(server); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(client); err != nil || len(got) != 0 {
			t.Errorf("the end of ours is %q, %v", got, err)
		}
		_, _ = client.Close(), server.Close()
	}
}

func TestListen_InClearIsTheConnectionItself(t *testing.T) {
	l, err := Listen(t.Context(), Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	if _, ok := server.(*net.TCPConn); !ok {
		t.Errorf("%T", server)
	}
	if _, err := Listen(t.Context(), Options{Address: l.Addr().String()}); err == nil || !strings.Contains(err.Error(), "listen on "+l.Addr().String()) {
		t.Errorf("the port is taken, and: %v", err)
	}
}

func TestNewHeaders_OffReadsNone(t *testing.T) {
	if NewHeaders(Off, nil, prometheus.NewRegistry()) != nil {
		t.Error("off reads headers")
	}
}
