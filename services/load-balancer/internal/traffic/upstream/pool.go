package upstream

import (
	"sync"
	"time"
)

// pool holds the idle connections to one address, the last used one at the end: that one is the
// least likely to have been closed by the pod.
type pool struct {
	mu   sync.Mutex
	idle []*conn
	gone bool // it is in the client's map no more
}

// takeIdle takes an idle connection; nil when there is none. Whether it still stands is seen when it
// is written to.
func (c *Client) takeIdle(address string, now time.Time) *conn {
	found, ok := c.pools.Load(address)
	if !ok {
		return nil
	}
	p := found.(*pool) //nolint:forcetypeassert // the map holds nothing else
	for {
		cn := p.pop()
		if cn == nil || now.Sub(cn.idleSince) < cn.idleFor {
			return cn
		}
		cn.close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	last := len(p.idle) - 1
	cn := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return cn
}

// putIdle keeps a connection for the next request.
func (c *Client) putIdle(cn *conn, now time.Time) {
	cn.used, cn.idleSince = true, now
	if c.closed.Load() {
		cn.close()
		return
	}
	for {
		found, ok := c.pools.Load(cn.address)
		if !ok {
			found, _ = c.pools.LoadOrStore(cn.address, &pool{})
			c.sweepLater()
		}
		if p := found.(*pool); p.put(cn, c.options.KeepConnections) { //nolint:forcetypeassert // the map holds nothing else
			return
		}
	}
}

// put keeps the connection, or closes it when there are enough; false when the pool is gone.
func (p *pool) put(cn *conn, most int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone:
		return false
	case len(p.idle) >= most:
		cn.close()
	default:
		p.idle = append(p.idle, cn)
	}
	return true
}

// sweepLater has idle connections looked through, as long as there are any.
func (c *Client) sweepLater() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sweeper == nil && !c.closed.Load() {
		c.sweeper = time.AfterFunc(c.options.KeepAlive, c.sweep)
	}
}

// sweep closes what was idle too long, and forgets addresses without connections. The timer is
// forgotten first: who keeps a connection meanwhile sets another.
func (c *Client) sweep() {
	c.mu.Lock()
	c.sweeper = nil
	c.mu.Unlock()
	now, left := time.Now(), false
	c.pools.Range(func(address, found any) bool {
		p := found.(*pool) //nolint:forcetypeassert // the map holds nothing else
		if p.sweep(now) {
			left = true
		} else {
			c.pools.CompareAndDelete(address, p)
		}
		return true
	})
	if left {
		c.sweepLater()
	}
}

// sweep closes what was idle too long; false when nothing is left, and the pool is gone.
func (p *pool) sweep(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[:0]
	for _, cn := range p.idle {
		if now.Sub(cn.idleSince) < cn.idleFor {
			kept = append(kept, cn)
		} else {
			cn.close()
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	p.gone = len(kept) == 0
	return !p.gone
}

// Close closes every idle connection. Nothing may be in flight any more.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed.Store(true)
	if c.sweeper != nil {
		c.sweeper.Stop()
	}
	c.mu.Unlock()
	c.pools.Range(func(_, found any) bool {
		p := found.(*pool) //nolint:forcetypeassert // the map holds nothing else
		for cn := p.pop(); cn != nil; cn = p.pop() {
			cn.close()
		}
		return true
	})
}
