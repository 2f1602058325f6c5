package proxy_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

const upgrading = "GET /shop/ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Key: k\r\n\r\n"

// echoing changes the protocol, and says everything back; when the client has ended it says goodbye.
func echoing(heads chan<- []string) script {
	return func(c net.Conn, in *bufio.Reader) {
		var lines []string
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			lines = append(lines, strings.TrimSpace(line))
		}
		heads <- lines
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nwelcome ")
		_, _ = io.Copy(c, in)
		_, _ = io.WriteString(c, " goodbye")
	}
}

func TestUpgrade_BytesGoBothWaysAndEachSideEndsForItself(t *testing.T) {
	heads := make(chan []string, 1)
	b := newBed(t, pod(t, echoing(heads)))
	w := b.dial().say(upgrading + "first ") // what follows the head at once is the tunnel's
	r := w.answer()
	if r.StatusCode != http.StatusSwitchingProtocols || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" || r.Header.Get("Sec-WebSocket-Accept") != "x" || len(r.Header["Upgrade"]) != 1 {
		t.Fatalf("%+v", r)
	}
	head := strings.Join(<-heads, "\n")
	if !strings.Contains(head, "Connection: Upgrade\nUpgrade: websocket") || strings.Contains(head, "h2c") || !strings.Contains(head, "\nSec-WebSocket-Key: k\n") {
		t.Errorf("the pod was asked with\n%s", head)
	}
	w.read("welcome first ")
	w.say("second")
	w.read("second")
	if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.read(" goodbye")
	w.ends()
	if r := b.settled(); r.Status != 101 || r.RequestBytes != 12 || r.ResponseBytes != 28 || r.Error != "" {
		t.Errorf("the log has %+v", r)
	}
}

func TestUpgrade_ThePodMayEndFirst(t *testing.T) {
	received := make(chan string, 1)
	b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
		_ = wiretest.ReadRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nthat was all")
		_ = c.(*net.TCPConn).CloseWrite()
		rest, _ := io.ReadAll(in)
		received <- string(rest)
	}))
	w := b.dial().say(upgrading)
	w.answer()
	w.read("that was all")
	w.ends()
	w.say("still here")
	_ = w.Conn.(*net.TCPConn).CloseWrite()
	if got := <-received; got != "still here" {
		t.Errorf("the pod heard %q", got)
	}
	b.settled()
}

func TestUpgrade_ALargeAmountGoesThrough(t *testing.T) {
	heads := make(chan []string, 1)
	b := newBed(t, pod(t, echoing(heads)))
	w := b.dial().say(upgrading)
	w.answer()
	w.read("welcome ")
	const size = 4 << 20
	go func() {
		_, _ = io.Copy(w.Conn, io.LimitReader(zeros{}, size))
		_ = w.Conn.(*net.TCPConn).CloseWrite()
	}()
	if n, err := io.CopyN(io.Discard, w.in, size); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	w.read(" goodbye")
	if r := b.settled(); r.RequestBytes != size || r.ResponseBytes != size+16 {
		t.Errorf("the log has %+v", r)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestUpgrade_IsNoneWhereNoneWasAskedForOrABodyComes(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
	for name, says := range map[string]string{
		"not asked for":      "GET /shop HTTP/1.1\r\nHost: a\r\n\r\n",
		"HTTP/2 alone":       "GET /shop HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"a body of a length": "POST /shop HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello",
		"a body in chunks":   "POST /shop HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if r.Header.Get("Upgrade") != "" {
					t.Errorf("the pod was asked for %s", r.Header.Get("Upgrade"))
				}
				_, _ = io.WriteString(c, switching)
				_, _ = io.Copy(io.Discard, in)
			}))
			w := b.dial().say(says)
			if r, _ := w.whole(); r.StatusCode != http.StatusBadGateway {
				t.Errorf("%+v", r)
			}
			b.settled()
			w.say("GET /shop HTTP/1.1\r\nHost: a\r\n\r\n") // and the connection is as good as before
			if r, _ := w.whole(); r.StatusCode != http.StatusBadGateway {
				t.Errorf("then %+v", r)
			}
			b.settled()
		})
	}
}

func TestUpgrade_ThatIsDeclinedIsAnAnswerLikeAnother(t *testing.T) {
	b := newBed(t, pod(t, answering("HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno")))
	w := b.dial()
	for range 3 {
		w.say(upgrading)
		if r, body := w.whole(); r.StatusCode != http.StatusUpgradeRequired || body != "no" || r.Close {
			t.Fatalf("%+v %q", r, body)
		}
		b.settled()
	}
}

func TestDrain_ClosesTunnelsOnBothSides(t *testing.T) {
	closed, heads := make(chan struct{}), make(chan []string, 1)
	b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
		echoing(heads)(c, in)
		close(closed)
	}))
	w := b.dial().say(upgrading)
	w.answer()
	w.read("welcome ")
	over := make(chan struct{})
	close(over)
	if cut := b.proxy.Drain(over); cut != 1 {
		t.Errorf("%d were cut", cut)
	}
	b.do("the pod's side to be closed", closed)
	if _, err := w.in.ReadByte(); err == nil {
		t.Error("the client's side goes on")
	}
	b.settled()
}

// A client that does not answer: its pod is told by a masked frame, and what it says then has no place.
func TestSendAway_ThePodOfAClientThatDoesNotCloseIsTold(t *testing.T) {
	told := make(chan []byte, 1)
	b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
		_ = wiretest.ReadRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x02hi")
		frame, _ := in.Peek(len("\x81\x80....") + 2)
		frame, _ = in.Peek(len(frame) + 4 + int(frame[len(frame)-1]&0x7f))
		told <- bytes.Clone(frame)
		_, _ = io.WriteString(c, "\x81\x02ho\x88\x02\x03\xe9")
		_, _ = io.Copy(io.Discard, in)
	}))
	w := b.dial().say(upgrading)
	w.answer()
	w.read("\x81\x02hi")
	w.say("\x81\x80....")
	if asked := b.proxy.SendAway(nil, 30*time.Millisecond); asked != 1 {
		t.Errorf("%d were asked", asked)
	}
	frame, _ := bytes.CutPrefix(<-told, []byte("\x81\x80...."))
	if len(frame) < 8 || frame[0] != 0x88 || frame[1] != 0x80|byte(len(frame)-6) || frame[6]^frame[2] != 0x03 || frame[7]^frame[3] != 0xe9 {
		t.Errorf("the pod got %q", frame)
	}
	w.read("\x88")
	if rest, err := io.ReadAll(w.in); err != nil || !bytes.HasPrefix(rest[1:], []byte("\x03\xe9")) || len(rest) != int(rest[0])+1 {
		t.Errorf("the client got %q, %v", rest, err)
	}
	w.say("\x81\x81....x\x88\x80....") // which has no place either
	_ = w.Conn.Close()
	b.settled()
}
