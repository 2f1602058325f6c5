package upstream

import (
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// continueTimeout is how long a body is held back for the pod's 100 Continue; servers that do not
// know it never send one.
const continueTimeout = time.Second

// noteTime is how long a kept connection is worth to wait for. The answer has gone out by then; a
// machine that is busy may take that long to run the goroutine that has sent the body.
const noteTime = 100 * time.Millisecond

// How much of a body is read at once, and the room for a chunk's size before it.
const (
	leastPart = 4 << 10
	mostPart  = 64 << 10
	chunkRoom = 16
)

// sending is a body on its way.
type sending struct {
	proceed  chan struct{} // closed when the body may be read; nil: it may be at once
	refused  chan struct{} // closed when the answer came first: the body is not read
	answered sync.Once
	done     chan struct{}
	fault    atomic.Pointer[sendFault] // of the client's side, or our own
	failed   atomic.Bool
	last     atomic.Bool  // nothing but what is at hand is still to be sent
	waits    atomic.Bool  // for the client: the pod can do nothing
	took     atomic.Int64 // UnixNano of when that wait ended, or the pod took a part
}

// sendFault is why a body could not be sent that is not the pod's doing: a *proxy.BodyError or a
// *proxy.FaultError.
type sendFault struct{ err error }

// send writes the head and a body that is in memory, and waits for what comes back; or it begins to
// send a longer body. It returns how many bytes left.
func (cn *conn) send(r *proxy.Outgoing) (sent int64, err error) {
	now := moment(r)
	cn.link.WriteWithin(r.Silence, now)
	cn.link.ReadWithin(r.Silence, now)
	before := cn.link.Written()
	out := &cn.out
	out.Grow(headSize(r) + len(r.Whole))
	out.Bytes = appendHead(out.Bytes, r)
	if breaksLines(out.Bytes, r) {
		out.Empty()
		return 0, errLines
	}
	out.Bytes = append(out.Bytes, r.Whole...)
	if !r.Streams {
		err = cn.link.Ask(out)
		return cn.link.Written() - before, err
	}
	if cn.used && !cn.link.Silent() {
		out.Empty()
		return 0, io.EOF
	}
	_, err = cn.link.Write(out.Bytes)
	out.Empty()
	if err != nil {
		return cn.link.Written() - before, err
	}
	s := &sending{done: make(chan struct{}), refused: make(chan struct{})}
	if r.Expect {
		s.proceed = make(chan struct{})
	}
	cn.sending, sent = s, cn.link.Written()-before
	go cn.sendBody(s)
	return sent, nil
}

// sendBody runs beside the reading of the answer. A pod that stops reading may still answer, so a
// failed write ends only the sending; a client that fails to give the body ends the exchange.
func (cn *conn) sendBody(s *sending) {
	defer close(s.done)
	defer func() {
		if fault := recover(); fault != nil { // one exchange ends, not the process
			s.fault.Store(&sendFault{&proxy.FaultError{Fault: fault, Stack: debug.Stack()}})
			s.failed.Store(true)
			cn.close()
		}
	}()
	if !cn.mayBegin(s) {
		s.failed.Store(true)
		return
	}
	err := cn.copyBody(s)
	if err == nil {
		return
	}
	s.failed.Store(true)
	if _, ok := errors.AsType[*proxy.BodyError](err); ok {
		s.fault.Store(&sendFault{err})
		cn.close()
	}
}

// mayBegin waits until a client that asked may be told to send its body.
func (cn *conn) mayBegin(s *sending) bool {
	if s.proceed == nil {
		return true
	}
	timer := time.NewTimer(continueTimeout)
	defer timer.Stop()
	select {
	case <-s.proceed:
	case <-timer.C:
	case <-s.refused:
		return false
	}
	return cn.request.Client.Continue() == nil
}

// copyBody sends what the client sends, at once, part by part. The parts grow with what comes.
func (cn *conn) copyBody(s *sending) error {
	r := cn.request
	chunked := r.Length < 0
	var out link.Output
	defer func() { out.Empty() }()
	if len(r.Begun) > 0 {
		out.Grow(len(r.Begun) + chunkRoom)
		if err := cn.sendPart(s, &out, append(out.Bytes[:chunkRoom], r.Begun...)[chunkRoom:], chunked); err != nil {
			return err
		}
	}
	for grain := leastPart; ; {
		out.Grow(grain)
		room := out.Bytes[chunkRoom : cap(out.Bytes)-2]
		s.waits.Store(true)
		n, err := r.Client.Read(room)
		s.took.Store(time.Now().UnixNano())
		s.waits.Store(false)
		s.last.Store(errors.Is(err, io.EOF))
		if n > 0 {
			if err := cn.sendPart(s, &out, room[:n], chunked); err != nil {
				return err
			}
		}
		if n == len(room) {
			grain = min(2*grain, mostPart)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &proxy.BodyError{Err: err}
		}
	}
	if !chunked {
		return nil
	}
	_, err := cn.link.Write(message.AppendLastChunk(nil, r.Client.Trailer()))
	return err
}

// sendPart sends a part that stands in out behind the room for its size.
func (cn *conn) sendPart(s *sending, out *link.Output, part []byte, chunked bool) error {
	if chunked {
		b := message.AppendChunkSize(out.Bytes[:0], len(part))
		b = append(b, part...) // moves it to the front: the size is shorter than its room
		b = append(b, "\r\n"...)
		part = b
	}
	cn.link.WriteWithin(cn.request.Silence, time.Now())
	_, err := cn.link.Write(part)
	out.Bytes = out.Bytes[:0]
	if err == nil {
		s.took.Store(time.Now().UnixNano())
	}
	return err
}

// mayContinue lets a held-back body go.
func (cn *conn) mayContinue() {
	if s := cn.sending; s != nil && s.proceed != nil {
		select {
		case <-s.proceed:
		default:
			close(s.proceed)
		}
	}
}

// answered keeps a body back that was not asked for.
func (cn *conn) answered() {
	if s := cn.sending; s != nil {
		s.answered.Do(func() { close(s.refused) })
	}
}

// sent tells whether the body is wholly on its way.
func (cn *conn) sent() bool {
	if cn.sending == nil {
		return true
	}
	select {
	case <-cn.sending.done:
		return !cn.sending.failed.Load()
	default:
	}
	return cn.sending.last.Load() && cn.noted()
}

// noted waits until the last part of a body is noted as sent, which usually only has to be done. A pod
// that answered without it may never take it: then nobody waits.
func (cn *conn) noted() bool {
	timer := time.NewTimer(noteTime)
	defer timer.Stop()
	select {
	case <-cn.sending.done:
		return !cn.sending.failed.Load()
	case <-timer.C:
		return false
	}
}

// patience is how much longer a pod may be silent whose time seems to be over. Its time begins when
// it has the whole body; until then it must only take what the client sends.
func (cn *conn) patience(silence time.Duration, now time.Time) time.Duration {
	if cn.sending == nil {
		return 0
	}
	if cn.sending.waits.Load() {
		return silence
	}
	return time.Unix(0, cn.sending.took.Load()).Add(silence).Sub(now)
}

// bodyFault is why the client's body could not be read; nil when that was not the matter.
func (cn *conn) bodyFault() error {
	if cn.sending == nil {
		return nil
	}
	if fault := cn.sending.fault.Load(); fault != nil {
		return fault.err
	}
	return nil
}
