package proxy

import (
	"runtime/debug"
	"time"
)

// SendAway asks the clients of WebSockets to go elsewhere, and their pods to let them go, within the
// time that is left to both. It returns when all have been asked, or done is closed, with how many
// there were at first.
//
// A client is told by a frame that closes (1001, going away) and connects anew, which brings it to
// another load balancer; what its pod still sends has no place behind that frame. Its own frame that
// closes goes to the pod, behind all that it has sent before. So nothing of what a client says is lost,
// and of what a pod says only what was on its way in that moment. That is why it is done late, and
// between two messages where there is such a place.
//
// In the first third of the time one after the other is asked, so that not all of them connect anew at
// once; after two thirds those that are still within a message, between two frames of it; after five
// sixths the pods of clients that have not closed. What is left when the time is over is cut.
//
// nginx, HAProxy, Envoy and Traefik say nothing to either side: tunnels go on to the end of the time
// that a drain may take, and are cut then. Caddy writes to both at once, wherever a frame may be.
func (p *Proxy) SendAway(done <-chan struct{}, within time.Duration) (asked int) {
	began := time.Now()
	until := func(d time.Duration) bool {
		timer := time.NewTimer(d - time.Since(began))
		defer timer.Stop()
		select {
		case <-timer.C:
			return true
		case <-done:
			return false
		}
	}
	open := p.active.leave()
	for i, t := range open {
		if !until(within / 3 * time.Duration(i) / time.Duration(len(open))) {
			return i
		}
		t.sendAway(betweenMessages)
	}
	if until(within / 3 * 2) {
		for _, t := range p.active.leave() {
			t.sendAway(betweenFrames)
		}
	}
	if until(within / 6 * 5) {
		for _, t := range p.active.leave() {
			t.tell(&t.up, betweenFrames)
		}
	}
	return len(open)
}

// sendAway asks the client to go elsewhere.
func (t *tunnel) sendAway(at moment) {
	t.leaving.Store(true)
	t.tell(&t.down, at)
}

// tell has one side be told, beside the caller: it may take nothing for a while.
func (t *tunnel) tell(w *way, at moment) {
	w.ask(at)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				t.caught(fault, debug.Stack())
				t.Cancel()
			}
		}()
		if w.closeNow(t.idle, t.now()) != nil {
			t.Cancel()
		}
	}()
}
