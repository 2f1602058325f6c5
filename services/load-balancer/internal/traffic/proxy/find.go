package proxy

import "errors"

// errShare refuses what would leave too few places to other applications.
var errShare = errors.New("one application may not fill the front door")

// find finds the application that a client's request is for, and what kind of request it is. done:
// it was answered already.
func (x *exchange) find() (done bool, err error) {
	if moved, err := x.secured(); moved || err != nil {
		return moved, err
	}
	if x.match, err = x.p.o.Matcher.Match(x.r.Host, x.r.Path); err != nil {
		return false, err
	}
	x.locate(x.match.Prefix)
	if x.asksForStart() {
		return true, x.answerStart()
	}
	x.recognise()
	return false, x.takePlace()
}

// takePlace counts the exchange for its application, which may not have more than its share of the
// client connections. A health check is let in: who sends it would take us for dead.
func (x *exchange) takePlace() error {
	if x.p.o.Places == nil || x.uncounted.is {
		return nil
	}
	x.placed = true
	own := x.match.Target.Enter()
	if x.crowdsOut = x.p.o.Places.Crowds(own) && !x.match.Target.Alone(); x.crowdsOut {
		return errShare
	}
	return nil
}

// leavePlace counts it off.
func (x *exchange) leavePlace() {
	if x.placed {
		x.match.Target.Leave()
	}
}
