package tuning

import (
	"sync"
	"sync/atomic"
)

// Holder holds the settings in effect. They come on two ways, which may overtake each other: as the
// answer to a change that was asked for through this replica, and with the long poll for routes, from
// any replica of the controller, which may be behind. So they carry a version, and the newest stays.
//
// A controller that is older than versions gives none. What it publishes is followed as it comes.
//
// Versions are those of one cluster's API server. Who brings an older state of etcd back without
// raising its revision (etcdutl snapshot restore --bump-revision) restarts the load balancers, as
// everything else that watches the cluster.
type Holder struct {
	current atomic.Pointer[Settings]

	mu      sync.Mutex // one change at a time is notified
	notify  func(Settings)
	version uint64 // of the current ones; 0: they have none
}

// NewHolder makes a holder of the defaults. notify is called with every change, one at a time; it may
// be nil.
func NewHolder(notify func(Settings)) *Holder {
	h := &Holder{notify: notify}
	d := Defaults()
	h.current.Store(&d)
	return h
}

// Current is what is followed now.
func (h *Holder) Current() Settings { return *h.current.Load() }

// Follow follows the settings of a version, 0 where they have none; false, and nothing is changed, when
// they are older than those that are followed.
func (h *Holder) Follow(s Settings, version uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if version != 0 && version < h.version {
		return false
	}
	h.version = version
	if s == h.Current() {
		return true
	}
	h.current.Store(&s)
	if h.notify != nil {
		h.notify(s)
	}
	return true
}
