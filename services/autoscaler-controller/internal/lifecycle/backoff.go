package lifecycle

import "time"

// The pauses after failures in a row. News does not shorten them: whoever forbids a call would
// otherwise be asked with every report. A start call is a request that waits, and has a shorter pause of
// its own: a thousand of them a second ask no more often than that.
const (
	firstPause = 50 * time.Millisecond
	LastPause  = 30 * time.Second
	CallPause  = time.Second
)

// backoffs are those of one application. Marks that cannot be written hold up what needs them, and no
// way up.
type backoffs struct{ scale, marks backoff }

// backoff is the pause after failures.
type backoff struct {
	failures int
	until    time.Time
	calls    time.Time // the same for start calls
}

func (b *backoff) failed(now time.Time) {
	pause := LastPause
	if b.failures < 16 {
		pause = min(LastPause, firstPause<<b.failures)
	}
	b.failures++
	b.until, b.calls = now.Add(pause), now.Add(min(pause, CallPause))
}

// pauses tells until when nothing is tried; zero: it may be tried.
func (b *backoff) pauses(called bool, now time.Time) time.Time {
	until := b.until
	if called {
		until = b.calls
	}
	if now.Before(until) {
		return until
	}
	return time.Time{}
}

// Failing tells whether the last that was tried has failed.
func (m *Memory) Failing() bool { return m.backoffs.scale.failures+m.backoffs.marks.failures > 0 }

// failed takes note of a failure, and says when to try once more.
func (m *Memory) failed(o Outcome, now time.Time) time.Time {
	b := &m.backoffs.scale
	if o.Marking {
		b = &m.backoffs.marks
	}
	b.failed(now)
	return b.until
}

// succeeded ends the pauses of what was done.
func (m *Memory) succeeded(p Plan) {
	if p.Scale {
		m.backoffs.scale = backoff{}
	}
	if len(p.Marks) > 0 {
		m.backoffs.marks = backoff{}
	}
	if !m.Failing() {
		m.Failure = ""
	}
}

// calm leaves everything outside as it is while the last failure is too fresh. A way down is written on
// its pods before it is gone, so the one waits with the other; a way up does not wait for marks.
func (m *Memory) calm(p *Plan) {
	var scale, marks time.Time
	if p.Scale {
		scale = m.backoffs.scale.pauses(p.Called, p.at)
	}
	if len(p.Marks) > 0 {
		marks = m.backoffs.marks.pauses(false, p.at)
	}
	if scale.IsZero() && marks.IsZero() {
		return
	}
	for _, end := range []time.Time{scale, marks} {
		if !end.IsZero() {
			p.again(end)
		}
	}
	up := p.Decision.To > p.Decision.From
	if p.Scale && (!up || !scale.IsZero()) {
		p.Scale, p.going, p.withheld = false, nil, later(scale, marks)
		p.Decision.To = p.Decision.From
	}
	if !up || !marks.IsZero() {
		p.Marks = nil
	}
	p.calm = !p.Acts()
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
