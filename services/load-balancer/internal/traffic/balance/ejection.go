package balance

import "time"

// How long a failing pod is out.
const (
	firstEjection   = time.Second
	longestEjection = 300 * time.Second
	ejectionJitter  = 0.2 // the share by which it varies, so that balancers do not come back together
	trialAnswers    = 5   // good ones in a row end a trial
	relapse         = 10  // times the last ejection: a pod that was good for as long begins anew
)

// Ejection is how one pod that fails is kept out, and comes back:
//
//	sound ──stands out──▶ out ──its time is over──▶ on trial ──good answers──▶ sound
//	on trial ──a failure──▶ out, for twice as long
//
// On trial it gets requests of clients, one at a time at first. The zero value is a sound pod.
type Ejection struct {
	until time.Time // when it is tried again; zero: it was never out
	last  time.Duration
	out   bool
	trial bool
	good  uint8 // answers of the trial
}

// Eject takes the pod out. chance is from 0 to 1.
func (e *Ejection) Eject(now time.Time, chance float64) {
	if !e.trial && now.Sub(e.until) > relapse*e.last {
		e.last = 0
	}
	e.last = min(max(firstEjection, 2*e.last), longestEjection)
	e.until = now.Add(time.Duration(float64(e.last) * (1 + ejectionJitter*(2*chance-1))))
	e.out, e.trial, e.good = true, false, 0
}

// Out tells whether the pod is out.
func (e *Ejection) Out(now time.Time) bool { return e.out && now.Before(e.until) }

// Until is when it comes back.
func (e *Ejection) Until() time.Time { return e.until }

// OnTrial tells whether it has come back, and not shown yet that it can answer.
func (e *Ejection) OnTrial() bool { return e.trial }

// Return begins the trial when its time is over, and reports whether it did.
func (e *Ejection) Return(now time.Time) bool {
	if !e.out || now.Before(e.until) {
		return false
	}
	e.out, e.trial = false, true
	return true
}

// Good counts a good answer of the trial.
func (e *Ejection) Good() {
	if !e.trial {
		return
	}
	if e.good++; e.good >= trialAnswers {
		e.trial, e.good = false, 0
	}
}
