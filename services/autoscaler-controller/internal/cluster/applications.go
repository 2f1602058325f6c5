package cluster

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// shardCount is how many locks the applications share.
const shardCount = 256

// applications are those that are claimed. Each belongs to a shard, whose lock makes "read the caches, tell
// the sink" one step, so that the sink never gets older news of an application after newer, and what happens
// to one waits for few others.
type applications struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	mu   sync.Mutex
	apps map[fleet.Key]*application
}

// application is a Deployment that a CustomAutoscaler has.
type application struct {
	claim
	since time.Time // when that one began to name it
	kept  contract.Remembered
	told  bool // the sink knows of it
}

// claim is a Deployment that a CustomAutoscaler may scale and route to, at these of its targets.
type claim struct {
	by      *autoscaler
	targets []contract.Target // at least one; the first names the application's own address
}

func newApplications() *applications {
	a := &applications{seed: maphash.MakeSeed()}
	for i := range a.shards {
		a.shards[i].apps = map[fleet.Key]*application{}
	}
	return a
}

func (a *applications) shard(k fleet.Key) *shard {
	return &a.shards[maphash.Comparable(a.seed, k)%shardCount]
}

// assign gives an application to a claim. Kubernetes keeps no moment from which on a Deployment is named,
// so that one that is taken in gets its own idle time: this process knows it of all that it has seen named;
// of what was named before it looked (found), the last write of the spec is an upper bound.
func (a *applications) assign(k fleet.Key, c claim, kept contract.Remembered, found bool, now time.Time) {
	s := a.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	app, known := s.apps[k]
	if !known {
		app = &application{}
		s.apps[k] = app
	}
	switch {
	case known && app.by.uid == c.by.uid:
	case found:
		app.since = c.by.written
	default:
		app.since = now
	}
	app.claim, app.kept = c, kept
}

// remember takes what the status of a CustomAutoscaler keeps of an application, if it has it.
func (a *applications) remember(k fleet.Key, by *autoscaler, kept contract.Remembered) {
	s := a.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if app, known := s.apps[k]; known && app.by.Autoscaler == by.Autoscaler {
		app.kept = kept
	}
}

// claimOf is the claim of an application; the zero value when it has none.
func (a *applications) claimOf(k fleet.Key) claim {
	s := a.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if app, known := s.apps[k]; known {
		return app.claim
	}
	return claim{}
}

// keys are all applications, in no order.
func (a *applications) keys() []fleet.Key {
	var list []fleet.Key
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		for k := range s.apps {
			list = append(list, k)
		}
		s.mu.Unlock()
	}
	return list
}

// services are the Services that an application's targets name.
func (c claim) services() []string {
	var names []string
	for _, t := range c.targets {
		if t.Service != "" && !slices.Contains(names, t.Service) {
			names = append(names, t.Service)
		}
	}
	return names
}

// serviceIndex knows which applications name a Service.
type serviceIndex struct {
	mu   sync.RWMutex
	keys map[objectName][]fleet.Key
}

// move takes note of the Services that an application names now, and before.
func (x *serviceIndex) move(k fleet.Key, before, now []string) {
	if slices.Equal(before, now) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, name := range before {
		n := objectName{k.Namespace, name}
		rest := slices.DeleteFunc(slices.Clone(x.keys[n]), func(other fleet.Key) bool { return other == k })
		if x.keys[n] = rest; len(rest) == 0 {
			delete(x.keys, n)
		}
	}
	for _, name := range now {
		n := objectName{k.Namespace, name}
		x.keys[n] = append(slices.Clip(x.keys[n]), k)
	}
}

// of are the applications that name a Service. The list is not to be changed.
func (x *serviceIndex) of(n objectName) []fleet.Key {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.keys[n]
}
