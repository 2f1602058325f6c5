package app_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// serve boots a load balancer before one pod, and returns its address.
func serve(t *testing.T, handler http.HandlerFunc) (*balancer, *fakeController) {
	t.Helper()
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, handler))
	return boot(t, server.URL, nil), controller
}

func TestStream_EachEventArrivesBeforeTheNextIsSent(t *testing.T) {
	for name, header := range map[string]string{"events": "text/event-stream", "unknown length": "text/plain"} {
		t.Run(name, func(t *testing.T) {
			next := make(chan struct{})
			b, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", header)
				control := http.NewResponseController(w)
				_ = control.Flush()
				for i := range 20 {
					<-next
					fmt.Fprintf(w, "data: %d\n\n", i)
					_ = control.Flush()
				}
			})
			r, err := client(t).Get(b.url + "/app/events") // the head comes before any event
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Body.Close() }()
			lines := bufio.NewReader(r.Body)
			for i := range 20 {
				next <- struct{}{}
				line, err := lines.ReadString('\n')
				if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
					t.Fatalf("event %d: %q, %v", i, line, err)
				}
				_, _ = lines.ReadString('\n')
			}
			if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
				t.Errorf("after the last event: %q, %v", rest, err)
			}
		})
	}
}

func TestStream_UploadArrivesAsItIsSent(t *testing.T) {
	arrived := make(chan string)
	b, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			arrived <- line
		}
	})
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		r, err := client(t).Post(b.url+"/app", "text/plain", in)
		if err == nil {
			_ = r.Body.Close()
		}
		done <- err
	}()
	for i := range 10 {
		sent := fmt.Sprintf("line %d\n", i)
		if _, err := io.WriteString(out, sent); err != nil {
			t.Fatal(err)
		}
		if got := <-arrived; got != sent {
			t.Fatalf("%q arrived, want %q", got, sent)
		}
	}
	_ = out.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestClientGone_CancelsThePod(t *testing.T) {
	for name, early := range map[string]bool{"before the head": false, "in the stream": true} {
		t.Run(name, func(t *testing.T) {
			began, cancelled := make(chan struct{}), make(chan struct{})
			b, controller := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if early {
					_ = http.NewResponseController(w).Flush()
				}
				close(began)
				<-r.Context().Done()
				close(cancelled)
			})
			ctx, cancel := context.WithCancel(t.Context())
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/app", nil)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if answer, err := client(t).Do(r); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
				}
			}()
			<-began
			cancel()
			<-ended
			<-cancelled
			controller.await(t, "that nothing is in flight", func(r autoscaler.TrafficReport) bool {
				a, ok := traffic(r, "app")
				return ok && a.Requests == 1 && a.InFlight == 0 && a.Failures == 0
			})
		})
	}
}

func TestClientGone_LeavesTheWaitingRoomAtOnce(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { routes[key("app")] = route("app", "/app") })
	b := boot(t, server.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/app", strings.NewReader("some body"))
	ended := make(chan error, 1)
	go func() {
		answer, err := client(t).Do(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		ended <- err
	}()
	controller.await(t, "that one waits", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "app")
		return ok && a.Waiting == 1 && a.WaitingBytes > 0
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	controller.await(t, "that nobody waits", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "app")
		return ok && a.Waiting == 0 && a.WaitingBytes == 0
	})
}

func TestAnswer_BrokenOffIsSeenByTheClient(t *testing.T) {
	b, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r, err := client(t).Get(b.url + "/app")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if text, err := io.ReadAll(r.Body); err == nil || string(text) != "half" {
		t.Errorf("%q, %v: want the half and an error", text, err)
	}
}

func TestUpgrade_TunnelsBothWays(t *testing.T) {
	b, controller := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Kept: yes\r\n\r\nhi\n")
		_ = rw.Flush()
		_, _ = io.Copy(c, rw)
	})
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(testwait.Deadline())
	fmt.Fprint(c, "GET /app HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly\n")
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("X-Kept") != "yes" {
		t.Fatalf("answer = %+v, %v", answer, err)
	}
	for _, want := range []string{"hi\n", "early\n"} {
		if line, err := in.ReadString('\n'); err != nil || line != want {
			t.Fatalf("%q, %v, want %q", line, err, want)
		}
	}
	for range 5 {
		fmt.Fprint(c, "ping\n")
		if line, err := in.ReadString('\n'); err != nil || line != "ping\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	_ = c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	controller.await(t, "that the tunnel has ended", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "app")
		return ok && a.Requests == 1 && a.InFlight == 0 && a.Streaming == 0
	})
}

func TestExpect_IsAcknowledgedByThePodAlone(t *testing.T) {
	for name, wanted := range map[string]bool{"wanted": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			controller, server := newFakeController(t)
			sleeper(controller, "app", "/app", pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !wanted {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				body, _ := io.ReadAll(r.Body)
				_, _ = w.Write(body)
			})), nil)
			b := boot(t, server.URL, nil)
			c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(testwait.Deadline())
			fmt.Fprint(c, "POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			in := bufio.NewReader(c)
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if !wanted {
				if answer.StatusCode != http.StatusForbidden {
					t.Errorf("first came %s, want the refusal: nobody may ask for a body that the pod does not want", answer.Status)
				}
				return
			}
			if answer.StatusCode != http.StatusContinue {
				t.Fatalf("first came %s, want 100", answer.Status)
			}
			fmt.Fprint(c, "hello")
			answer, err = http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			if body, _ := io.ReadAll(answer.Body); string(body) != "hello" {
				t.Errorf("%s %q", answer.Status, body)
			}
		})
	}
}
