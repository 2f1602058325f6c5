package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// A watch of custom resources is the API server's own, passed on event by event, so that informers and
// `kubectl get --watch` find here what they find there: versions, bookmarks and errors are its. What there is
// beside is bounds: how many watches there are, how large an event is, how slowly one may read. Ours is not the
// answer from our own caches, which hold small parts of what people watch.
const (
	maxWatches = 256     // of one replica: each holds a stream to the API server, and goroutines
	maxOfOne   = 32      // of them, of one caller
	maxEvent   = 4 << 20 // bytes; an object has 3 MiB at the most
	eventChunk = 16 << 10
)

// The ends of a watch, for the meter.
const (
	WatchDone     = "done"      // the API server ended it, by time or because it is ending itself
	WatchLeft     = "left"      // the client went
	WatchSlow     = "slow"      // it read too slowly
	WatchEnding   = "ending"    // this replica ends
	WatchRefused  = "refused"   // by the API server
	WatchTooMany  = "too-many"  // there were too many already, in all or of this caller
	WatchTooLarge = "too-large" // an event was
	WatchBroken   = "broken"    // the API server broke off
)

// WatchEnds are all of them.
var WatchEnds = []string{WatchDone, WatchLeft, WatchSlow, WatchEnding, WatchRefused, WatchTooMany, WatchTooLarge, WatchBroken}

var errTooLargeEvent = errors.New("an event is larger than may be")

// What is said where there are no more.
var (
	watchesFull      = fmt.Sprintf("%d watches are served by this replica, and no more: list, or watch again later", maxWatches)
	watchesFullOfOne = fmt.Sprintf("%d watches of one caller are served by this replica, and no more: end one, list, or watch again later", maxOfOne)
)

// asksToWatch tells whether a call that cannot be a watch is meant as one, as Kubernetes reads it: the parameter alone
// says so. Answered with the object, who asked would take it for an event, or wait for one.
func asksToWatch(r *http.Request) bool {
	said, ok := r.URL.Query()["watch"]
	return ok && !slices.Contains([]string{"false", "0"}, strings.ToLower(said[0]))
}

// watch passes a watch on, with the caller's own token.
func (a *api) watch(w http.ResponseWriter, r *http.Request) {
	a.Meter.Watching(1)
	end := a.watchUntilItsEnd(w, r)
	a.Meter.Watching(-1)
	a.Meter.WatchEnded(end)
}

func (a *api) watchUntilItsEnd(w http.ResponseWriter, r *http.Request) (end string) {
	if err := a.isEnding(); err != nil {
		a.refuse(w, r, err)
		return WatchEnding
	}
	who := a.watcher(r)
	if err := a.watches.enter(who, watchesFullOfOne, watchesFull); err != nil {
		a.refuse(w, r, err)
		return WatchTooMany
	}
	defer a.watches.leave(who)
	out, err := onward(r, watching)
	if err != nil {
		a.refuse(w, r, err)
		return WatchRefused
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-a.Ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	answer, err := a.Objects.Watch(out.WithContext(ctx))
	if err != nil {
		return a.unwatched(w, r, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		if _, err = read(answer); err == nil {
			err = fault.New(fault.Unavailable, "the Kubernetes API server answers a watch with %d", answer.StatusCode).After(time.Second)
		}
		return a.unwatched(w, r, err)
	}
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	end = passEvents(w, answer.Body)
	select {
	case <-a.Ending:
		return WatchEnding
	default:
	}
	if end == WatchBroken && r.Context().Err() != nil {
		return WatchLeft
	}
	if end == WatchTooLarge || end == WatchBroken {
		a.Log.WarnContext(r.Context(), "a watch was cut", "path", r.URL.Path, "why", end)
	}
	return end
}

// unwatched refuses a watch that has not begun.
func (a *api) unwatched(w http.ResponseWriter, r *http.Request, err error) (end string) {
	if r.Context().Err() != nil {
		return WatchLeft
	}
	if ending := a.isEnding(); ending != nil {
		err = ending
	}
	a.refuse(w, r, err)
	return WatchRefused
}

// passEvents passes on events, one a line, each whole or not at all.
func passEvents(w http.ResponseWriter, from io.Reader) (end string) {
	control := http.NewResponseController(w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection is left to the next request
	if err := control.Flush(); err != nil {                      // the head: nothing may happen for long
		return unwritten(err)
	}
	events := &eventReader{from: bufio.NewReaderSize(from, eventChunk)}
	for {
		event, err := events.next()
		switch {
		case errors.Is(err, errTooLargeEvent):
			return WatchTooLarge
		case errors.Is(err, io.EOF):
			return WatchDone // what has no end of line is no event
		case err != nil:
			return WatchBroken
		}
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a writer that has none needs none
		if _, err := w.Write(event); err != nil {
			return unwritten(err)
		}
		if events.more() {
			continue
		}
		if err := control.Flush(); err != nil {
			return unwritten(err)
		}
	}
}

// unwritten is the end of a watch that could not be written on.
func unwritten(err error) (end string) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return WatchSlow
	}
	return WatchLeft
}

// eventReader reads lines, each within its bound.
type eventReader struct {
	from *bufio.Reader
	line []byte
}

// next is the next line, with its end. It is good until the one after it.
func (e *eventReader) next() ([]byte, error) {
	if cap(e.line) > 16*eventChunk {
		e.line = nil // a large one is seldom followed by another
	}
	e.line = e.line[:0]
	for {
		part, err := e.from.ReadSlice('\n')
		if len(e.line)+len(part) > maxEvent {
			return nil, errTooLargeEvent
		}
		switch e.line = append(e.line, part...); {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return nil, err //nolint:wrapcheck // who reads says of what
		default:
			return e.line, nil
		}
	}
}

// more tells whether a whole line has come already: it goes with the one before.
func (e *eventReader) more() bool {
	come, err := e.from.Peek(e.from.Buffered())
	return err == nil && bytes.IndexByte(come, '\n') >= 0
}
