package process

// key is one process: numbers are used again, start times with them are not.
type key struct {
	pid   int
	start uint64 // ticks since the node began
}

// times are CPU times in ticks.
type times struct {
	self     uint64 // its own
	children uint64 // of its children that ended and were waited for, and of theirs
}

// account turns readings of all processes into time used since the first one.
//
// Between two readings each process that is there used the growth of its own time. A process that
// ended passes its whole life's time on to its parent's children; what of it was counted already, by
// earlier readings, is subtracted there, and the rest is what it used at its end. Time that is never
// passed on (nobody waited, or the whole container ended) only costs that rest.
type account struct {
	last map[key]times
	owed uint64 // of processes that had ended by the last reading, and that no parent showed by then
	used uint64
}

// add takes a reading and returns the time used so far.
func (a *account) add(now map[key]times) uint64 {
	if a.last != nil {
		a.used += a.since(now)
	}
	a.last = now
	return a.used
}

func (a *account) since(now map[key]times) uint64 {
	var self, passedOn, ended uint64
	for k, t := range now {
		before := a.last[k] // of a new process: nothing
		self += growth(before.self, t.self)
		passedOn += growth(before.children, t.children)
	}
	for k, t := range a.last {
		if _, ok := now[k]; !ok {
			ended += t.self + t.children
		}
	}
	due := a.owed + ended
	if passedOn >= due {
		a.owed = 0
		return self + passedOn - due
	}
	// Waited for no longer than one reading: what nobody showed by then is lost for good, and must not
	// eat the time of others for ever.
	a.owed = min(due-passedOn, ended)
	return self
}

func growth(before, now uint64) uint64 { return now - min(before, now) }
