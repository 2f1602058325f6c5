package httpapi

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

const (
	// sharedFor is how old a route in JSON may be that another stream sends: all of them send a change at once.
	sharedFor = 20 * time.Millisecond
	// keptWords bounds the bytes that are kept for it; what does not fit is put into words for each.
	keptWords = 1 << 20
)

// words are routes in JSON, for all streams that send the same now: an application of a hundred pods takes
// longest of all that a change costs, and with four load balancers it was put into the same words four times.
// A route with a lease is not shared, for that says how much of it is left.
type words struct {
	mu    sync.Mutex
	began time.Time
	size  int
	kept  map[wordsOf][]byte
}

// wordsOf is a route, which is never altered, as it is told.
type wordsOf struct {
	route   *fleet.Route
	headers bool // of probes
}

// of is a route in JSON. Whoever wants the same waits for it.
func (w *words) of(r *fleet.Route, headers bool, now time.Time) ([]byte, error) {
	if leased(r) {
		return inWords(r, headers, now)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.began) > sharedFor {
		w.began, w.size, w.kept = now, 0, map[wordsOf][]byte{}
	}
	key := wordsOf{r, headers}
	if text, known := w.kept[key]; known {
		return text, nil
	}
	text, err := inWords(r, headers, now)
	if err == nil && w.size+len(text) <= keptWords {
		w.kept[key] = text
		w.size += len(text)
	}
	return text, err
}

// leased tells whether something of a route holds until a moment.
func leased(r *fleet.Route) bool {
	if !r.AsleepUntil.IsZero() {
		return true
	}
	for i := range r.Endpoints {
		if !r.Endpoints[i].DrainsUntil.IsZero() {
			return true
		}
	}
	return false
}

func inWords(r *fleet.Route, headers bool, now time.Time) ([]byte, error) {
	one := route(r, now)
	if !headers {
		withoutHeaders(&autoscaler.RoutesUpdate{Applications: []autoscaler.Route{one}})
	}
	return json.Marshal(one)
}
