package tuning

import (
	"sync"
	"sync/atomic"
	"time"
)

// lag is how long after a change through this replica a controller that follows another one may
// still tell what was before.
const lag = 2 * time.Second

// Holder holds the settings in effect. They come on two ways: as the answer to a change that was
// asked for through this replica, and with the long poll for routes. The second may be older than
// the first, so this is the rule of their order:
//
//   - The answer to a change is followed at once, whatever was followed before.
//   - A poll that was begun before that answer tells nothing: it may have been read before the
//     change, or after a later one of another replica, and nobody can say which. Everything must be
//     asked for anew, and what comes then was read after the change.
//   - A controller that follows the leader may be behind for a moment. What was followed before the
//     change is therefore not taken back within lag after it; everything is asked for again until
//     something else comes, or lag is over.
//
// So settings that were changed here are never lost for a moment to older ones, and a change by
// someone else arrives at the latest lag after the own one.
type Holder struct {
	current atomic.Pointer[Settings]

	mu      sync.Mutex // one change at a time is told
	tell    func(Settings)
	changes int       // that were answered here
	before  Settings  // the last of them
	at      time.Time // when it was answered
}

// NewHolder makes a holder of the defaults. tell is told every change, one at a time; it may be nil.
func NewHolder(tell func(Settings)) *Holder {
	h := &Holder{tell: tell}
	d := Defaults()
	h.current.Store(&d)
	return h
}

// Current is what is followed now.
func (h *Holder) Current() Settings { return *h.current.Load() }

// Mark is to be taken before a poll is begun, and given back with its answer. It differs from the
// one before when everything must be asked for.
func (h *Holder) Mark() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changes
}

// Changed follows the answer to a change.
func (h *Holder) Changed(s Settings, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes++
	h.before, h.at = h.Current(), now
	h.follow(s)
}

// Polled follows what a poll has brought that was begun at the mark; false when it may be older
// than what is followed, so that everything must be asked for anew.
func (h *Holder) Polled(mark int, s Settings, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	current := h.Current()
	switch {
	case mark != h.changes:
		return false
	case h.changes > 0 && s != current && s == h.before && now.Sub(h.at) < lag:
		return false
	}
	h.follow(s)
	return true
}

func (h *Holder) follow(s Settings) {
	if s == h.Current() {
		return
	}
	h.current.Store(&s)
	if h.tell != nil {
		h.tell(s)
	}
}
