package dispatch

import "time"

// removedGrace is how long the route of an application in use is kept after the controller has removed it:
// whoever renames a CustomAutoscaler deletes one and makes another. The controller leaves the Deployment
// alone for as long.
const removedGrace = 5 * time.Second

// retire ends the route: at once, or after a grace, within which all goes on as it was, while the
// application is in use. It returns until when the route is kept; zero: it has gone, or was kept before.
func (a *Application) retire(now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.removed || !a.kept.IsZero():
		return time.Time{}
	case a.closed || !a.inUse(now):
		a.end(now)
		return time.Time{}
	}
	a.kept = now.Add(removedGrace)
	return a.kept
}

// inUse tells whether somebody would notice that the route goes.
func (a *Application) inUse(now time.Time) bool {
	last := time.Unix(0, a.activity.Load())
	return a.room.Len() > 0 || a.counters.inFlight() > 0 || now.Sub(last) < removedGrace
}

// endKept ends the route when its grace is over.
func (a *Application) endKept(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.kept.IsZero() && !now.Before(a.kept) {
		a.end(now)
	}
}

// end ends the route: who waits is sent away, requests on pods go on.
func (a *Application) end(now time.Time) {
	a.removed, a.kept, a.wanted = true, time.Time{}, time.Time{}
	for _, p := range a.pods {
		p.leave()
	}
	a.pods = nil
	a.pooled()
	a.dismiss(ErrNoRoute, now)
	a.update(now)
}

// retire ends an application's route, now or after its grace.
func (d *Dispatcher) retire(app *Application, now time.Time) {
	until := app.retire(now)
	if until.IsZero() {
		return
	}
	time.AfterFunc(until.Sub(now), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		app.endKept(d.options.Now())
		d.place(app)
		d.publish()
	})
}
