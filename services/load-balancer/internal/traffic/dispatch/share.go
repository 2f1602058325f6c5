package dispatch

// Enter counts an exchange of the application, from the moment that it is known to be meant, and
// returns how many there are. Leave counts it off.
func (a *Application) Enter() int { return int(a.exchanges.Add(1)) }

// Leave counts off what Enter has counted.
func (a *Application) Leave() { a.exchanges.Add(-1) }

// Alone tells whether there is no other application that anything would have to be left to.
func (a *Application) Alone() bool { return a.d.routes.Load() < 2 }
