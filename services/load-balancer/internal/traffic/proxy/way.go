package proxy

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/websocket"
)

// way is one direction of a tunnel. One goroutine passes on what comes; another may have it say, in the
// right place, that the connection is about to end.
type way struct {
	from, to Stream
	bytes    int64 // that were passed on

	frames *websocket.Frames     // nil: this is no WebSocket
	ending func(b []byte) []byte // appends the frame that closes, as this side sends it
	asked  atomic.Int32          // to close, and where: a moment

	mu     sync.Mutex // of all that is written to the other side
	closed bool       // that frame was sent: what comes now goes nowhere
	over   bool       // nothing may be written any more
}

// moment is where a frame that closes may stand.
type moment = int32

const (
	never moment = iota
	betweenMessages
	betweenFrames
)

// why is what clients and pods are told with the frame that closes.
const why = "the load balancer is about to end"

func closeClient(b []byte) []byte { return websocket.AppendClose(b, websocket.GoingAway, why) }

func closePod(b []byte) []byte {
	var key [4]byte
	_, _ = rand.Read(key[:]) // it never fails
	return websocket.AppendMaskedClose(b, key, websocket.GoingAway, why)
}

// pass passes on what has come. ended: nothing follows, for the side that it comes from has closed too.
func (w *way) pass(part []byte) (ended bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.frames == nil {
		return false, w.write(part)
	}
	n, due := 0, w.due()
	for n < len(part) && !due && !w.closed {
		n += w.frames.ToEnd(part[n:])
		due = w.due()
	}
	if n > 0 {
		err = w.write(part[:n])
	}
	if due && err == nil {
		err = w.close()
	}
	w.frames.Pass(part[n:])
	return w.closed && w.frames.Closed(), err
}

// due tells whether the frame that closes has its place here. Behind another one it has none.
func (w *way) due() bool {
	if w.closed || w.over || w.frames.Closed() {
		return false
	}
	switch w.asked.Load() {
	case betweenMessages:
		return w.frames.BetweenMessages()
	case betweenFrames:
		return w.frames.Between()
	}
	return false
}

func (w *way) write(part []byte) error {
	_, err := w.to.Write(part)
	if err == nil {
		w.bytes += int64(len(part))
	}
	return err
}

// close sends the frame that closes.
func (w *way) close() error {
	w.closed = true
	return w.write(w.ending(make([]byte, 0, 64)))
}

// ask has the frame be sent as soon as it may stand there: whoever writes looks for the place, also
// behind what is being written.
func (w *way) ask(at moment) {
	for old := w.asked.Load(); old < at && !w.asked.CompareAndSwap(old, at); old = w.asked.Load() {
	}
}

// closeNow sends the frame that was asked for, if it may stand here. While somebody writes it does
// nothing: that one looks when it is done.
func (w *way) closeNow(patience time.Duration, now time.Time) error {
	at := never
	for at != w.asked.Load() {
		at = w.asked.Load()
		if !w.mu.TryLock() {
			return nil
		}
		if err := w.closeAndUnlock(patience, now); err != nil {
			return err
		}
	}
	return nil
}

func (w *way) closeAndUnlock(patience time.Duration, now time.Time) error {
	defer w.mu.Unlock()
	if !w.due() {
		return nil
	}
	w.to.Idle(0, patience, now)
	return w.close()
}

// end passes on that no more comes, and says why where that may still be said.
func (w *way) end(leaving bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if leaving && w.frames != nil && w.frames.Between() && !w.frames.Closed() && !w.closed {
		if err := w.close(); err != nil {
			return err
		}
	}
	return w.to.CloseWrite()
}

// finish has nothing be written from now on.
func (w *way) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}
