package proxy

import (
	"net/http"
	"strings"
	"sync"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

var taps = sync.Pool{New: func() any { return new(genai.Tap) }}

// tapIfTelling lets the answer's body pass a tap when it may be a language model's: those answer to
// a POST, well, in JSON or a stream of it, and readable as it is.
func (x *exchange) tapIfTelling(head *message.Response) {
	if x.r.Method != http.MethodPost || head.Status != http.StatusOK || !genai.Tells(head.Fields.First(message.ContentType)) {
		return
	}
	if coding := head.Fields.First(message.ContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
		return
	}
	x.tap = taps.Get().(*genai.Tap) //nolint:forcetypeassert // the pool holds nothing else
	x.tap.Reset()
}

// untap gives the tap back.
func (x *exchange) untap() {
	if x.tap != nil {
		taps.Put(x.tap)
		x.tap = nil
	}
}
