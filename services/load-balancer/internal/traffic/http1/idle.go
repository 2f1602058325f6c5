package http1

// list holds the connections that are idle, in the order in which they became so.
type list struct{ first, last *conn }

func (l *list) append(c *conn) {
	c.listed, c.before, c.after = true, l.last, nil
	if l.last != nil {
		l.last.after = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *list) remove(c *conn) {
	if !c.listed {
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
	c.listed, c.before, c.after = false, nil, nil
}
