package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// How much of a body is taken into memory.
const (
	gatherLimit = 64 << 10 // while its request waits: the rest stays with the client
	gatherStep  = 4 << 10  // by which the room is asked for more
	smallBody   = 8 << 10  // a body of this size is read whole before it is sent, in one piece with its head
)

// dropPatience is how long the rest of a body may take that nobody wants.
const dropPatience = time.Second

// longAgo is a deadline that ends a read at once.
var longAgo = time.Unix(1, 0)

var errBodyTooLarge = errors.New("the body is larger than allowed")

// clientBody is the body of a client's request. While the request waits a goroutine gathers the
// beginning of it into memory; then the sender reads what was gathered, and the rest as it comes. A
// body that was gathered to its end also lets the server see when the client goes.
type clientBody struct {
	source   io.Reader // nil is no body
	length   int64     // -1 is not known
	limit    int64
	patience time.Duration
	control  *http.ResponseController
	touch    func(time.Time)

	taken    int64     // bytes read from the client
	deadline time.Time // of reads from the client
	limited  bool      // a deadline is set
	cut      atomic.Bool

	mu        sync.Mutex
	changed   sync.Cond
	gathered  []byte // not yet read by the sender
	gathering bool   // a goroutine reads
	stop      bool   // it shall stop
	fault     error  // it met; io.EOF is the end
}

// gather reads up to gatherLimit bytes in the background. grow asks for room to hold more than
// reserved bytes.
func (b *clientBody) gather(reserved int64, grow func(int64) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.source == nil || b.gathering || b.fault != nil {
		return
	}
	b.changed.L = &b.mu
	b.gathering, b.stop = true, false
	go func() {
		for b.step(&reserved, grow) {
		}
	}()
}

// step gathers once; false when it is over.
func (b *clientBody) step(reserved *int64, grow func(int64) bool) bool {
	b.mu.Lock()
	have := int64(len(b.gathered))
	room := min(gatherLimit-have, gatherStep)
	if b.length < 0 && room > 0 && have+room > *reserved {
		if grow(gatherStep) {
			*reserved += gatherStep
		} else {
			room = 0
		}
	}
	if b.stop || b.fault != nil || room <= 0 {
		b.gathering = false
		b.changed.Broadcast()
		b.mu.Unlock()
		return false
	}
	b.mu.Unlock()
	chunk := make([]byte, room)
	n, err := b.fromClient(chunk)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gathered = append(b.gathered, chunk[:n]...)
	b.fault = err
	b.changed.Broadcast()
	return true
}

// leaveGathering lets the gathering end after the read that it is in.
func (b *clientBody) leaveGathering() {
	b.mu.Lock()
	b.stop = true
	b.mu.Unlock()
}

// whole is the body when it is in memory to its end. A small one that the client announced is read
// now.
func (b *clientBody) whole(mayRead bool) ([]byte, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if mayRead && b.length >= 0 && b.length <= smallBody {
		for b.gathering {
			b.changed.Wait()
		}
		if b.gathered == nil {
			b.gathered = make([]byte, 0, b.length)
		}
		for b.fault == nil {
			have := len(b.gathered)
			n, err := b.fromClient(b.gathered[have:max(cap(b.gathered), have)])
			b.gathered, b.fault = b.gathered[:have+n], err
			if b.fault == nil && len(b.gathered) == cap(b.gathered) {
				b.gathered = append(b.gathered, 0)[:len(b.gathered)]
			}
		}
		if !errors.Is(b.fault, io.EOF) {
			return nil, false, b.fault
		}
	}
	return b.gathered, errors.Is(b.fault, io.EOF), nil
}

// Read gives what was gathered, then what the client sends.
func (b *clientBody) Read(into []byte) (int, error) {
	b.mu.Lock()
	for len(b.gathered) == 0 && b.gathering {
		b.changed.Wait()
	}
	if n := copy(into, b.gathered); n > 0 {
		b.gathered = b.gathered[n:]
		b.mu.Unlock()
		return n, nil
	}
	fault := b.fault
	b.mu.Unlock()
	if fault != nil {
		return 0, fault
	}
	n, err := b.fromClient(into)
	if err != nil {
		b.mu.Lock()
		b.fault = err
		b.mu.Unlock()
	}
	return n, err
}

// fromClient reads from the client; only one goroutine at a time does.
func (b *clientBody) fromClient(into []byte) (int, error) {
	if now := time.Now(); b.deadline.Sub(now) < b.patience*7/8 {
		b.deadline, b.limited = now.Add(b.patience), true
		_ = b.control.SetReadDeadline(b.deadline)
		if b.cut.Load() {
			_ = b.control.SetReadDeadline(longAgo)
		}
	}
	n, err := b.source.Read(into)
	b.taken += int64(n)
	if n > 0 {
		b.touch(time.Now())
	}
	if b.taken > b.limit {
		return 0, errBodyTooLarge
	}
	if err != nil && b.limited && !b.cut.Load() {
		// The server goes on reading to see when the client goes, and must not be cut off by this.
		_ = b.control.SetReadDeadline(time.Time{})
		b.limited = false
	}
	return n, err
}

// interrupt makes a read from the client fail that is under way, and every later one: the exchange
// ends, and who reads must be gone before the server takes the body back.
func (b *clientBody) interrupt() {
	if b.source == nil {
		return
	}
	b.mu.Lock()
	over := b.fault != nil
	b.stop = true
	b.mu.Unlock()
	if over {
		return
	}
	b.cut.Store(true)
	_ = b.control.SetReadDeadline(longAgo)
	b.mu.Lock()
	for b.gathering {
		b.changed.Wait()
	}
	b.mu.Unlock()
}

// give gives the body back to the server, when nobody reads it any more: the server drops what is
// left of it. Were that cut off too, the connection would end with a reset, and the client might
// never see its answer.
func (b *clientBody) give() {
	if b.source != nil && b.cut.Load() {
		_ = b.control.SetReadDeadline(time.Now().Add(dropPatience))
	}
}

// unread tells whether the client has sent less than the whole body.
func (b *clientBody) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.source != nil && !errors.Is(b.fault, io.EOF)
}
