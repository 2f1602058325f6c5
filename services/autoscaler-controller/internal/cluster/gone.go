package cluster

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// rememberedGone is how many pods that are gone are known as such: a token counts for an hour at most, and what is forgotten
// before counts on until then.
const rememberedGone = 20_000

// gone are the uids of pods that are no more. Any number of goroutines may use it at once.
type gone struct {
	mu   sync.Mutex
	uids *simplelru.LRU[string, struct{}]
}

func newGone() *gone {
	uids, _ := simplelru.NewLRU[string, struct{}](rememberedGone, nil) // more than 0: it never fails
	return &gone{uids: uids}
}

func (g *gone) add(uid string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uids.Add(uid, struct{}{})
}

func (g *gone) has(uid string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.uids.Contains(uid)
}

// Gone tells whether the pod of a uid is known to be no more: it was deleted, or another one has its name. Of pods that
// nobody asks for nothing is known.
func (w *Watcher) Gone(namespace, name, uid string) bool { return w.pods.isGone(namespace, name, uid) }

// NodeOf is the node of a pod; "": it has none, or nothing is known of it.
func (w *Watcher) NodeOf(namespace, name string) string {
	w.pods.mu.RLock()
	defer w.pods.mu.RUnlock()
	if p := w.pods.pods[objectName{namespace, name}]; p != nil {
		return p.node
	}
	return ""
}

func (s *podStore) isGone(namespace, name, uid string) bool {
	s.mu.RLock()
	p := s.pods[objectName{namespace, name}]
	s.mu.RUnlock()
	if p != nil {
		return p.uid != uid
	}
	return s.gone.has(uid)
}

// Gone tells the same of the pods of load balancers, collectors and the controller's replicas in its own namespace.
func (b *Balancers) Gone(namespace, name, uid string) bool {
	if namespace != b.namespace {
		return false
	}
	b.mu.Lock()
	p, known := b.pods[name]
	b.mu.Unlock()
	if known {
		return p.uid != uid
	}
	return b.gone.has(uid)
}
