package http1

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

const upgrade = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

// tunnel changes to a protocol that says everything again, until the client ends its side; then it
// says so, and ends.
func tunnel(t *testing.T, ended chan<- struct{}) script {
	t.Helper()
	return func(c proxy.Client, r *message.Request) {
		c.Watch(nil)
		if err := c.Begin(&proxy.Head{Status: 101, Reason: "Switching Protocols", Fields: today(), Bodiless: true, Upgrade: r.Upgrade}); err != nil {
			t.Error(err)
		}
		stream, err := c.Tunnel()
		if err != nil {
			t.Error(err)
			return
		}
		for {
			part, err := stream.Next()
			if err != nil {
				break
			}
			_, _ = stream.Write(part)
			stream.Used(len(part))
		}
		_, _ = stream.Write([]byte("bye"))
		_ = stream.CloseWrite()
		ended <- struct{}{}
	}
}

func TestTunnel_GivesTheConnectionAwayWithWhatCameBefore(t *testing.T) {
	ended := make(chan struct{}, 10)
	for name, d := range map[string]*site{"in clear": start(t, tunnel(t, ended)).serve(), "TLS": start(t, tunnel(t, ended)).encrypted().serve()} {
		c := d.dial().send(upgrade + "early")
		const head = "HTTP/1.1 101 Switching Protocols\r\ndate: today\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
		got := make([]byte, len(head)+len("early"))
		if _, err := io.ReadFull(c.r, got); string(got) != head+"early" || err != nil {
			t.Fatalf("%s: %q, %v", name, got, err)
		}
		for range 3 {
			c.send("hello")
			if _, err := io.ReadFull(c.r, got[:5]); string(got[:5]) != "hello" || err != nil {
				t.Fatalf("%s: %q, %v", name, got[:5], err)
			}
		}
		// The client ends its side alone, and still listens.
		if half, ok := c.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
			t.Fatal("half a close is not possible")
		}
		if rest, err := io.ReadAll(c.r); string(rest) != "bye" || err != nil {
			t.Errorf("%s: %q, %v", name, rest, err)
		}
		testwait.Receive(t, name, ended)
	}
}

func TestTunnel_IsThereAfterA101Alone(t *testing.T) {
	faults := make(chan error, 2)
	c := start(t, func(c proxy.Client, _ *message.Request) {
		_, err := c.Tunnel()
		faults <- err
		ok(c, "none")
		_, err = c.Tunnel()
		faults <- err
	}).serve().dial()
	c.send(upgrade).expect(200, "none", false)
	for range 2 {
		if err := testwait.Receive(t, "it is refused", faults); !errors.Is(err, errNoTunnel) {
			t.Error(err)
		}
	}
}

func TestTunnel_ThatIsClosedByItsHandlerEndsTheConnection(t *testing.T) {
	c := start(t, func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 101, Fields: today(), Bodiless: true, Upgrade: "echo"})
		if stream, err := c.Tunnel(); err == nil {
			_ = stream.Close()
		}
	}).serve().dial()
	if answer, _, _ := c.send(upgrade).read("GET"); answer.StatusCode != http.StatusSwitchingProtocols {
		t.Error(answer.Status)
	}
	c.expectEnd()
}
