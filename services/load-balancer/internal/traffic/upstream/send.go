package upstream

import (
	"errors"
	"io"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// continueTimeout is how long a body is held back for the pod's 100 Continue; servers that do not
// know it never send one.
const continueTimeout = time.Second

// inlineBody is the size of a body in memory that is written before the answer is read: it fits
// into the socket's buffer, so that neither side can wait for the other.
const inlineBody = 16 << 10

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// sending is a body on its way.
type sending struct {
	proceed chan struct{} // closed when the body may be read; nil: it may be at once
	refused chan struct{} // closed when the answer came first: the body is not read
	done    chan struct{}
	fault   atomic.Pointer[proxy.BodyError] // of the client's side
	failed  atomic.Bool
	waits   atomic.Bool  // for the client: the pod can do nothing
	took    atomic.Int64 // UnixNano of when that wait ended, or the pod took a part
}

// send writes the head, and the body or the beginning of its sending.
func (r *outgoing) send(cn *conn) error {
	r.Sent = nil
	if err := r.writeHead(cn.bw); err != nil {
		return err
	}
	if r.Body == nil && len(r.Whole) <= inlineBody {
		_, _ = cn.bw.Write(r.Whole)
		return cn.bw.Flush()
	}
	if err := cn.bw.Flush(); err != nil {
		return err
	}
	s := &sending{done: make(chan struct{}), refused: make(chan struct{})}
	if r.Expect && r.Body != nil {
		s.proceed = make(chan struct{})
	}
	r.sending, r.Sent = s, s.done
	go r.sendBody(s, cn)
	return nil
}

// sendBody runs beside the reading of the answer. A pod that stops reading may still answer, so a
// failed write ends only the sending; a client that fails to give the body ends the exchange.
func (r *outgoing) sendBody(s *sending, cn *conn) {
	defer close(s.done)
	if !s.mayBegin() {
		s.failed.Store(true)
		return
	}
	err := r.copyBody(cn)
	if err == nil {
		return
	}
	s.failed.Store(true)
	if fault, ok := errors.AsType[*proxy.BodyError](err); ok {
		s.fault.Store(fault)
		cn.close()
	}
}

func (s *sending) mayBegin() bool {
	if s.proceed == nil {
		return true
	}
	timer := time.NewTimer(continueTimeout)
	defer timer.Stop()
	select {
	case <-s.proceed:
		return true
	case <-timer.C:
		return true
	case <-s.refused:
		return false
	}
}

func (r *outgoing) copyBody(cn *conn) error {
	if r.Body == nil {
		_, _ = cn.bw.Write(r.Whole)
		return cn.bw.Flush()
	}
	var to io.Writer = cn.bw
	if r.chunked() {
		to = httputil.NewChunkedWriter(cn.bw)
	}
	buffer := copyBuffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer copyBuffers.Put(buffer)
	for {
		r.sending.waits.Store(true)
		n, err := r.Body.Read(*buffer)
		r.sending.took.Store(time.Now().UnixNano())
		r.sending.waits.Store(false)
		if n > 0 {
			if _, err := to.Write((*buffer)[:n]); err != nil {
				return err
			}
			if err := cn.bw.Flush(); err != nil { // what the client sent now, the pod gets now
				return err
			}
			r.sending.took.Store(time.Now().UnixNano())
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &proxy.BodyError{Err: err}
		}
	}
	if r.chunked() {
		if err := r.writeTrailer(cn.bw); err != nil {
			return err
		}
	}
	return cn.bw.Flush()
}

// mayContinue lets a held-back body go.
func (r *outgoing) mayContinue() {
	if s := r.sending; s != nil && s.proceed != nil {
		select {
		case <-s.proceed:
		default:
			close(s.proceed)
		}
	}
}

// answered keeps a body back that was not asked for.
func (r *outgoing) answered() {
	if s := r.sending; s != nil {
		close(s.refused)
	}
}

// sent tells whether the body is wholly on its way.
func (r *outgoing) sent() bool {
	if r.sending == nil {
		return true
	}
	select {
	case <-r.sending.done:
		return !r.sending.failed.Load()
	default:
		return false
	}
}

// patience is how much longer a pod may be silent whose time seems to be over. Its time begins when
// it has the whole body; until then it must only take what the client sends.
func (r *outgoing) patience(silence time.Duration, now time.Time) time.Duration {
	if r.sending == nil {
		return 0
	}
	if r.sending.waits.Load() {
		return silence
	}
	return time.Unix(0, r.sending.took.Load()).Add(silence).Sub(now)
}

// bodyFault is why the client's body could not be read; nil when that was not the matter.
func (r *outgoing) bodyFault() *proxy.BodyError {
	if r.sending == nil {
		return nil
	}
	return r.sending.fault.Load()
}
