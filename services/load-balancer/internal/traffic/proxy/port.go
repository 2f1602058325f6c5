package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// AccessLog keeps what became of every request. Add must return at once, whatever becomes of the
// record, and keeps nothing of it that it does not copy: it is called at the end of each exchange.
type AccessLog interface{ Add(r *accesslog.Record) }

// Places are those of client connections.
type Places interface {
	// Crowds tells whether an application with so many exchanges takes more than its share.
	Crowds(exchanges int) bool
}

// Peer is who holds the client's connection.
type Peer struct {
	IP      netip.Addr
	Address string // IP as text, without a zone
	Port    uint16
	TLS     bool // the connection is encrypted
}

// Client is the client's side of one exchange, whatever the engine. Reading the body and writing the
// answer may go on side by side; all else is called by one goroutine, but for Interrupt.
type Client interface {
	Body
	Watcher
	Peer() Peer

	// Crowded tells whether the connection is beyond the limit of open ones, and the limit.
	Crowded() (limit int, crowded bool)

	// Inform passes on an informational answer (1xx). HTTP/1.0 gets none.
	Inform(h *message.Response) error
	// Begin puts the head of the answer into the buffer, and keeps nothing of h.
	Begin(h *Head) error
	// Space is where the next part of the answer's body may be put; Commit says how much of it was.
	// Nothing may come between the two.
	Space() []byte
	Commit(n int) error
	// Flush sends what is in the buffer.
	Flush() error
	// End ends the answer and sends it. Without it the client sees that the answer is not whole.
	End(trailer message.Fields) error
	// Tunnel hands out the connection after an answer with status 101.
	Tunnel() (Stream, error)
}

// Body is the body of a client's request.
type Body interface {
	// Read gives the body as it comes, and io.EOF at its end.
	io.Reader
	// Ready tells whether a Read would give something at once, as far as that is known.
	Ready() bool
	// Patience bounds how long one Read may wait from now on, to an eighth of it.
	Patience(d time.Duration, now time.Time)
	// Trailer is what follows the body, after its end.
	Trailer() message.Fields
	// Continue tells a client that waits for it (Expect) to send the body.
	Continue() error
	// Interrupt makes Read fail from now on, also one that is under way; any goroutine may call it.
	Interrupt()
}

// Watcher sees when a client goes.
type Watcher interface {
	// Watch names who is told when the client has gone, in place of the one before; nil is nobody. One
	// that is named after the client has gone is told at once. When it returns the one before is told
	// no more: what it cancelled may be another exchange's by then.
	Watch(c Canceler)
	// Gone is closed when the client has gone.
	Gone() <-chan struct{}
	// HasGone tells whether it has.
	HasGone() bool
}

// Canceler ends at once what it does for a client. Any goroutine may call it.
type Canceler interface{ Cancel() }

// Head is the head of an answer on its way to the client. What frames it is written by the engine:
// a Content-Length of Length, or whatever an answer of unknown length needs.
type Head struct {
	Status   int
	Reason   string
	Fields   message.Fields  // as they came
	Add      []message.Field // beside them
	Length   int64           // of the body; -1 is not known
	Now      time.Time       // when it begins; zero: the engine looks at the clock
	Bodiless bool            // no body follows, and Fields say how long it would be
	Close    bool            // the connection shall end after this answer
	Upgrade  string          // of 101
}

// Sender sends a request to a pod and returns when the head of the answer is there. The errors are
// *UnsentError, *LocalError, *BodyError, *FaultError, *message.Error (the head cannot be written),
// ErrGone, ErrHeadTimeout and ErrBroken. Nobody reads the client's body any more when an error is
// returned.
type Sender interface {
	Send(to Destination, r *Outgoing) (Answer, error)
}

// Destination is where a request goes.
type Destination struct {
	Address  string           // IP:port
	Protocol routing.Protocol // that the pod speaks
}

// Outgoing is a request on its way to a pod. What frames the message is written from the fields here,
// whatever Head's fields say.
type Outgoing struct {
	Head    *message.Request // fields as they came; those that are dropped do not go out
	Add     []message.Field  // beside them
	Path    string           // that the pod is asked for
	Host    string
	Whole   []byte // the body when it is in memory to its end; then Streams is false
	Begun   []byte // else the beginning of it
	Streams bool   // the rest, or all, is read from Client
	Length  int64  // of the body; -1 is not known
	Expect  bool   // the client waits for 100 Continue before it sends the body
	Upgrade string // the protocol that the client asks for; "" is none
	Client  Exchanging
	Silence time.Duration     // how long the pod may neither take nor send a byte
	Now     time.Time         // when it is sent, and, at Answer.Close, when it ended
	Left    time.Duration     // how long a connection may take to be made, at most; 0 says nothing
	Resend  bool              // it may be sent again when a used connection ends without a byte of an answer
	Answer  *message.Response // where the head of the answer is put
	Inform  Informer
}

// Informer takes informational answers (1xx) other than 100 and 101.
type Informer interface{ Inform(h *message.Response) }

// Exchanging is what a sender asks of the client's side.
type Exchanging interface {
	Body
	Watcher
}

// Answer is what a pod answers. Close it.
type Answer interface {
	Head() *message.Response
	// Buffered is how many bytes of the body have come that were not read yet; 0 also after a Read that
	// gave nothing, since what has come then is no more than a part of the framing.
	Buffered() int
	// Ended tells whether the body was read to its end.
	Ended() bool
	// Whole tells whether the rest of the body has come, as far as that is known.
	Whole() bool
	// Await returns when there are some, and io.EOF when the body has ended. It holds no memory while it
	// waits, and flushes before then, and only then, what was written for the client: a *FlushError when
	// that fails.
	Await(before Flusher) error
	// Read gives the body as it comes, which may be nothing, and io.EOF at its end; ErrSilent when the
	// pod pauses too long, *BodyError or *FaultError when what ended the exchange was on the client's
	// side, or here.
	io.Reader
	// Trailer is what follows the body, after its end.
	Trailer() message.Fields
	// Tunnel hands out the connection after 101 Switching Protocols.
	Tunnel() Stream
	// Close ends the exchange; before the body's end it tells the pod to stop. When it returns nobody
	// reads the client's body any more.
	Close()
}

// Flusher sends what was written.
type Flusher interface{ Flush() error }

// Stream is one side of a tunnel: bytes both ways.
type Stream interface {
	// Next returns the bytes that come next; they are valid until Used is called.
	Next() ([]byte, error)
	Used(n int)
	Write(p []byte) (int, error)
	// Idle bounds how long the next read or write may take.
	Idle(read, write time.Duration, now time.Time)
	CloseWrite() error
	Close() error
}

// The ways in which an exchange fails. ErrBroken is wrapped around its cause.
var (
	ErrBroken      = errors.New("the connection to the pod broke before the answer's head")
	ErrHeadTimeout = errors.New("the pod was silent for too long before its answer's head")
	ErrSilent      = errors.New("the pod was silent for too long within its answer")
	ErrGone        = errors.New("the client has gone")
	ErrInterrupted = errors.New("the exchange has ended")
)

// UnsentError is a failure before the first byte of the request left: it may be sent elsewhere.
type UnsentError struct {
	Err     error
	Refused bool // the pod took no connection, else it did not take the request
}

func (e *UnsentError) Error() string { return "not sent: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *UnsentError) Unwrap() error { return e.Err }

// LocalError is a failure of this machine that says nothing of the pod: no descriptor or port is left.
type LocalError struct{ Err error }

func (e *LocalError) Error() string { return "a limit of this load balancer: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *LocalError) Unwrap() error { return e.Err }

// FlushError is a failure to send to the client while the pod is waited for.
type FlushError struct{ Err error }

func (e *FlushError) Error() string { return "write to the client: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *FlushError) Unwrap() error { return e.Err }

// BodyError is a failure to read the request's body from the client.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "read the request's body: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// FaultError is a fault of this program that was caught beside the goroutine that serves the exchange.
type FaultError struct {
	Fault any
	Stack []byte
}

func (e *FaultError) Error() string { return fmt.Sprintf("a fault in the load balancer: %v", e.Fault) }
