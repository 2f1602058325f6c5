package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

const (
	linesType = "application/x-ndjson"
	// What changes within so long of a line goes into one more; the first change after a rest at once.
	batchTime     = time.Millisecond
	heartbeatTime = 10 * time.Second
	writeTimeout  = 15 * time.Second // who reads no faster asks anew, and gets the newest then
	standInTime   = 5 * time.Second  // of a stream that the leader should serve, and could not
	personTime    = time.Minute      // of a stream of a person's, as of the longest poll: then the right is looked at anew
	serviceTime   = time.Hour        // of a service's: so long its token lives
	lineWeight    = 256              // routes and pods that a line has at the most, but for a single route
)

// streamRoutes sends what changed, line by line. An error is for an answer that has not begun.
//
// Nothing is kept of what was sent: whoever reads slowly gets, with the next line, the newest of all that
// has changed meanwhile.
func (a *api) streamRoutes(w http.ResponseWriter, r *http.Request, params autoscaler.WatchRoutesParams) error {
	asked, err := a.watched(params, -1)
	if err != nil {
		return err
	}
	if err := a.isEnding(); err != nil {
		return err
	}
	a.Meter.Polling(1)
	defer a.Meter.Polling(-1)
	leader, moved := a.Leadership.Leader()
	by := a.granted(r.Context()).Caller
	if most := lasting(leader != "", by.Kind); most > 0 && (asked.wait < 0 || asked.wait > most) {
		asked.wait = most
	}
	var over <-chan time.Time
	if asked.wait >= 0 {
		over = time.After(asked.wait)
	}
	l := newLines(w, &a.words)
	l.headers = by.SeesProbeHeaders()
	defer l.end()
	for due := true; ; {
		update, changed := a.routes(asked)
		if due || update.News() {
			if l.send(&update) != nil {
				return nil // whoever asked has gone, or reads too slowly
			}
		}
		asked.after, asked.have, due = update.Version, nil, false
		select {
		case <-changed:
			l.pause()
		case <-l.heartbeat.C:
			due = true
		case <-over:
			return nil
		case <-moved:
			return nil
		case <-a.Ending:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// lasting is how long a stream may last; 0: as long as it is asked for. Who has lost a right, or whose pod is gone, is
// not told for ever because it once asked.
func lasting(standsIn bool, by access.Kind) time.Duration {
	switch {
	case standsIn:
		return standInTime
	case by == access.Person:
		return personTime
	case by == access.Service:
		return serviceTime
	}
	return 0
}

// lines is an answer of many lines.
type lines struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	buffer    bytes.Buffer
	last      time.Time   // when the last line went
	heartbeat *time.Timer // when the next one is due
	headers   bool        // of probes are shown
	words     *words
}

func newLines(w http.ResponseWriter, shared *words) *lines {
	w.Header().Set("Content-Type", linesType)
	w.Header().Set("Cache-Control", "no-store")
	return &lines{w: w, control: http.NewResponseController(w), heartbeat: time.NewTimer(heartbeatTime), words: shared}
}

// end leaves the connection to the next request.
func (l *lines) end() {
	l.heartbeat.Stop()
	_ = l.control.SetWriteDeadline(time.Time{})
}

// pause waits until the next line may go.
func (l *lines) pause() { time.Sleep(batchTime - time.Since(l.last)) }

// send sends an update, in as many lines as it takes.
func (l *lines) send(u *fleet.Update) error {
	now := time.Now()
	for rest := *u; ; {
		part, more := cut(&rest)
		if err := l.write(part, more, now); err != nil {
			return err
		}
		if !more {
			l.last = time.Now()
			l.heartbeat.Reset(heartbeatTime)
			return nil
		}
	}
}

// cut takes the first part of an update, and leaves the rest.
func cut(u *fleet.Update) (part fleet.Update, more bool) {
	part = *u
	weight := 0
	for i, r := range u.Routes {
		if weight += 1 + len(r.Endpoints); weight > lineWeight && i > 0 {
			part.Routes, part.Removed = u.Routes[:i], nil
			u.Routes, u.Settings, u.Balancers = u.Routes[i:], nil, nil
			return part, true
		}
	}
	return part, false
}

// noRoutes is where the routes go in a line without any: before all else.
const noRoutes = `{"applications":[`

// write writes a line. The routes are put into it as they are, in words that others may have found.
func (l *lines) write(part fleet.Update, more bool, now time.Time) error {
	routes := part.Routes
	part.Routes = nil
	line := routesUpdate(part, now)
	if more {
		line.Continued = &more
	}
	rest, err := json.Marshal(&line)
	if err != nil {
		return err
	}
	l.buffer.Reset()
	l.buffer.WriteString(noRoutes)
	for i, r := range routes {
		text, err := l.words.of(r, l.headers, now)
		if err != nil {
			return err
		}
		if i > 0 {
			l.buffer.WriteByte(',')
		}
		l.buffer.Write(text)
	}
	l.buffer.Write(rest[len(noRoutes):])
	l.buffer.WriteByte('\n')
	_ = l.control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a writer that has none needs none
	if _, err := l.w.Write(l.buffer.Bytes()); err != nil {
		return err
	}
	return l.control.Flush()
}
