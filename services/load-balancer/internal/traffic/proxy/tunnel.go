package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// tunnel is a connection that has changed its protocol, such as a WebSocket: bytes go both ways
// until one side ends it, or none come for too long.
type tunnel struct {
	client, pod net.Conn
	last        atomic.Int64 // UnixNano of the last byte, either way
	idle        time.Duration
	touch       func(time.Time)
}

// tunnel tells the client that the protocol changes, and joins the two connections.
func (x *exchange) tunnel() {
	x.status = http.StatusSwitchingProtocols
	protocol := x.answer.Header.Get("Upgrade")
	pod, fromPod := x.answer.Body.Tunnel()
	defer func() { _ = pod.Close() }()
	client, fromClient, err := x.control.Hijack()
	if err != nil {
		x.fault, x.cut = fmt.Errorf("hijack: %w", err), true
		return
	}
	defer func() { _ = client.Close() }()
	_ = client.SetDeadline(time.Time{})
	if err := x.writeSwitch(client, protocol); err != nil {
		x.fault = err
		return
	}
	t := &tunnel{client: client, pod: pod, idle: x.p.o.Limits.StreamIdle, touch: x.visit.App.Touch}
	x.p.guests.add(t)
	defer x.p.guests.remove(t)
	x.body.taken, x.sent, x.fault = t.run(fromClient.Reader, fromPod)
}

func (x *exchange) writeSwitch(client net.Conn, protocol string) error {
	head := x.answer.Header
	stripHopByHop(head)
	w := bufio.NewWriter(client)
	_, _ = w.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n")
	_ = head.Write(w)
	_, _ = w.WriteString("\r\n")
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	return nil
}

// run copies both ways and returns how many bytes came from the client and went to it. When one
// side has no more to say the other is told, and may finish.
func (t *tunnel) run(fromClient, fromPod *bufio.Reader) (up, down int64, err error) {
	t.last.Store(time.Now().UnixNano())
	ended := make(chan error, 1)
	go func() {
		var err error
		up, err = t.copy(t.pod, t.client, fromClient)
		ended <- err
	}()
	down, err = t.copy(t.client, t.pod, fromPod)
	err = errors.Join(<-ended, err)
	return up, down, err
}

func (t *tunnel) copy(to, from net.Conn, buffered *bufio.Reader) (int64, error) {
	buffer := copyBuffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer copyBuffers.Put(buffer)
	var total int64
	for {
		_ = from.SetReadDeadline(time.Unix(0, t.last.Load()).Add(t.idle))
		n, err := buffered.Read(*buffer)
		if n > 0 {
			now := time.Now()
			t.last.Store(now.UnixNano())
			t.touch(now)
			_ = to.SetWriteDeadline(now.Add(t.idle))
			if _, err := to.Write((*buffer)[:n]); err != nil {
				t.close()
				return total, err
			}
			total += int64(n)
		}
		if err == nil {
			continue
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && time.Since(time.Unix(0, t.last.Load())) < t.idle {
			continue // the other way had bytes meanwhile
		}
		if half, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) {
			return total, half.CloseWrite()
		}
		t.close()
		return total, err
	}
}

func (t *tunnel) close() {
	_ = t.client.Close()
	_ = t.pod.Close()
}
