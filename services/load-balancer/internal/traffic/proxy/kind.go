package proxy

import (
	"net/http"
	"strings"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// transfer is from which length on the time of an answer is that of the client's network rather than
// of the pod's work: more than fits into the buffers on the way.
const transfer = 64 << 10

// kind is by which time an answer counts. One whose length is not told may go on for ever, and is
// measured by its first byte, as is a long one. Many servers of models send the head at once and the
// first event when it is made, so it is the body's byte that counts; but an event stream that is got,
// as browsers get it, is a subscription, and begins with its head: its first event comes when
// something happens.
func (x *exchange) kind(head *message.Response) dispatch.Answer {
	switch {
	case head.Status == http.StatusSwitchingProtocols:
		return dispatch.Tunnel
	case bodiless(x.r.Method, head.Status) || head.Length >= 0 && head.Length <= transfer:
		return dispatch.Whole
	case x.answer.Buffered() > 0 || x.r.Method == http.MethodGet && isEventStream(head):
		return dispatch.Stream
	}
	return dispatch.StreamToCome
}

// bodiless tells whether an answer has no body, whatever its fields say of one.
func bodiless(method string, status int) bool {
	return method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

func isEventStream(head *message.Response) bool {
	media, _, _ := strings.Cut(head.Fields.First(message.ContentType), ";")
	return strings.EqualFold(strings.TrimSpace(media), eventStream)
}
