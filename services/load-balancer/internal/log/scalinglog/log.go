package scalinglog

// Keeper takes entries in; false when it cannot now, which it counts.
type Keeper interface {
	Offer(entry []byte) bool
}

// Log hands entries to their keeper. Any number of goroutines may use it at once.
type Log struct {
	origin Origin
	keeper Keeper
}

// New makes a log.
func New(o Origin, k Keeper) *Log { return &Log{origin: o, keeper: k} }

// Decided keeps a decision; false when it could not, and should be told again.
func (l *Log) Decided(d Decision) bool { return l.keep(l.origin.Decision(d)) }

// Changed keeps a change; false when it could not, and should be told again.
func (l *Log) Changed(c Change) bool { return l.keep(l.origin.Change(c)) }

// Woken keeps a wake-up.
func (l *Log) Woken(w WakeUp) bool {
	return l.keep(l.origin.WakeUp(w))
}

func (l *Log) keep(entry []byte, err error) bool {
	if err != nil { // a number that JSON does not know: told again it would be the same
		return true
	}
	return l.keeper.Offer(entry)
}
