package balance

import (
	"math"
	"time"
)

// Verdict is what an outcome says of the pod.
type Verdict uint8

// The verdicts.
const (
	Good      Verdict = iota // it answers as it should
	Blameless                // the client's own fault, or the client left: it says nothing of the pod
	Busy                     // it would not, for now (429): no failure, but no quick answer either
	Failed                   // a server's error that it made itself, or it broke off, or stayed silent
)

// ByStatus is the verdict on the head of an answer.
func ByStatus(status int) Verdict {
	switch {
	case status == 429:
		return Busy
	case status >= 500:
		return Failed
	case status >= 400:
		return Blameless
	}
	return Good
}

// When a pod is ejected.
const (
	rowToEject    = 5    // failures in a row, while the others are well
	othersAreWell = 0.1  // a share of failures
	othersAreIll  = 0.5  // then it is no pod's own fault
	leastWindow   = 10   // outcomes, to compare shares
	leastExcess   = 0.2  // over the others' share
	deviations    = 4    // of chance, that the excess is beyond
	penalty       = 1000 // milliseconds that a failure counts at least, for policies that go by time
	penaltyFactor = 4    // of a typical answer
)

// Answered notes the head of an answer, or that there was none: how long the pod took since the
// request was sent, and level, what Sent returned then.
func (p *Pod) Answered(verdict Verdict, took time.Duration, level int32, now time.Time) {
	if verdict == Blameless {
		return
	}
	b := p.pool
	if b == nil {
		return
	}
	if b.learner != nil {
		b.learn(p, verdict, sample{took, level, verdict != Good}, now)
	}
	switch verdict {
	case Good:
		p.answeredWell(now)
	case Failed:
		p.failed(now)
	case Busy:
		p.refuses(now)
	default:
	}
}

func (p *Pod) answeredWell(now time.Time) {
	p.ejection.Good()
	p.rest.Good()
	p.accepts()
	if p.ramp.Answered(now) {
		p.changed()
	}
	if !p.history.spotless() {
		p.outcome((*history).good)
	}
}

func (p *Pod) failed(now time.Time) {
	p.outcome((*history).bad)
	b := p.pool
	b.look(now)
	// At most half are out, and what is under way at one that is says nothing new.
	if p.ejection.Out(now) || !p.usable || 2*(b.out+1) > b.usable || !b.standsOut(p) {
		return
	}
	p.ejection.Eject(now, b.chance())
	p.outcome(func(h *history) { *h = history{} })
	p.changed()
}

// outcome changes the pod's history, and what the pool adds up of it.
func (p *Pod) outcome(change func(*history)) {
	window, recent := p.history.window(), p.history.recent()
	change(&p.history)
	if b := p.pool; b != nil {
		b.window.sub(window)
		b.window.add(p.history.window())
		b.recently.sub(recent)
		b.recently.add(p.history.recent())
	}
}

// standsOut tells whether the pod fails, and the others do not: what fails everywhere is no pod's
// own fault. By failures in a row a pod is known soon, by its share surely.
func (b *Pool) standsOut(p *Pod) bool {
	recently := b.recently
	recently.sub(p.history.recent())
	others := recently.share()
	if p.ejection.OnTrial() {
		return others <= othersAreIll
	}
	if p.history.row >= rowToEject && others <= othersAreWell {
		return true
	}
	own, rest := p.history.window(), b.window
	rest.sub(own)
	if own.of < leastWindow || rest.of == 0 {
		return false
	}
	n, m := float64(own.of), float64(rest.of)
	excess := float64(own.failed)/n - float64(rest.failed)/m
	mean := float64(own.failed+rest.failed) / (n + m)
	return excess >= leastExcess && excess > deviations*math.Sqrt(mean*(1-mean)*(1/n+1/m))
}

// learn hands an answer to the policy. An error that comes fast must not attract requests.
func (b *Pool) learn(p *Pod, verdict Verdict, s sample, now time.Time) {
	took := milliseconds(s.took)
	if verdict == Good {
		if b.typical == 0 {
			b.typical = took
		}
		b.typical += (took - b.typical) / 64
	} else {
		took = max(took, penalty, penaltyFactor*b.typical)
		s.took = time.Duration(took * float64(time.Millisecond))
	}
	b.learner.answered(b, p, s, now)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
