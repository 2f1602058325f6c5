package proxy

import (
	"net/http"
	"strings"
	"sync"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
)

var taps = sync.Pool{New: func() any { return new(genai.Tap) }}

// listen lets the answer's body pass a tap when it may be a language model's: those answer to a
// POST, well, in JSON or a stream of it, and readable as it is.
func (x *exchange) listen() {
	h := x.answer.Header
	if x.r.Method != http.MethodPost || x.answer.Status != http.StatusOK || !genai.Tells(first(h["Content-Type"])) {
		return
	}
	if coding := first(h["Content-Encoding"]); coding != "" && !strings.EqualFold(coding, "identity") {
		return
	}
	x.tap = taps.Get().(*genai.Tap) //nolint:forcetypeassert // the pool holds nothing else
	x.tap.Reset()
}

// unlisten gives the tap back.
func (x *exchange) unlisten() {
	if x.tap != nil {
		taps.Put(x.tap)
		x.tap = nil
	}
}
