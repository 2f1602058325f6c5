package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
)

// Gate tells whether a request came on a connection beyond the limit, and the limit.
type Gate interface {
	Over(ctx context.Context) (limit int, over bool)
}

// AccessLog keeps what became of every request. Add must return at once, whatever becomes of the
// record: it is called at the end of each exchange. It keeps nothing of the record, whose texts may be
// views of buffers that are used again.
type AccessLog interface{ Add(r *accesslog.Record) }

// Sender sends a request to the pod at an address and returns the head of its answer. When ctx
// ends, also later while the answer is read, the connection to the pod is closed at once. The
// errors are *UnsentError, *BodyError, ErrHeadTimeout, ErrBroken, or ctx's; a body that pauses for
// too long ends with ErrSilent.
type Sender interface {
	Do(ctx context.Context, address string, r *Request) (*Answer, error)
}

// Request is what is sent to a pod. Its header has no hop-by-hop fields any more; what frames the
// message (Content-Length, Transfer-Encoding, Trailer, Connection) is written from the fields here,
// whatever the header says.
type Request struct {
	Method        string
	Target        string // escaped path and query
	Host          string
	Header        http.Header
	Body          io.Reader   // nil is none
	ContentLength int64       // of the body; -1 is not known
	Whole         []byte      // the body when it is in memory already; then Body is nil
	Trailer       http.Header // nil values before the body was read, then what is sent after it
	Expect        bool        // the client waits for 100 Continue before it sends the body
	Upgrade       string      // the protocol that the client asks for; "" is none

	// Inform passes on an informational answer (1xx) other than 100 and 101; it may be nil.
	Inform func(status int, header http.Header)

	// Sent is set by the sender: it is closed when nobody reads Body any more. nil: nobody does.
	Sent <-chan struct{}
}

// Answer is what the pod answered. Its body must be closed.
type Answer struct {
	Status        int
	Header        http.Header
	ContentLength int64 // -1 is not known
	Body          AnswerBody
}

// AnswerBody gives the body as it comes.
type AnswerBody interface {
	io.Reader
	// Buffered is how many bytes have come that were not read yet.
	Buffered() int
	// Trailer is what follows the body: the announced names before its end, the values after.
	Trailer() http.Header
	// Tunnel hands out the connection after 101 Switching Protocols, and what was read of it.
	Tunnel() (net.Conn, *bufio.Reader)
	// Close ends the exchange. Before the body's end it tells the pod to stop.
	Close()
}

// The ways in which an exchange fails. ErrBroken is wrapped around its cause.
var (
	ErrBroken      = errors.New("the connection to the pod broke before the answer's head")
	ErrHeadTimeout = errors.New("the pod was silent for too long before its answer's head")
	ErrSilent      = errors.New("the pod was silent for too long within its answer")
)

// UnsentError is a failure before the first byte of the request left: it may be sent elsewhere.
type UnsentError struct{ Err error }

func (e *UnsentError) Error() string { return "not sent: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *UnsentError) Unwrap() error { return e.Err }

// BodyError is a failure to read the request's body from the client.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "read the request's body: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *BodyError) Unwrap() error { return e.Err }
