package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// maxInformational bounds the 1xx answers before the real one.
const maxInformational = 32

// conn is one connection to a pod, and the answer that comes over it.
type conn struct {
	client  *Client
	address string
	link    *link.Conn
	closing sync.Once

	used      bool // it carried a request before
	idleSince time.Time
	idleFor   time.Duration // how long it may be idle; 0 is the client's KeepAlive

	// Of the exchange that it carries.
	request  *proxy.Outgoing
	out      link.Output // the request's head, while it is written
	sending  *sending    // the body is sent beside the reading of the answer
	received bool        // something came from the pod
	dry      bool        // what is buffered is not enough to be read
	body     link.Framed
}

var (
	_ proxy.Answer   = (*conn)(nil)
	_ proxy.Canceler = (*conn)(nil)
)

// Cancel ends the exchange at once, which tells the pod to stop.
func (cn *conn) Cancel() { cn.close() }

func (cn *conn) close() { cn.closing.Do(func() { _ = cn.link.Close() }) }

// tryExchange gives the connection up when the exchange fails, also by a fault of ours.
func (cn *conn) tryExchange(r *proxy.Outgoing) (err error) {
	fine := false
	defer func() {
		if !fine {
			cn.abandon()
		}
	}()
	err = cn.exchange(r)
	fine = err == nil
	return err
}

// exchange sends the request and reads the head of the answer.
func (cn *conn) exchange(r *proxy.Outgoing) error {
	cn.request, cn.sending, cn.received, cn.dry = r, nil, false, false
	r.Client.Watch(cn)
	sent, err := cn.send(r)
	if err != nil && sent == 0 {
		return unsent(err)
	}
	if err == nil || cn.mayHaveAnswered(err) {
		if err = cn.receive(); err == nil {
			return nil
		}
	}
	if fault := cn.bodyFault(); fault != nil {
		return fault
	}
	return failure(err)
}

// unsent says of an error before the first byte what it means.
func unsent(err error) error {
	if _, malformed := errors.AsType[*message.Error](err); malformed {
		return err
	}
	if isLocal(err) {
		return &proxy.LocalError{Err: err}
	}
	return &proxy.UnsentError{Err: err}
}

// mayHaveAnswered: a pod that stops reading may still answer.
func (cn *conn) mayHaveAnswered(err error) bool {
	return !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF)
}

// receive reads the head of the answer, and passes on what comes before it.
func (cn *conn) receive() error {
	r := cn.request
	for range maxInformational {
		if err := cn.readHead(); err != nil {
			return err
		}
		switch h := r.Answer; {
		case h.Status == 100:
			cn.mayContinue()
			continue
		case h.Status == 101:
			if r.Upgrade == "" || !strings.EqualFold(h.Upgrade, r.Upgrade) {
				return errors.New("101 Switching Protocols to what was not asked for")
			}
		case h.Informational():
			r.Inform.Inform(h)
			continue
		}
		cn.answered()
		cn.body.Begin(cn.link, r.Answer.Length, r.Answer.Length < 0 && !r.Answer.Chunked)
		cn.link.Expect(r.Answer.Length)
		return nil
	}
	return fmt.Errorf("more than %d informational answers", maxInformational)
}

// readHead reads one head.
func (cn *conn) readHead() error {
	var end message.HeadEnd
	end.Lenient()
	for {
		have := cn.link.Buffered()
		n, err := end.Find(have)
		switch {
		case err != nil:
			return err
		case n > cn.client.options.MaxHead, n == 0 && len(have) >= cn.client.options.MaxHead:
			return fmt.Errorf("the answer's head is larger than %d bytes", cn.client.options.MaxHead)
		case n > 0:
			cn.received = true
			r := cn.request
			r.Answer.Reset()
			err := r.Answer.ParseResponse(have[:n], r.Head.Method == http.MethodHead)
			cn.link.Use(n)
			return err
		}
		cn.received = cn.received || len(have) > 0
		if err := cn.await(inHead, nil); err != nil {
			return err
		}
	}
}

// part is what of an answer is waited for.
type part bool

const (
	inHead part = false
	inBody part = true
)

// await waits for the pod. A deadline that passes while the request's body is under way says nothing
// of it: it is set anew as long as the pod has reason to be silent.
func (cn *conn) await(part part, before proxy.Flusher) error {
	now := time.Now()
	cn.link.ReadWithin(cn.request.Silence, now)
	for {
		var err error
		if part == inHead {
			err = cn.link.Fill(cn.client.options.MaxHead)
		} else {
			err = cn.body.Await(before)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		now = time.Now()
		more := cn.patience(cn.request.Silence, now)
		if more <= 0 {
			return err
		}
		cn.link.ReadBy(now.Add(more))
	}
}

// Head is that of the answer.
func (cn *conn) Head() *message.Response { return cn.request.Answer }

// Buffered is how many bytes of the body have come that were not read yet.
func (cn *conn) Buffered() int {
	if cn.dry {
		return 0
	}
	return cn.body.Buffered()
}

// Ended tells whether the body was read to its end.
func (cn *conn) Ended() bool { return cn.body.Ended() }

// Whole tells whether the rest of the answer has come.
func (cn *conn) Whole() bool { return cn.body.Whole() }

// Await waits for more of the body.
func (cn *conn) Await(before proxy.Flusher) error {
	cn.dry = false
	err := cn.await(inBody, before)
	if fault := cn.link.FlushFault(); fault != nil {
		return &proxy.FlushError{Err: fault}
	}
	return cn.meaning(err)
}

// Read gives what has come of the body; nothing when that was only a part of a chunk's size, so that
// nobody waits for the rest of it with something else to do.
func (cn *conn) Read(p []byte) (int, error) {
	if cn.Buffered() == 0 && !cn.body.Ended() {
		if err := cn.Await(nil); err != nil {
			return 0, err
		}
	}
	n, err := cn.body.Take(p)
	cn.dry = n == 0 && err == nil && len(p) > 0
	return n, cn.meaning(err)
}

// meaning says of an error within the answer what it means.
func (cn *conn) meaning(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if fault := cn.bodyFault(); fault != nil { // it closed the connection
		return fault
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %v", proxy.ErrSilent, cn.request.Silence)
	}
	return err
}

// Trailer is what followed the body.
func (cn *conn) Trailer() message.Fields { return cn.body.Trailer() }

// Tunnel hands out the connection.
func (cn *conn) Tunnel() proxy.Stream {
	cn.link.ReadBy(time.Time{})
	return cn.link
}

// Close ends the exchange. The connection is kept for the next request when the answer was read to
// its end and the request sent to its end; otherwise it is closed, which tells the pod to stop.
func (cn *conn) Close() {
	r := cn.request
	whole := cn.sent() && cn.body.Ended() && !r.Answer.Close && r.Answer.Status != 101 && len(cn.link.Buffered()) == 0
	if !whole {
		cn.abandon()
		return
	}
	cn.idleFor = idleFor(r.Answer.KeepIdle, cn.client.options.KeepAlive)
	now := moment(r)
	cn.request, cn.sending = nil, nil
	cn.client.putIdle(cn, now)
}

// abandon closes the connection; then nobody reads the client's body any more.
func (cn *conn) abandon() {
	cn.close()
	if cn.sending != nil {
		cn.request.Client.Interrupt()
		cn.answered()
		<-cn.sending.done
	}
	cn.link.Release()
}

// idleFor is how long a connection may be idle that its server says to keep for so many seconds: a
// little less, for the server counts from when it has sent its answer.
func idleFor(seconds int, most time.Duration) time.Duration {
	if seconds == 0 {
		return most
	}
	return min(time.Duration(seconds)*time.Second/2, most)
}
