package http2

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// upload is the body of a request. A read of net/http's that runs out of time is the last one; here
// a goroutine waits for the next part, without a buffer, and a read that gives up leaves it waiting.
type upload struct {
	from     io.ReadCloser
	left     <-chan struct{} // closed when the client has gone, or the exchange is over
	patience time.Duration   // of one read; 0 is for ever
	ended    bool            // it was read to its end
	fault    error           // why it cannot be; what a read met, the next ones meet

	waiter sync.Once
	ready  chan struct{} // a part has come, or the end, or a fault
	again  chan struct{} // what had come was read: wait for more
	waits  bool          // the waiter was told to wait, and was not heard since
	broken atomic.Bool   // reads fail from now on
}

// Read gives the body as it comes, and io.EOF at its end.
func (u *upload) Read(p []byte) (int, error) {
	switch {
	case u.ended:
		return 0, io.EOF
	case u.fault != nil:
		return 0, u.fault
	}
	if err := u.await(); err != nil {
		return 0, err
	}
	n, err := u.from.Read(p)
	switch {
	case err == io.EOF:
		u.ended = true
	case err != nil && u.broken.Load():
		u.fault, err = proxy.ErrInterrupted, proxy.ErrInterrupted
	case err != nil:
		u.fault = err
	}
	return n, err
}

// await returns when there is something to read.
func (u *upload) await() error {
	if u.broken.Load() {
		return proxy.ErrInterrupted
	}
	u.waiter.Do(func() {
		u.ready, u.again = make(chan struct{}, 1), make(chan struct{}, 1)
		go u.wait()
	})
	if !u.waits {
		u.waits = true
		u.again <- struct{}{}
	}
	var expired <-chan time.Time
	if u.patience > 0 {
		timer := time.NewTimer(u.patience)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-u.ready:
		u.waits = false
		return nil
	case <-expired:
		return os.ErrDeadlineExceeded
	}
}

// wait looks for the next part each time when it is asked to. A read of no bytes returns when there
// are some, at the end, and when the body was closed.
func (u *upload) wait() {
	for {
		select {
		case <-u.again:
		case <-u.left:
			select {
			case <-u.again:
			default:
				u.ready <- struct{}{} // who asks after all meets the fault itself
				return
			}
		}
		_, err := u.from.Read(nil)
		u.ready <- struct{}{}
		if err != nil {
			return
		}
	}
}

// interrupt makes reads fail.
func (u *upload) interrupt() {
	u.broken.Store(true)
	_ = u.from.Close() // it may be called beside a read
}

// end lets the waiter go.
func (u *upload) end() { _ = u.from.Close() }
