package dispatch

import (
	"encoding/hex"
	"iter"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// WaitingRoom is who waits for one application, for people.
type WaitingRoom struct {
	Application routing.Application
	Waiting     int
	Bytes       int64
	Busy        bool   // pods serve, and are full; else no pod serves
	Why         string // what keeps them from serving; "" is not known
	Oldest      []WaitingRequest
}

// WaitingRequest is one that waits.
type WaitingRequest struct {
	Arrived, Deadline    time.Time
	Client, Method, Path string
	Bytes                int64
	TraceID              string // "" is none
	Tries                int    // pods that did not take it
}

// Waiting is who waits now, of each application that is wanted at most so many: those that have waited longest. The
// applications are looked at one by one, ordered by name, as they are asked for.
func (d *Dispatcher) Waiting(wanted func(routing.Application) bool, limit int) iter.Seq[WaitingRoom] {
	return func(yield func(WaitingRoom) bool) {
		for _, app := range d.Applications() {
			if !wanted(app.Route().Application) {
				continue
			}
			if room, some := app.waitingRoom(limit); some && !yield(room) {
				return
			}
		}
	}
}

func (a *Application) waitingRoom(limit int) (WaitingRoom, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.removed || a.room.Len() == 0 {
		return WaitingRoom{}, false
	}
	room := WaitingRoom{
		Application: a.Route().Application, Waiting: a.room.Len(), Bytes: a.room.Bytes(), Busy: a.phase.busy,
		Why: a.hindrance(a.d.options.Now()).Text,
	}
	for t := a.room.First(); t != nil && len(room.Oldest) < limit; t = t.Next() {
		room.Oldest = append(room.Oldest, a.waitingRequest(visitOf(t)))
	}
	return room, true
}

// waitingRequest copies what belongs to the request: it may leave the moment that the lock is free.
func (a *Application) waitingRequest(v *Visit) WaitingRequest {
	at, _ := a.deadline(v)
	w := WaitingRequest{
		Arrived: v.Arrived, Deadline: at, Bytes: v.arrival.Bytes, Tries: v.Tries,
		Client: strings.Clone(v.arrival.Client), Method: strings.Clone(v.arrival.Method), Path: strings.Clone(v.arrival.Path),
	}
	if v.arrival.TraceID != ([16]byte{}) {
		w.TraceID = hex.EncodeToString(v.arrival.TraceID[:])
	}
	return w
}
