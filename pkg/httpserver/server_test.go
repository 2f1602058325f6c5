package httpserver

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func listen(t *testing.T, o Options) *Server {
	t.Helper()
	o.Address, o.Log = "127.0.0.1:0", discard()
	s, err := Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRun_DrainsWithoutLosingARequest(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := listen(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-release
		_, _ = io.WriteString(w, "whole answer")
	})})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()

	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + s.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	<-started
	stop()
	select {
	case err := <-ended:
		t.Fatalf("ended with a request in flight: %v", err)
	default:
	}
	close(release)
	if got := <-answer; got != "whole answer" {
		t.Errorf("the client got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRun_ALameDuckAnswersAndSendsItsClientsAway(t *testing.T) {
	s := listen(t, Options{LameDuck: time.Minute, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	ctx, stop := context.WithCancel(t.Context())
	go func() { _ = s.Run(ctx) }()
	get := func() *http.Response {
		res, err := http.Get("http://" + s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	if get().Close {
		t.Error("closed before the drain")
	}
	stop()
	for !s.Draining() {
		get() // each answer takes long enough that this does not spin
	}
	if res := get(); res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("status %d, Connection: close %v; want 200 and true", res.StatusCode, res.Close)
	}
	_ = s.http.Close()
}

func TestRun_SaysThatTheDeadlineCutRequestsOff(t *testing.T) {
	started := make(chan struct{})
	s := listen(t, Options{DrainTimeout: time.Millisecond, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	go func() {
		if res, err := http.Get("http://" + s.Addr().String()); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-started
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "still in flight") {
		t.Errorf("err = %v", err)
	}
}

func TestListen_APortInUseFailsAtOnce(t *testing.T) {
	s := listen(t, Options{})
	if _, err := Listen(t.Context(), Options{Address: s.Addr().String(), Log: discard()}); err == nil {
		t.Error("no error")
	}
}

func TestListen_LetsOthersCountConnections(t *testing.T) {
	type mark struct{}
	accepted := 0
	s := listen(t, Options{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Context().Value(mark{}).(string))
		}),
		Listen:      func(l net.Listener) net.Listener { return counting{l, &accepted} },
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, mark{}, "marked") },
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	res, err := http.Get("http://" + s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	stop()
	if err := <-ended; err != nil || string(body) != "marked" || accepted != 1 {
		t.Errorf("%q, %d connections, %v", body, accepted, err)
	}
}

type counting struct {
	net.Listener
	n *int
}

func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		*c.n++
	}
	return conn, err
}
