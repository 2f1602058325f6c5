package app_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// leaving is a load balancer whose drain closes WebSockets so long before its end, and the pod behind it.
func leaving(t *testing.T, notice, drain time.Duration, pod string) *balancer {
	t.Helper()
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod)
	return boot(t, server.URL, func(s *app.Settings) { s.WebSocketNotice, s.DrainTimeout = notice, drain })
}

// echoes is a WebSocket of a well-kept library that gives back what it gets; how it ended goes to ended.
func echoes(ended chan<- error, mode websocket.CompressionMode) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: mode})
		if err != nil {
			ended <- err
			return
		}
		defer func() { _ = c.CloseNow() }()
		c.SetReadLimit(1 << 22)
		for {
			kind, message, err := c.Read(r.Context())
			if err == nil {
				err = c.Write(r.Context(), kind, message)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}
}

func TestDrain_AWebSocketIsClosedOnBothSides(t *testing.T) {
	for name, mode := range map[string]websocket.CompressionMode{"plain": websocket.CompressionDisabled, "compressed": websocket.CompressionContextTakeover} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			b := leaving(t, time.Hour, testwait.Limit(), pod(t, echoes(ended, mode)))
			c, answer, err := websocket.Dial(t.Context(), strings.Replace(b.url, "http", "ws", 1)+"/app", &websocket.DialOptions{CompressionMode: mode})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.CloseNow() }()
			if extensions := answer.Header.Get("Sec-WebSocket-Extensions"); (extensions != "") != (name == "compressed") {
				t.Errorf("the extensions %q", extensions)
			}
			c.SetReadLimit(1 << 22)
			for _, size := range []int{0, 1, 125, 126, 1 << 16, 1 << 20} {
				sent := bytes.Repeat([]byte("hello"), size/5+1)
				if err := c.Write(t.Context(), websocket.MessageBinary, sent); err != nil {
					t.Fatal(err)
				}
				if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, sent) {
					t.Fatalf("%d bytes of %d came back: %v", len(got), len(sent), err)
				}
			}
			b.stop()
			_, _, err = c.Read(t.Context())
			if closed, ok := errors.AsType[websocket.CloseError](err); !ok || closed.Code != websocket.StatusGoingAway || closed.Reason == "" {
				t.Errorf("the client's end: %v", err)
			}
			if err := <-ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("the pod's end: %v", err)
			}
		})
	}
}

// A client that talks all the time gets an answer to each message, or is told before it sends it.
func TestDrain_AClientThatTalksOnLosesNothingThatItHasSent(t *testing.T) {
	arrived, ended := make(chan int, 1<<20), make(chan error, 1)
	b := leaving(t, time.Hour, testwait.Limit(), pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		for n := 0; err == nil; n++ {
			if _, _, err = c.Read(r.Context()); err == nil {
				arrived <- n
				err = c.Write(r.Context(), websocket.MessageText, []byte("yes"))
			}
		}
		close(arrived)
		ended <- err
	})))
	c, _, err := websocket.Dial(t.Context(), strings.Replace(b.url, "http", "ws", 1)+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	told := make(chan error, 1)
	go func() {
		for {
			if _, _, err := c.Read(context.WithoutCancel(t.Context())); err != nil {
				told <- err
				return
			}
		}
	}()
	sent := 0
	for err == nil && sent < 1<<19 {
		if err = c.Write(t.Context(), websocket.MessageText, []byte(fmt.Sprint(sent))); err == nil {
			sent++
		}
		if sent == 500 {
			b.stop()
		}
	}
	if err := <-told; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the client's end: %v", err)
	}
	if err := <-ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the pod's end: %v", err)
	}
	got := 0
	for range arrived {
		got++
	}
	if got != sent {
		t.Errorf("%d messages of %d that were sent have arrived", got, sent)
	}
}

// scripted is a pod that changes to a WebSocket and does as it is told, frame by frame.
func scripted(t *testing.T, script func(c net.Conn, in *bufio.Reader)) string {
	t.Helper()
	return pod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(testwait.Deadline())
		_, _ = io.WriteString(c, switches)
		script(c, both.Reader)
	}))
}

// upgrade opens a WebSocket by hand.
func (b *balancer) upgrade(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(testwait.Deadline())
	in := bufio.NewReader(c)
	_, _ = io.WriteString(c, webSocket)
	if answer, err := http.ReadResponse(in, nil); err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", answer, err)
	}
	return c, in
}

// expects reads exactly these bytes.
func expects(t *testing.T, in io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(in, got); err != nil || string(got) != want {
		t.Fatalf("%.80q came, want %.80q: %v", got[:n], want, err)
	}
}

// A slow pod is within a large frame of a message of several, with a ping between them.
func TestDrain_AFrameOfASlowPodIsNotCut(t *testing.T) {
	const half = 1 << 17
	head, data := "\x02\x7f\x00\x00\x00\x00\x00\x04\x00\x00", strings.Repeat("\x88\x00", half/2)
	proceed, over := make(chan struct{}), make(chan struct{})
	b := leaving(t, time.Hour, testwait.Limit(), scripted(t, func(c net.Conn, in *bufio.Reader) {
		defer close(over)
		_, _ = io.WriteString(c, head+data)
		<-proceed
		_, _ = io.WriteString(c, data+"\x89\x02hi"+"\x80\x01.")
		expects(t, in, "\x88\x80\x00\x00\x00\x00")
		_, _ = io.WriteString(c, "\x82\x01x\x88\x00")
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
			t.Errorf("at the end the pod got %q, %v", rest, err)
		}
	}))
	c, in := b.upgrade(t)
	expects(t, in, head+data)
	b.stop()
	testwait.Until(t, "it drains", func() bool {
		r, err := http.Get(b.admin + "/readyz")
		if err == nil {
			_ = r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusServiceUnavailable
	})
	close(proceed)
	expects(t, in, data+"\x89\x02hi"+"\x80\x01."+"\x88")
	size, _ := in.ReadByte()
	expects(t, in, "\x03\xe9")
	_, _ = in.Discard(int(size) - 2)
	_, _ = io.WriteString(c, "\x88\x80\x00\x00\x00\x00")
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("at the end the client got %q, %v", rest, err)
	}
	_ = c.Close()
	<-over
}

func TestDrain_WithoutNoticeAWebSocketIsCutAtTheEnd(t *testing.T) {
	b := leaving(t, 0, time.Second, scripted(t, func(c net.Conn, in *bufio.Reader) { _, _ = io.Copy(c, in) }))
	_, in := b.upgrade(t)
	b.stop()
	if err := <-b.ended; err == nil {
		t.Error("nothing was cut")
	}
	b.ended <- nil
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		t.Errorf("the client got %q", rest)
	}
}

// The drain's time would be over long after the test's.
func TestDrain_DoesNotWaitForAPodThatNeverAnswersTheClientsClose(t *testing.T) {
	closed := make(chan struct{})
	b := leaving(t, time.Hour, 2*testwait.Limit(), scripted(t, func(_ net.Conn, in *bufio.Reader) {
		expects(t, in, "\x88\x80\x00\x00\x00\x00")
		close(closed)
		_, _ = io.Copy(io.Discard, in) // to the end of its side
		<-t.Context().Done()
	}))
	c, _ := b.upgrade(t)
	_, _ = io.WriteString(c, "\x88\x80\x00\x00\x00\x00")
	testwait.Receive(t, "the pod has the frame that closes", closed)
	_ = c.(*net.TCPConn).CloseWrite()
	b.stop()
	if err := testwait.Receive(t, "the load balancer ends", b.ended); err != nil {
		t.Errorf("it ends with %v", err)
	}
	b.ended <- nil
}
