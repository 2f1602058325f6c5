// Package nethttp is net/http's side of an exchange: it lets a request that net/http's server has
// read go the proxy's way, and writes the answer to its ResponseWriter. The admin port's own calls
// come this way.
package nethttp

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// partSize is how much of an answer's body is passed on at once.
const partSize = 16 << 10

var errNoTunnel = errors.New("the protocol cannot be changed here")

// client is the client's side.
type client struct {
	w       http.ResponseWriter
	control *http.ResponseController
	peer    proxy.Peer
	body    io.Reader
	ctx     context.Context //nolint:containedctx // the request's own: it ends when the client goes
	cancel  context.CancelFunc
	part    []byte

	mu  sync.Mutex
	who proxy.Canceler // is told when the client goes
}

var _ proxy.CallClient = (*client)(nil)

func newClient(ctx context.Context, w http.ResponseWriter, remote string, body io.Reader) *client {
	c := &client{w: w, control: http.NewResponseController(w), body: body}
	c.ctx, c.cancel = context.WithCancel(ctx)
	context.AfterFunc(c.ctx, c.left)
	if both, err := netip.ParseAddrPort(remote); err == nil {
		ip := both.Addr().Unmap().WithZone("")
		c.peer = proxy.Peer{IP: ip, Address: ip.String(), Port: both.Port()}
	}
	return c
}

// Peer is who asked.
func (c *client) Peer() proxy.Peer { return c.peer }

// Crowded is never so: the admin port's connections are not counted.
func (c *client) Crowded() (int, bool) { return 0, false }

// Read gives the body.
func (c *client) Read(p []byte) (int, error) { return c.body.Read(p) }

// Patience does nothing: the body is in memory.
func (c *client) Patience(time.Duration, time.Time) {}

// Trailer is none.
func (c *client) Trailer() message.Fields { return nil }

// Continue does nothing: the body is here.
func (c *client) Continue() error { return nil }

// Interrupt does nothing: no read waits.
func (c *client) Interrupt() {}

// Cancel gives up.
func (c *client) Cancel() { c.cancel() }

// Watch names who is told when the client goes.
func (c *client) Watch(who proxy.Canceler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.who = who
	if who != nil && c.HasGone() {
		who.Cancel()
	}
}

// left tells who is to be told, and nobody who is not any more.
func (c *client) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.who != nil {
		c.who.Cancel()
	}
}

// Gone is closed when the client has gone.
func (c *client) Gone() <-chan struct{} { return c.ctx.Done() }

// HasGone tells whether it has.
func (c *client) HasGone() bool { return c.ctx.Err() != nil }

// Inform passes an informational answer on. What stands in the header besides is for the answer.
func (c *client) Inform(h *message.Response) error {
	header := c.w.Header()
	kept := header.Clone()
	clear(header)
	setFields(header, h.Fields)
	c.w.WriteHeader(h.Status)
	clear(header)
	maps.Copy(header, kept)
	return nil
}

// Begin writes the head. Its fields go before those that the server has set already.
func (c *client) Begin(h *proxy.Head) error {
	header := c.w.Header()
	setFields(header, h.Fields, h.Add)
	if header.Get("Content-Type") == "" {
		header["Content-Type"] = nil // the server must not guess
	}
	if h.Length >= 0 && !h.Bodiless {
		header.Set("Content-Length", strconv.FormatInt(h.Length, 10))
	}
	c.w.WriteHeader(h.Status)
	return nil
}

// setFields puts fields into a header, in place of those that have their names.
func setFields(header http.Header, lists ...message.Fields) {
	for _, fields := range lists {
		for i := range fields {
			if !fields[i].Dropped {
				header.Del(fields[i].Name)
			}
		}
	}
	for _, fields := range lists {
		for i := range fields {
			if !fields[i].Dropped {
				header.Add(fields[i].Name, fields[i].Value)
			}
		}
	}
}

// Space is where the next part of the body is put.
func (c *client) Space() []byte {
	if c.part == nil {
		c.part = make([]byte, partSize)
	}
	return c.part
}

// Commit passes it on.
func (c *client) Commit(n int) error {
	if n == 0 {
		return nil
	}
	_, err := c.w.Write(c.part[:n])
	return err
}

// Flush sends what was written.
func (c *client) Flush() error {
	if err := c.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// End ends the answer.
func (c *client) End(trailer message.Fields) error {
	for i := range trailer {
		if !trailer[i].Dropped {
			c.w.Header().Add(http.TrailerPrefix+trailer[i].Name, trailer[i].Value)
		}
	}
	return nil
}

// Tunnel is not offered.
func (c *client) Tunnel() (proxy.Stream, error) { return nil, errNoTunnel }
