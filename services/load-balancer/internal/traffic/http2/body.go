package http2

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// mostKept bounds what is kept of a body, so that it can be sent to another pod when this one
// provably did not work on it.
const mostKept = 64 << 10

var errBodyClosed = errors.New("the body is wanted no more")

// outgoing is a request's body as net/http reads it, from the client. Nobody reads the client's body,
// nor what was gathered of it, when Close has returned: net/http may go on asking for a while.
type outgoing struct {
	r       *proxy.Outgoing
	streams bool
	trailer func() // puts what follows the body where net/http finds it

	waits atomic.Bool  // for the client: the pod can do nothing
	took  atomic.Int64 // UnixNano of when the pod took a part, or that wait ended

	mu        sync.Mutex
	reading   *sync.Cond // a read of the client's body is under way, as long as waits
	begun     []byte     // that comes first
	closed    bool
	continued bool   // a client that waits to be told to send has been
	kept      []byte // what was read of the client's body
	whole     bool   // to its end
	lost      bool   // not all of it is kept
	fault     error  // a *proxy.BodyError
}

func newOutgoing(r *proxy.Outgoing) *outgoing {
	b := &outgoing{r: r, streams: r.Streams, trailer: func() {}}
	b.reading = sync.NewCond(&b.mu)
	return b
}

func (b *outgoing) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.took.Store(time.Now().UnixNano())
	switch {
	case b.closed:
		return 0, errBodyClosed
	case len(b.begun) > 0:
		n := copy(p, b.begun)
		b.begun = b.begun[n:]
		return n, nil
	case !b.streams:
		return 0, io.EOF
	case b.fault != nil:
		return 0, b.fault
	}
	n, err := b.readClient(p)
	switch {
	case b.closed:
		return 0, errBodyClosed // which may be why it failed
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		b.whole = true
		b.trailer()
		return n, io.EOF
	}
	b.fault = &proxy.BodyError{Err: err}
	return 0, b.fault
}

// readClient reads the next part; Close may come meanwhile.
func (b *outgoing) readClient(p []byte) (n int, err error) {
	tell := b.r.Expect && !b.continued
	b.continued = true
	b.waits.Store(true)
	b.mu.Unlock()
	n, err = readGuarded(b.r.Client, tell, p)
	b.mu.Lock()
	b.took.Store(time.Now().UnixNano())
	b.waits.Store(false)
	b.reading.Broadcast()
	if !b.lost && len(b.kept)+n <= mostKept {
		b.kept = append(b.kept, p[:n]...)
	} else {
		b.kept, b.lost = nil, true
	}
	return n, err
}

var errFault = errors.New("a fault in the load balancer")

// readGuarded reads on a goroutine of net/http's: a fault there would end the process.
func readGuarded(c proxy.Exchanging, tell bool, p []byte) (n int, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			n, err = 0, errFault
		}
	}()
	if tell {
		if err := c.Continue(); err != nil {
			return 0, err
		}
	}
	return c.Read(p)
}

// Close ends the reading of the client's body. A read that is under way fails, and then no part of
// the body can be read any more; otherwise it can be read on from where it is.
func (b *outgoing) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.waits.Load() {
		b.lost = true
		b.r.Client.Interrupt()
		for b.waits.Load() {
			b.reading.Wait()
		}
	}
	return nil
}

// rewind makes the request ready to be sent anew; false when that cannot be.
func (b *outgoing) rewind() bool {
	_ = b.Close()
	if b.lost || b.fault != nil {
		return false
	}
	if len(b.kept) > 0 {
		b.r.Begun = slices.Concat(b.r.Begun, b.kept)
	}
	if b.whole && len(b.r.Client.Trailer()) == 0 {
		b.r.Whole, b.r.Begun, b.r.Streams, b.r.Length = b.r.Begun, nil, false, int64(len(b.r.Begun))
	}
	return true
}

// clientFault is why the client's body could not be read; nil when that was not the matter.
func (b *outgoing) clientFault() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fault
}
