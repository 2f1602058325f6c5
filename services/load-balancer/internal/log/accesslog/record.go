// Package accesslog holds what is known of a request that was proxied, and how that is written,
// read back and searched.
//
// A Record is what every keeper of the log is given at the end of an exchange. It holds values and
// strings as the exchange had them, and nothing that must be made for it: texts such as a URL are
// put together by who writes. Its strings may be views of the exchange's buffers, valid until the
// keeper returns: who keeps one copies it.
//
// AppendRaw copies a record into a row of bytes, which ReadRaw reads back: that much is done at the end of
// an exchange. AppendEntry writes a record as the two lines that Elasticsearch's _bulk takes, the second an
// Elastic Common Schema document; Decode reads such a document back. What must not be told is left
// out on writing, and nowhere else: the values of query parameters and header fields but for those
// that are allowed by name, and user information in URLs. A path, and the names of parameters, are
// written as they are. Every text is bounded, and every line is valid JSON in valid UTF-8, whatever
// bytes a client sent.
//
// The writing is by hand, field by field. encoding/json would want a tree of structs with pointers
// for what may be absent, made anew for each record. To encode such a tree, without making it, takes
// more than twice as long as all that is done here, and both allocate, on a path where every request
// passes. A test compares each document with an independent description that encoding/json reads.
//
// It is pure: it knows no HTTP, no files, no clock and no chance of its own.
package accesslog

import (
	"net/netip"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
)

// Record is one request from its arrival to the last byte of its answer. What is zero is not known,
// or was not.
type Record struct {
	ArrivedAt time.Time
	Took      time.Duration // to the last byte
	Waited    time.Duration // of it in the waiting room
	FirstByte time.Duration // from the arrival to the first byte of the answer's body
	Upstream  time.Duration // on the pod, to the last byte

	Method         string
	Scheme         string // that the client used
	Host           string
	Path           string // as the client asked for it
	Query          string // likewise
	Version        string // of HTTP, such as 1.1
	RequestID      string // that the client gave
	UserAgent      string
	Referrer       string
	RequestType    string // the media type of its body, with parameters
	RequestHeaders []Header
	Client         string // the real client's address
	Peer           string // who held the connection: the client or a proxy
	PeerPort       uint16

	Application Application // zero when no route fits
	Pod         string      // "" when none was reached
	Address     string      // of the pod
	PodPath     string      // that the pod was asked for
	Policy      string      // why this pod
	Tries       int         // pods that were tried
	WakeUp      string      // the id of the wake-up that it waited for
	Uncounted   bool        // a rule of the application (uncountedRequests) says that it is no traffic

	Status          int // of the answer; 0 when the client left before one
	ResponseType    string
	ResponseHeaders []Header
	RequestBytes    int64 // of the bodies
	ResponseBytes   int64
	GenAI           genai.Facts

	TraceID    [16]byte
	SpanID     [8]byte
	Refusal    string // the code of the problem that was answered in place of a pod's answer
	Error      string
	SampleRate float64 // the share of its like that is kept; 0 is all
}

// Application is a Deployment that requests go to.
type Application struct{ Namespace, Deployment string }

// String is namespace/deployment.
func (a Application) String() string { return a.Namespace + "/" + a.Deployment }

// Header is one header field that an allow-list names, with its values.
type Header struct {
	Name   string // in lower case
	Values []string
}

// The bounds of what a client or pod can make long.
const (
	maxPath     = 2048
	maxQuery    = 2048
	maxOriginal = 2048 // path and query together
	maxHost     = 256
	maxWord     = 64
	maxID       = 128
	maxType     = 128
	maxAgent    = 512
	maxReferrer = 1024
	maxHeader   = 512 // of one value
	maxValues   = 8   // of one header field
	maxError    = 1024
	maxShown    = 128 // of the path in a document's message
)

// GoneStatus is shown for a request whose client left before an answer was begun; no server sends it.
const GoneStatus = 499

// Target is where the request went: the pod's address and the path there; "" when it reached none.
func (r *Record) Target() string {
	if r.Address == "" {
		return ""
	}
	return cut("http://"+r.Address+r.PodPath, maxPath)
}

// ShownStatus is Status, or GoneStatus.
func (r *Record) ShownStatus() int {
	if r.Status == 0 {
		return GoneStatus
	}
	return r.Status
}

func (r *Record) clientIs(ip netip.Addr) bool {
	client, err := netip.ParseAddr(r.Client)
	return err == nil && client.Unmap().WithZone("") == ip.Unmap().WithZone("")
}
