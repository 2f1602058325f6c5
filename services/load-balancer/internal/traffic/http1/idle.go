package http1

import "time"

// list holds connections of which nothing would be lost, or little, in the order in which they became so: a connection
// is in one at most.
type list struct{ first, last *conn }

func (l *list) append(c *conn) {
	c.in, c.before, c.after = l, l.last, nil
	if l.last != nil {
		l.last.after = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *list) remove(c *conn) {
	if c.in != l {
		return
	}
	if c.before != nil {
		c.before.after = c.after
	} else {
		l.first = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	} else {
		l.last = c.before
	}
	c.in, c.before, c.after = nil, nil, nil
}

// oldest is the one that is in the list longest; of those beyond the limit, only if all may be taken.
func (l *list) oldest(all bool) *conn {
	c := l.first
	for c != nil && c.crowded && !all {
		c = c.after
	}
	return c
}

// slowFrom is how long a head, a handshake or a PROXY header may take before its connection may give way: nearly all
// have come by then.
const slowFrom = time.Second

// dispensable is the connection that gives way first: one that is idle; else one that was answered, and of which no more
// is wanted; else one whose head does not come. nil: there is none.
func (s *Server) dispensable() *conn {
	if c := s.idle.oldest(false); c != nil {
		return c
	}
	if c := s.lingering.oldest(false); c != nil {
		return c
	}
	if c := s.slow.oldest(false); c != nil && time.Since(c.since) >= slowFrom {
		return c
	}
	return nil
}

// lists notes that a connection is in this list from now on.
func (s *Server) lists(l *list, c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlist(c)
	l.append(c)
}

// unlist takes a connection out of the list that it is in.
func (s *Server) unlist(c *conn) {
	if c.in != nil {
		c.in.remove(c)
	}
}

// slows notes that a connection is in the midst of what comes before its request, and since when.
func (s *Server) slows(c *conn) {
	c.since = time.Now()
	s.lists(&s.slow, c)
}
