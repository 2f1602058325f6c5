package upstream

import "time"

// pool holds the idle connections to one address, the last used one at the end: that one is the
// least likely to have been closed by the pod.
type pool struct{ idle []*conn }

// takeIdle takes an idle connection that still stands; nil when there is none.
func (c *Client) takeIdle(address string) *conn {
	for {
		cn := c.popIdle(address)
		if cn == nil {
			return nil
		}
		if time.Since(cn.idleSince) < c.options.KeepAlive && cn.alive() {
			return cn
		}
		cn.close()
	}
}

func (c *Client) popIdle(address string) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pools[address]
	if !ok || len(p.idle) == 0 {
		return nil
	}
	last := len(p.idle) - 1
	cn := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return cn
}

// putIdle keeps a connection for the next request.
func (c *Client) putIdle(cn *conn) {
	cn.used, cn.idleSince = true, time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pools[cn.address]
	if !ok {
		p = &pool{}
		c.pools[cn.address] = p
	}
	if c.closed || len(p.idle) >= c.options.KeepConnections {
		cn.close()
		return
	}
	p.idle = append(p.idle, cn)
	if c.sweeper == nil {
		c.sweeper = time.AfterFunc(c.options.KeepAlive, c.sweep)
	}
}

// sweep closes what was idle too long, and forgets addresses without connections. It runs as long
// as there is anything to sweep.
func (c *Client) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for address, p := range c.pools {
		old := 0
		for old < len(p.idle) && now.Sub(p.idle[old].idleSince) >= c.options.KeepAlive {
			p.idle[old].close()
			old++
		}
		p.idle = append(p.idle[:0:0], p.idle[old:]...)
		if len(p.idle) == 0 {
			delete(c.pools, address)
		}
	}
	if len(c.pools) == 0 || c.closed {
		c.sweeper = nil
		return
	}
	c.sweeper = time.AfterFunc(c.options.KeepAlive, c.sweep)
}

// Close closes every idle connection, and keeps none from now on.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range c.pools {
		for _, cn := range p.idle {
			cn.close()
		}
		p.idle = nil
	}
	if c.sweeper != nil {
		c.sweeper.Stop()
	}
}
