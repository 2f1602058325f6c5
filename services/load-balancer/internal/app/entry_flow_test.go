package app_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/certificates"
)

// certificateFor puts a certificate of these names into a folder, as a Secret is mounted.
func certificateFor(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// overTLS opens a TLS port with certificates for these names.
func overTLS(t *testing.T, names ...string) func(*app.Settings) {
	t.Helper()
	var dirs []string
	for _, name := range names {
		dirs = append(dirs, certificateFor(t, name))
	}
	return func(s *app.Settings) {
		s.Entry.TLSListen, s.Entry.Certificates = "127.0.0.1:0", certificates.Settings{Dirs: strings.Join(dirs, ",")}
	}
}

// seen answers with what a pod sees of who asked.
var seen = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "%s %s %s for=%s proto=%s", r.Proto, r.Method, r.RequestURI, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"))
})

func TestEntry_TLSWithHTTP2AndWithout(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, seen))
	b := boot(t, server.URL, overTLS(t, "first.example", "second.example"))
	for _, c := range []struct {
		name    string
		offers  []string
		version int
	}{{"first.example", []string{"h2", "http/1.1"}, 2}, {"second.example", []string{"http/1.1"}, 1}, {"", nil, 1}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: c.name, NextProtos: c.offers}, ForceAttemptHTTP2: c.version == 2}
		r, body := get(t, &http.Client{Transport: transport}, "https://"+b.tls+"/app/a%2Fb?x")
		if r.ProtoMajor != c.version || body != "HTTP/1.1 GET /a%2Fb?x for=127.0.0.1 proto=https" {
			t.Errorf("%s: HTTP/%d, %s", c.name, r.ProtoMajor, body)
		}
		if got := r.TLS.PeerCertificates[0].DNSNames[0]; c.name != "" && got != c.name || c.name == "" && got != "first.example" {
			t.Errorf("who asks for %q is shown %s", c.name, got)
		}
		transport.CloseIdleConnections()
	}
	b.logged(t, 3) // each is written once its answer is sent
	_, metrics := get(t, client(t), b.admin+"/metrics")
	if strings.Count(metrics, "nemesis_lb_certificate_expiry_timestamp_seconds{") != 2 {
		t.Error("the metrics lack when certificates end")
	}
	if _, ready := get(t, client(t), b.admin+"/readyz"); strings.Count(ready, `"use":"data"`) != 2 {
		t.Errorf("readyz has not those two: %s", ready)
	}
}

func TestEntry_ABrokenCertificateEndsTheStart(t *testing.T) {
	s, err := app.Load([]string{"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-tls-listen", "127.0.0.1:0", "-tls-cert-dirs", "/nowhere", "-log-spool-dir", t.TempDir(), "-authentication", "optional"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.New(t.Context(), s, io.Discard); err == nil || !strings.Contains(err.Error(), "tls-cert-dirs: open /nowhere/tls.crt: no such file") {
		t.Errorf("%v", err)
	}
}

func TestEntry_ARedirectToTLS(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, seen))
	withTLS := overTLS(t, "shop.example")
	b := boot(t, server.URL, func(s *app.Settings) {
		withTLS(s)
		s.Entry.HTTPSRedirect, s.Entry.HTTPSRedirectPort, s.TrustedProxies = true, 443, "127.0.0.0/8"
	})
	for name, c := range map[string]struct{ head, status, want string }{
		"in clear":                           {"GET /app/x?y HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n", "308", "https://shop.example/app/x?y"},
		"with a body":                        {"POST /app HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\nabc", "308", "https://shop.example/app"},
		"of no application":                  {"GET /none HTTP/1.1\r\nHost: shop.example\r\n\r\n", "308", "https://shop.example/none"},
		"without a host":                     {"GET /app HTTP/1.0\r\n\r\n", "400", ""},
		"of the whole server":                {"OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n", "400", ""},
		"that came to a trusted proxy by it": {"GET /app HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\n\r\n", "200", ""},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.head); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := r.Header.Get("Location"); !strings.HasPrefix(r.Status, c.status) || got != c.want || strings.HasPrefix(c.head, "POST") != r.Close && c.status == "308" {
			t.Errorf("%s: %s %q, close %v", name, r.Status, got, r.Close)
		}
		_ = conn.Close()
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	if r, body := get(t, &http.Client{Transport: transport}, "https://"+b.tls+"/app"); r.StatusCode != http.StatusOK {
		t.Errorf("over TLS: %s %s", r.Status, body)
	}
	transport.CloseIdleConnections()
}

func TestEntry_AProxyHeaderNamesTheClient(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, seen))
	withTLS := overTLS(t, "shop.example")
	b := boot(t, server.URL, func(s *app.Settings) {
		withTLS(s)
		s.Entry.ProxyProtocol = "require"
	})
	var protocols http.Protocols
	for name, c := range map[string]struct {
		scheme, address string
		set             func()
		version         int
	}{
		"in clear":        {"http", strings.TrimPrefix(b.url, "http://"), func() { protocols.SetHTTP1(true) }, 1},
		"HTTP/2":          {"http", strings.TrimPrefix(b.url, "http://"), func() { protocols.SetUnencryptedHTTP2(true) }, 2},
		"TLS":             {"https", b.tls, func() { protocols.SetHTTP1(true) }, 1},
		"HTTP/2 over TLS": {"https", b.tls, func() { protocols.SetHTTP2(true) }, 2},
	} {
		protocols = http.Protocols{}
		c.set()
		transport := &http.Transport{
			Protocols: &protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, c.address)
				if err == nil {
					_, err = io.WriteString(conn, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n")
				}
				return conn, err
			},
		}
		for range 3 { // over one connection
			r, body := get(t, &http.Client{Transport: transport}, c.scheme+"://shop.example/app")
			if r.ProtoMajor != c.version || body != "HTTP/1.1 GET / for=203.0.113.7 proto="+c.scheme {
				t.Errorf("%s: HTTP/%d %s", name, r.ProtoMajor, body)
			}
		}
		transport.CloseIdleConnections()
	}
	for _, item := range b.logs(t, nil).Items {
		if item.ClientIp != "203.0.113.7" {
			t.Errorf("%+v", item)
		}
	}
	if _, err := client(t).Get(b.url + "/app"); err == nil {
		t.Error("a connection without a header is served")
	}
	_, metrics := get(t, client(t), b.admin+"/metrics")
	if !strings.Contains(metrics, `nemesis_lb_proxy_headers_refused_total{reason="missing"} 1`) {
		t.Error("it is not counted")
	}
}

func TestEntry_AnIdleHTTP2ConnectionGivesWay(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, seen))
	b := boot(t, server.URL, nil)
	b.put(t, settings("round_robin", 1, 60))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	for range 3 { // each leaves its connection open
		transport := &http.Transport{Protocols: &protocols}
		defer transport.CloseIdleConnections()
		// The one before is idle a moment after its answer has come.
		testwait.Until(t, "it is served", func() bool {
			r, _ := get(t, &http.Client{Transport: transport}, b.url+"/app")
			return r.StatusCode == http.StatusOK
		})
	}
	testwait.Until(t, "HTTP/1.1 is served", func() bool {
		r, _ := get(t, client(t), b.url+"/app")
		return r.StatusCode == http.StatusOK
	})
}

// echoing is a gRPC server that gives back what it gets.
type echoing struct {
	testgrpc.UnimplementedTestServiceServer
}

func (echoing) UnaryCall(_ context.Context, r *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	return &testgrpc.SimpleResponse{Payload: r.Payload}, nil
}

func (echoing) FullDuplexCall(both testgrpc.TestService_FullDuplexCallServer) error {
	for {
		r, err := both.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = both.Send(&testgrpc.StreamingOutputCallResponse{Payload: r.Payload})
		}
		if err != nil {
			return err
		}
	}
}

func grpcPod(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(server, echoing{})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

func grpcClient(t *testing.T, address string, c credentials.TransportCredentials) testgrpc.TestServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return testgrpc.NewTestServiceClient(conn)
}

// grpcSleeper is an application that speaks gRPC and sleeps; a start makes its pod ready.
func grpcSleeper(t *testing.T, controller *fakeController) {
	t.Helper()
	h2c, address := autoscaler.H2C, grpcPod(t)
	sleeper(controller, "app", "/", address, func(r *autoscaler.Route) { r.Protocol = &h2c })
	controller.mu.Lock()
	controller.onStart = func(k autoscaler.ApplicationKey) {
		controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
			r := routes[k]
			r.State, r.Endpoints = autoscaler.ApplicationStateAwake, []autoscaler.Endpoint{ready("app-1", address)}
			routes[k] = r
		})
	}
	controller.mu.Unlock()
}

func TestEntry_GRPCWakesAnApplication(t *testing.T) {
	withTLS := overTLS(t, "shop.example")
	for _, secure := range []bool{false, true} {
		controller, server := newFakeController(t)
		grpcSleeper(t, controller)
		b := boot(t, server.URL, withTLS)
		address, c := strings.TrimPrefix(b.url, "http://"), insecure.NewCredentials()
		if secure {
			address, c = b.tls, credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
		}
		caller := grpcClient(t, address, c)
		answer, err := caller.UnaryCall(t.Context(), &testgrpc.SimpleRequest{Payload: &testgrpc.Payload{Body: []byte("hello")}})
		if err != nil || string(answer.Payload.Body) != "hello" {
			t.Fatalf("TLS %v: %v", secure, err)
		}
		if n := len(controller.calls()); n != 1 {
			t.Errorf("%d start calls", n)
		}
		for range 20 {
			if _, err := caller.UnaryCall(t.Context(), &testgrpc.SimpleRequest{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestEntry_GRPCIsRefusedInItsOwnWords(t *testing.T) {
	controller, server := newFakeControllerWithRoutes(t)
	b := boot(t, server.URL, func(s *app.Settings) { s.WaitingRoomRequests = 1 })
	caller := grpcClient(t, strings.TrimPrefix(b.url, "http://"), insecure.NewCredentials())
	if _, err := caller.UnaryCall(t.Context(), &testgrpc.SimpleRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("without an application: %v", err)
	}
	h2c := autoscaler.H2C
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("app", "/")
		r.Protocol = &h2c
		routes[key("app")] = r
	})
	testwait.Until(t, "the route is followed", func() bool { return len(b.state(t).Applications) == 1 })
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := caller.UnaryCall(ctx, &testgrpc.SimpleRequest{})
		first <- err
	}()
	controller.await(t, "that one waits", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "app")
		return ok && a.Waiting == 1
	})
	if _, err := caller.UnaryCall(t.Context(), &testgrpc.SimpleRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one too many: %v", err)
	}
	leave()
	if err := <-first; status.Code(err) != codes.Canceled {
		t.Errorf("who left: %v", err)
	}
	controller.await(t, "that nobody waits", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "app")
		return ok && a.Waiting == 0
	})
}

func TestEntry_ADrainLetsStreamsEnd(t *testing.T) {
	controller, server := newFakeController(t)
	grpcSleeper(t, controller)
	b := boot(t, server.URL, nil)
	both, err := grpcClient(t, strings.TrimPrefix(b.url, "http://"), insecure.NewCredentials()).FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	turn := func() {
		t.Helper()
		if err := both.Send(&testgrpc.StreamingOutputCallRequest{Payload: &testgrpc.Payload{Body: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		if _, err := both.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	turn()
	b.stop()
	testwait.Until(t, "readyz says draining", func() bool {
		r, err := http.Get(b.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusServiceUnavailable
	})
	for range 10 {
		turn()
	}
	if err := both.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := <-b.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	b.ended <- nil
}
