package proxy

import "sync"

// cuttable is a client's side whose exchange can be ended from here too: its slot on a limited pod may
// be given to another load balancer soon.
type cuttable struct {
	Exchanging
	mu       sync.Mutex
	cut      bool
	canceler Canceler // nil: nothing is sent
}

// Watch names who ends the exchange, for a client that goes and for a cut.
func (c *cuttable) Watch(who Canceler) {
	c.name(who)
	c.Exchanging.Watch(who)
}

// name names who ends the exchange for a cut.
func (c *cuttable) name(who Canceler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.canceler = who
	if c.cut && who != nil {
		who.Cancel()
	}
}

// Cut ends the exchange. What was named before is never told after another one was: its connection may
// be another exchange's by then.
func (c *cuttable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	if c.canceler != nil {
		c.canceler.Cancel()
	}
}

// mayBeCut has the exchange end when its slot is lost, where pods are limited.
func (x *exchange) mayBeCut() {
	if x.match.Target.Route().Concurrency == 0 {
		return
	}
	x.cuttable = &cuttable{Exchanging: x.out.Client}
	x.out.Client, x.visit.OnCut = x.cuttable, x.cuttable.Cut
}

// cutBy names who ends the exchange for a cut, in place of its sender.
func (x *exchange) cutBy(who Canceler) {
	if x.cuttable != nil {
		x.cuttable.name(who)
	}
}
