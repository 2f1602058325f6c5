package dispatch

import (
	"cmp"
	"slices"
	"sync"
)

// changes are the applications of which something may have to be reported: a balancer that has thousands
// that are quiet looks at none of them.
type changes struct {
	mu   sync.Mutex
	list []*Application // each once, while it is marked
}

// mark notes that something is to be reported of the application. It comes with the lock of the
// application, before it is given up, or after what is changed without it.
func (a *Application) mark() {
	if a.marked.Load() || !a.marked.CompareAndSwap(false, true) {
		return
	}
	c := &a.d.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, a)
}

// take hands out the marked ones, ordered by name. What changes from now on marks them again.
func (c *changes) take() []*Application {
	c.mu.Lock()
	list := c.list
	c.list = nil
	c.mu.Unlock()
	for _, a := range list {
		a.marked.Store(false)
	}
	slices.SortFunc(list, byID)
	return list
}

func byID(a, b *Application) int {
	return cmp.Or(cmp.Compare(a.ID.Namespace, b.ID.Namespace), cmp.Compare(a.ID.Deployment, b.ID.Deployment))
}

// Changed is the traffic of the applications of which there may be something new since the last report,
// and of how many there is any at most.
func (d *Dispatcher) Changed() (version string, traffic []Traffic, of int) {
	version = d.Version()
	marked := d.changes.take()
	d.mu.Lock()
	of = len(d.applications)
	marked = slices.DeleteFunc(marked, func(a *Application) bool { return d.applications[a.ID] != a })
	d.mu.Unlock()
	return version, d.traffic(marked), of
}

// traffic is that of some applications, as far as they ever had any.
func (d *Dispatcher) traffic(apps []*Application) (traffic []Traffic) {
	now := d.options.Now()
	for _, app := range apps {
		t, ok := app.traffic(now)
		if ok {
			traffic = append(traffic, t)
		}
		if t.InFlight > 0 {
			app.mark() // its time on pods goes on
		}
	}
	return traffic
}
