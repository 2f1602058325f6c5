package http1

import (
	"sync"
	"sync/atomic"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// watch sees when the client of a connection goes. A client that ends its sending side has gone,
// unless it has sent more before: what it sent waits to be read, and it may want the answers.
type watch struct {
	conn *conn

	mu     sync.Mutex
	hung   atomic.Bool // the client has ended its sending side
	broken bool        // and takes no answer
	serves bool        // an exchange is under way
	gone   bool
	who    proxy.Canceler
	closed chan struct{} // closed when the client has gone; made when it is asked for
}

// begin begins an exchange.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serves = true
	w.look()
}

// end ends it.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serves, w.who = false, nil
	if !w.gone {
		w.closed = nil
	}
}

// hungUp is called when the other side has closed, or half closed, or the connection is broken as a
// whole; while nobody serves, the reader of the next head sees it itself.
func (w *watch) hungUp(whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = w.broken || whole
	w.hung.Store(true)
	w.look()
}

// lookAgain is called when what was unread has changed.
func (w *watch) lookAgain() {
	if w.hung.Load() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.look()
	}
}

// went ends what goes on for the client.
func (w *watch) went() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leave()
}

// look finds out whether the client has gone: no answer could reach it, or it has ended its sending
// side and nothing that it sent waits to be read; while it waits for a pod, nothing but the rest of its
// body. While somebody reads, that one sees the end.
func (w *watch) look() {
	if !w.serves || w.gone || !w.hung.Load() {
		return
	}
	if w.broken || w.conn.unread.nothing() && w.conn.link.Ended() || w.waits() && w.conn.unread.last(w.conn.link.InQueue) {
		w.leave()
	}
}

// waits tells whether the exchange waits for a pod. From the sending on the body is read to its end,
// and only then the client has gone: what it sent and left reaches the pod.
func (w *watch) waits() bool { return w.closed != nil && w.who == nil }

func (w *watch) leave() {
	if w.gone {
		return
	}
	w.gone = true
	if w.closed != nil {
		close(w.closed)
	}
	if w.who != nil {
		w.who.Cancel()
	}
}

func (w *watch) name(who proxy.Canceler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.who = who
	if who == nil {
		return
	}
	w.look()
	if w.gone {
		who.Cancel()
	}
}

func (w *watch) channel() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed == nil {
		w.closed = make(chan struct{})
		if w.gone {
			close(w.closed)
		}
	}
	w.look()
	return w.closed
}

func (w *watch) has() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look()
	return w.gone
}
