// Package accesslog holds the requests that were proxied lately: a ring in memory, bounded by count
// and by bytes, and how it is searched.
//
// A Record is what every keeper of the log is given at the end of an exchange. It holds values and
// strings as the exchange had them, and nothing that must be made for it: texts such as a URL are
// put together by who reads, so that the request path pays for a copy and no more. Whoever keeps
// records longer than memory does takes the same Record beside the ring.
//
// It is pure: it knows no HTTP, no files and no clock.
package accesslog

import (
	"net/netip"
	"strings"
	"time"
	"unsafe"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/routing"
)

// Record is one request from its arrival to the last byte of its answer.
type Record struct {
	ArrivedAt time.Time
	Took      time.Duration // to the last byte
	Waited    time.Duration // of it in the waiting room

	Method string
	Host   string
	Path   string // as the client asked for it
	Client string // the real client's address
	Peer   string // who held the connection: the client or a proxy

	Application routing.Application // zero when no route fits
	Pod         string              // "" when none was reached
	Address     string              // of the pod
	PodPath     string              // that the pod was asked for
	Policy      string              // why this pod
	Tries       int                 // pods that were tried

	Status        int // of the answer; 0 when the client left before one
	RequestBytes  int64
	ResponseBytes int64
	TraceID       [16]byte
	Error         string
}

// The bounds of what a client or pod can make long.
const (
	maxPath  = 2048
	maxHost  = 256
	maxWord  = 64
	maxError = 1024
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

// bound shortens what is too long. What is cut is copied: a part of a string keeps all of it alive.
func (r *Record) bound() {
	for _, s := range []struct {
		text  *string
		limit int
	}{
		{&r.Method, maxWord}, {&r.Host, maxHost}, {&r.Path, maxPath}, {&r.PodPath, maxPath},
		{&r.Client, maxWord}, {&r.Peer, maxWord}, {&r.Error, maxError},
	} {
		if len(*s.text) > s.limit {
			*s.text = strings.Clone(cut(*s.text, s.limit))
		}
	}
}

// recordSize is what a record holds beside its texts.
const recordSize = int64(unsafe.Sizeof(Record{}))

// size is what the record holds in memory. The names of applications and pods, and the reasons, are
// shared by all records and not counted.
func (r *Record) size() int64 {
	return recordSize + int64(len(r.Method)+len(r.Host)+len(r.Path)+len(r.PodPath)+len(r.Client)+len(r.Peer)+len(r.Error))
}

func (r *Record) clientIs(ip netip.Addr) bool {
	client, err := netip.ParseAddr(r.Client)
	return err == nil && client.Unmap().WithZone("") == ip.Unmap().WithZone("")
}

// cut shortens s to limit bytes, at a whole character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}
