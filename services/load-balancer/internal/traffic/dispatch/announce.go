package dispatch

import "time"

// Serving tells whether a pod serves the application.
func (a *Application) Serving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.anyUsable()
}

// Announce has the application started for a request that is still on its way, and holds no place for
// it: Arrive follows when it is here. The errors are Arrive's.
func (v *Visit) Announce(app *Application, arrival Arrival, now time.Time) error {
	waits, err := v.Arrive(app, arrival, now)
	if err != nil {
		return err
	}
	if waits {
		waits = v.Detach(now)
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	switch {
	case v.Pod != nil: // one came at this moment
		v.release(now)
		v.Tries = 0
		app.update(now)
	case waits && app.wake != nil && app.wake.Waited > 0:
		app.wake.Waited-- // it is counted when it waits
	}
	return nil
}
